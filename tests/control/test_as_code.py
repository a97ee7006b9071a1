"""Export, plan, apply, rollback by the command line: the installation as a document."""

import json
import re
import sqlite3
from contextlib import closing

import jsonschema
import pytest
import yaml

from modelyard.control.yard import document
from tests.control.as_code import FULL, SECRETS, applied, exported, modelyard
from tests.control.test_yard_file import SCHEMA
from tests.operations.tools import wait
from tests.postgres import run_postgres
from tests.yard import ADMIN_KEY, run_yard

PEOPLE = """
users:
  - {email: boss@example.com, role: admin}
  - {email: ann@example.com, keys: [{name: main, limits: {rpm: 5}}]}
groups: [{name: staff}]
connections: [{name: cloud, kind: openai, base_url: "https://a.example", api_keys: ["${FIRST}"]}]
models:
  - {id: one, access_control: {read: {group_ids: [staff]}}}
  - {id: two, base_model_id: one, owner: ann@example.com, params: {temperature: 0.2}}
settings: {models.default: [one]}
"""


@pytest.fixture
def database(data_dir):
    """A data directory that PEOPLE was applied to."""
    applied(data_dir, PEOPLE, **SECRETS)
    return data_dir


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A data directory with everything in it."""
    folder = tmp_path_factory.mktemp("full") / "data"
    applied(folder, FULL, **SECRETS)
    return folder


def variables_of(text):
    """The references of an export with the secrets that they stand for, in the order in which FULL has them."""
    names = re.findall(r'"\$\{(MODELYARD_\w+)\}"', text)
    return dict(zip(names, (SECRETS["FIRST"], SECRETS["SECOND"], SECRETS["HEADER"]), strict=True))


def rows(data_dir, query):
    with closing(sqlite3.connect(data_dir / "modelyard.db")) as connection:
        return connection.execute(query).fetchall()


def plan_of(data_dir, text, *arguments, **environment):
    told = modelyard(data_dir, "plan", "-", "--json", *arguments, stdin=text, **environment).stdout
    return json.loads(told)


def steps_of(data_dir, text, *arguments, **environment):
    plan = plan_of(data_dir, text, *arguments, **environment)
    return [(step["action"], step["noun"], step["name"]) for step in plan["steps"]]


def test_an_export_applied_to_an_empty_database_is_exported_byte_for_byte(full, tmp_path):
    first = exported(full)
    other = tmp_path / "other"
    applied(other, first, **variables_of(first))
    assert exported(other) == first
    assert steps_of(other, first) == []


def test_the_same_holds_between_sqlite_and_postgresql(full, tmp_path):
    first = exported(full)
    with run_postgres() as postgres:
        url = {"DATABASE_URL": postgres.new_database()}
        applied(tmp_path / "other", first, **variables_of(first), **url)
        assert exported(tmp_path / "other", **url) == first


def test_the_document_of_the_round_trip_has_every_field(full):
    """A field that is added to the schema must be exported as well: it has to appear here."""
    found = yaml.safe_load(exported(full))
    keys = [key for user in found["users"] for key in user.get("keys", ())]
    for shape, objects, never in (
        (document.Yard, [found], set()),
        (document.YardGroup, found["groups"], set()),
        (document.YardConnection, found["connections"], set()),
        (document.YardUser, found["users"], set()),
        (document.YardKey, keys, {"key"}),
        (document.YardModel, found["models"], set()),
    ):
        told = {name for one in objects for name in one}
        assert told == shape.model_fields.keys() - never, shape.__name__
    assert found["settings"].keys() == document.SETTINGS.keys()


def test_an_export_says_what_was_applied(full):
    told, asked = yaml.safe_load(exported(full)), yaml.safe_load(FULL)
    assert told["settings"] == asked["settings"]
    [polite] = [model for model in told["models"] if model["id"] == "polite"]
    [wanted] = [model for model in asked["models"] if model["id"] == "polite"]
    assert polite == wanted
    assert {user["email"] for user in told["users"]} == {user["email"] for user in asked["users"]}
    connection = next(one for one in told["connections"] if one["kind"] == "openai")
    for name, value in asked["connections"][0].items():
        if name not in ("api_keys", "headers"):
            assert connection[name] == value, name


def test_text_that_looks_like_a_reference_stays_text(full):
    [(params,)] = rows(full, "SELECT params FROM models WHERE id = 'polite'")
    assert json.loads(params)["system"] == "Echo ${HOME}.\n  Line: two\n"
    assert "Echo $${HOME}." in exported(full)


def test_the_published_schema_accepts_an_export(full):
    jsonschema.validate(yaml.safe_load(exported(full)), json.loads(SCHEMA.read_text()))


def test_the_published_schema_knows_the_settings():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"settings": {"models.default": "one"}}, json.loads(SCHEMA.read_text()))


def test_no_secret_is_exported_shown_audited_or_kept(full):
    plan = modelyard(full, "plan", "-", stdin=FULL.replace("priority: 3", "priority: 4"), **SECRETS)
    audit = rows(full, "SELECT changes, description FROM billing_audit_log")
    kept = rows(full, "SELECT content FROM revisions")
    everything = exported(full) + plan.stdout + plan.stderr + repr(audit) + repr(kept)
    assert "yard.applied" in repr(rows(full, "SELECT action FROM billing_audit_log"))
    for secret in SECRETS.values():
        assert secret not in everything
    for (digest,) in rows(full, "SELECT digest FROM api_keys"):
        assert digest.hex() not in everything


def test_a_plan_says_what_would_be_done_and_does_nothing(database):
    wanted = PEOPLE.replace("temperature: 0.2", "temperature: 0.3").replace(
        "[{name: staff}]", "[{name: staff}, {name: new}]"
    )
    wanted = wanted.replace("settings: {models.default: [one]}", "settings: {}")
    before = exported(database)
    told = modelyard(database, "plan", "-", stdin=wanted, **SECRETS).stdout
    assert "+ group new" in told
    assert "~ model two\n    params.temperature: 0.2 -> 0.3\n" in told
    assert "- setting models.default" in told
    assert "1 to create, 1 to update, 1 to delete." in told
    assert exported(database) == before
    assert modelyard(database, "plan", "-", "--exit-code", stdin=wanted, code=2, **SECRETS)
    assert modelyard(database, "plan", "-", "--exit-code", stdin=PEOPLE, code=0, **SECRETS)


def test_a_changed_secret_is_a_change_that_is_not_shown(database):
    [step] = plan_of(database, PEOPLE, **{**SECRETS, "FIRST": "sk-a-new-secret-that-nobody-reads-1234"})["steps"]
    assert step["fields"] == {"api_keys": {"old": ["********6789"], "new": ["********1234"]}}


def test_a_section_that_is_left_out_is_not_touched(database):
    assert steps_of(database, "models: [{id: one, access_control: {read: {group_ids: [staff]}}}]") == [
        ("delete", "model", "two")
    ]
    assert steps_of(database, "") == []
    assert steps_of(database, "{}") == []


def test_keep_deletes_nothing(database):
    assert steps_of(database, "models: [{id: three}]", "--keep") == [("create", "model", "three")]
    assert steps_of(database, "users: []\ngroups: []\nconnections: []\nsettings: {}", "--keep") == []


def test_what_is_referred_to_comes_first_and_goes_last(data_dir):
    made = steps_of_fresh(data_dir)
    assert made.index(("create", "group", "staff")) < made.index(("create", "model", "one"))
    gone = steps_of(data_dir, "groups: []\nusers: [{email: boss@example.com, role: admin}]\nmodels: []\nsettings: {}")
    assert gone.index(("delete", "model", "two")) < gone.index(("delete", "user", "ann@example.com"))
    assert gone.index(("delete", "model", "one")) < gone.index(("delete", "group", "staff"))


def steps_of_fresh(data_dir):
    modelyard(data_dir, "migrate")
    found = steps_of(data_dir, PEOPLE, **SECRETS)
    applied(data_dir, PEOPLE, **SECRETS)
    return found


def test_groups_can_be_turned_upside_down(data_dir):
    applied(data_dir, "groups: [{name: a}, {name: b, parent: a}, {name: c, parent: b}]")
    turned = "groups: [{name: c}, {name: b, parent: c}, {name: a, parent: b}]"
    applied(data_dir, turned)
    assert steps_of(data_dir, turned) == []


def test_all_or_nothing_when_the_last_step_fails(database):
    before, audited = exported(database), len(rows(database, "SELECT 1 FROM billing_audit_log"))
    wanted = PEOPLE.replace("{models.default: [one]}", "{models.default: [one], sign_up.role: king}")
    wanted = wanted.replace("temperature: 0.2", "temperature: 0.9").replace(
        "{name: staff}", "{name: staff}, {name: more}"
    )
    told = applied(database, wanted, code=1, **SECRETS)
    assert "Nothing was changed" in told
    assert "sign_up.role" in told
    assert exported(database) == before
    assert len(rows(database, "SELECT 1 FROM billing_audit_log")) == audited
    assert len(modelyard(database, "revisions", "--json").stdout) == len(
        modelyard(database, "revisions", "--json").stdout
    )


def test_every_step_is_audited_and_the_whole_as_well(database):
    actions = [action for (action,) in rows(database, "SELECT action FROM billing_audit_log ORDER BY position")]
    for action in (
        "group.created",
        "user.created",
        "connection.created",
        "key.created",
        "model.created",
        "settings.updated",
    ):
        assert action in actions
    [(entity, description)] = rows(
        database, "SELECT entity_id, description FROM billing_audit_log WHERE action = 'yard.applied'"
    )
    assert (entity, description) == ("2", "8 created, 0 updated, 0 deleted")


def test_rollback_goes_back_to_a_revision(database):
    before = exported(database)
    applied(database, "models: [{id: other}]\nsettings: {}")
    assert exported(database) != before
    told = modelyard(database, "rollback", "2", "--yes").stdout
    assert "+ model one" in told
    assert exported(database) == before
    listed = json.loads(modelyard(database, "revisions", "--json").stdout)
    assert [row["id"] for row in listed] == [4, 3, 2, 1]
    assert rows(database, "SELECT entity_id FROM billing_audit_log WHERE action = 'yard.rolled_back'") == [("4",)]
    assert "no revision 99" in modelyard(database, "rollback", "99", "--yes", code=1).stderr


def test_rollback_of_a_removed_connection_asks_for_its_secret(database):
    applied(database, "connections: []")
    told = modelyard(database, "rollback", "2", "--yes", code=1).stderr
    assert "${MODELYARD_CLOUD_KEY_1} is not set" in told
    modelyard(database, "rollback", "2", "--yes", MODELYARD_CLOUD_KEY_1=SECRETS["FIRST"])
    assert steps_of(database, PEOPLE, **SECRETS) == []


def test_rollback_leaves_the_secrets_of_connections_that_are_there(database):
    applied(database, PEOPLE.replace("a.example", "a.example/other"), **SECRETS)
    modelyard(database, "rollback", "2", "--yes")
    assert steps_of(database, PEOPLE, **SECRETS) == []


def test_rollback_to_another_address_asks_for_the_secret(database):
    applied(database, PEOPLE.replace("a.example", "b.example"), **SECRETS)
    told = modelyard(database, "rollback", "2", "--yes", code=1).stderr
    assert "${MODELYARD_CLOUD_KEY_1} is not set" in told
    assert "address changes" in told
    assert "b.example" in exported(database)
    modelyard(database, "rollback", "2", "--yes", MODELYARD_CLOUD_KEY_1=SECRETS["FIRST"])
    assert steps_of(database, PEOPLE, **SECRETS) == []


def test_doubled_tags_and_suggestions_are_one_and_the_plan_comes_to_rest(database):
    meta = "{tags: [b, {name: a}, B], suggestion_prompts: [{content: Hi}, {content: Hi}]}"
    twice = f"models: [{{id: one, meta: {meta}}}]"
    applied(database, twice)
    [(stored,)] = rows(database, "SELECT meta FROM models WHERE id = 'one'")
    assert json.loads(stored) == {"tags": [{"name": "b"}, {"name": "a"}], "suggestion_prompts": [{"content": "Hi"}]}
    assert steps_of(database, twice) == []
    assert steps_of(database, twice.replace("B]", "null, B, {name: null}]")) == []


OWNERLESS = {"nobody": "", "gone": "user-who-is-gone", "system": "command-line"}


def own(data_dir, **owners):
    """Rows get the owners that only what happened to people can give them."""
    with closing(sqlite3.connect(data_dir / "modelyard.db")) as connection, connection:
        for model_id, user_id in owners.items():
            connection.execute("UPDATE models SET user_id = ? WHERE id = ?", (user_id, model_id))


def kept(data_dir):
    """The number of a revision of what there is now."""
    applied(data_dir, "groups: [{name: more}]", "--keep")
    return json.loads(modelyard(data_dir, "revisions", "--json").stdout)[0]["id"]


def owners_of(data_dir):
    return dict(rows(data_dir, "SELECT id, user_id FROM models"))


def test_rollback_gives_no_owner_to_a_row_that_had_none(database):
    """Neither one that comes back nor one that somebody has got meanwhile: a preset of the command line opens its base."""
    three = "models: [{id: nobody, base_model_id: a}, {id: gone, base_model_id: a}, {id: system, base_model_id: a}]"
    applied(database, three)
    own(database, **OWNERLESS)
    number = kept(database)
    owned = three.replace("base_model_id: a", "base_model_id: a, owner: ann@example.com")
    for meanwhile in ("models: []", owned, "models: [{id: nobody}]"):
        applied(database, meanwhile)
        modelyard(database, "rollback", str(number), "--yes")
        assert owners_of(database) == OWNERLESS, meanwhile
    assert "There is nothing to do" in modelyard(database, "rollback", str(number), "--yes").stdout


def test_rollback_tells_nobody_from_the_command_line(database):
    applied(database, "models: [{id: one, base_model_id: a}]")
    number = kept(database)
    own(database, one="")
    told = modelyard(database, "rollback", str(number), "--yes").stdout
    assert "command-line" in told, "the plan shows it"
    assert owners_of(database) == {"one": "command-line"}


def test_a_revision_that_has_not_noted_owners_gives_its_rows_to_nobody(database):
    applied(
        database,
        "models: [{id: one}, {id: back, base_model_id: a}, {id: own, base_model_id: a, owner: ann@example.com}]",
    )
    own(database, one="command-line")
    number = kept(database)
    with closing(sqlite3.connect(database / "modelyard.db")) as connection, connection:
        connection.execute("UPDATE revisions SET owners = NULL")
    applied(database, "models: [{id: one}, {id: own, base_model_id: a}]")
    own(database, own="")
    modelyard(database, "rollback", str(number), "--yes")
    [(ann,)] = rows(database, "SELECT id FROM users WHERE email = 'ann@example.com'")
    assert owners_of(database) == {"one": "command-line", "back": "", "own": ann}


def test_apply_asks_a_terminal_or_wants_yes(database):
    told = modelyard(database, "apply", "-", stdin="models: []", code=1).stderr
    assert "--yes" in told
    assert len(rows(database, "SELECT 1 FROM models")) == 2


def test_a_plan_that_is_no_longer_true_is_refused(database):
    plan = plan_of(database, "models: []")
    applied(database, "models: [{id: late}]")
    told = applied(database, "models: []", "--expect", plan["id"], code=1)
    assert "look at the plan again" in told
    assert rows(database, "SELECT id FROM models") == [("late",)]


FAULTS = {
    "no administrator": ("users: [{email: ann@example.com}]", "no administrator"),
    "unset": ("connections: [{name: a, kind: openai, base_url: 'http://a', api_keys: ['${ABSENT}']}]", "${ABSENT} is not set"),
    "deep": ("[" * 5000, "nested too deep"),
    "not yaml": ("models: [", "not YAML"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_document_that_cannot_be_applied_is_refused_with_its_reason(full, fault):
    text, reason = FAULTS[fault]
    assert reason in modelyard(full, "plan", "-", stdin=text, code=1).stderr


def test_a_running_server_follows_the_command_line(data_dir, upstream):
    wanted = f"""
connections: [{{name: scripted, kind: openai, base_url: "{upstream.base_url}", model_ids: [echo]}}]
models: [{{id: echo, access_control: null}}, {{id: brief, name: Brief, base_model_id: echo, access_control: null}}]
"""

    def offered():
        return {row["id"] for row in yard.admin.get("/v1/models").json()["data"]}

    with run_yard(data_dir) as yard:
        told = applied(data_dir, wanted, MODELYARD_ADMIN_API_KEY=ADMIN_KEY)
        assert "Applied: this is revision 2." in told
        wait(lambda: "brief" in offered(), "the server offers what was applied")
        modelyard(data_dir, "rollback", "1", "--yes", MODELYARD_ADMIN_API_KEY=ADMIN_KEY)
        wait(lambda: "brief" not in offered(), "the server no longer offers what was rolled back")
