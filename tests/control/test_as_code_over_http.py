"""The document over HTTP: who may, what is refused, and that the server's environment stays where it is."""

import re

import pytest

from tests.control.as_code import SECRETS
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY
from tests.yard import run_yard

ENVIRONMENT = {"LEAKY": "a-variable-of-the-server-0123456789"}
STANDING = """
users:
  - {email: boss@example.com, role: admin}
  - {email: ann@example.com, keys: [{name: main, limits: {rpm: 5}}]}
groups: [{name: staff}]
connections: [{name: cloud, kind: openai, base_url: "http://127.0.0.1:9", api_keys: ["${FIRST}"], headers: {X-Team: "${HEADER}"}}]
models:
  - {id: one, access_control: {read: {group_ids: [staff]}}}
"""


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A server whose database none of these tests changes."""
    with run_yard(tmp_path_factory.mktemp("standing") / "data", ENVIRONMENT) as yard:
        done(yard, "apply", document=STANDING, values=SECRETS)
        yield yard


@pytest.fixture
def changing(data_dir):
    """A server whose database a test may change."""
    with run_yard(data_dir, ENVIRONMENT) as yard:
        done(yard, "apply", document=STANDING, values=SECRETS)
        yield yard


def done(yard, verb, **form):
    answer = yard.admin.post(f"/api/v1/yard/{verb}", json=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def exported(yard):
    answer = yard.admin.get("/api/v1/yard")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/yaml")
    return answer.text


REFUSED = {
    "twins": ("models: [{id: a}, {id: a}]", "more than once"),
    "twin e-mails": ("users: [{email: A@b.c, role: admin}, {email: a@B.c}]", "more than once"),
    "twin keys": ("users: [{email: a@b.c, role: admin, keys: [{name: k}, {name: k}]}]", "more than once"),
    "twin groups": ("groups: [{name: staff}, {name: ' staff '}]", "more than once"),
    "unknown owner": ("models: [{id: a, owner: nobody@example.com}]", "nobody@example.com"),
    "unknown grantee": ("models: [{id: a, access_control: {read: {group_ids: [nobody]}}}]", "nobody"),
    "removed grantee": ("groups: []\nmodels: [{id: a, access_control: {read: {group_ids: [staff]}}}]", "staff"),
    "unknown group": ("users: [{email: a@b.c, role: admin, groups: [nobody]}]", "nobody"),
    "unknown parent": ("groups: [{name: a, parent: b}]", "'b'"),
    "circle": ("groups: [{name: a, parent: b}, {name: b, parent: a}]", "below itself"),
    "unknown setting": ("settings: {colour: red}", "colour"),
    "unknown permission": ("settings: {permissions: {workspace: {cheese: true}}}", "workspace.cheese"),
    "group of sign-up": ("settings: {sign_up.group: nobody}", "nobody"),
    "parameter": ("models: [{id: a, params: {temperature: hot}}]", "model a"),
    "another kind": ("users: [{email: boss@example.com, role: admin}, {email: ann@example.com, kind: service}]", "cannot become"),
    "unset": ("connections: [{name: a, kind: openai, base_url: 'http://a', api_keys: ['${ABSENT}']}]", "${ABSENT}"),
    "another's key": (
        "connections: [{name: a, kind: openai, base_url: 'http://a', api_keys: ['${MODELYARD_CLOUD_KEY_1}']}]",
        "MODELYARD_CLOUD_KEY_1",
    ),
    "key as a tag": (
        "connections: [{name: cloud, kind: openai, base_url: 'http://a', tags: ['${MODELYARD_CLOUD_KEY_1}']}]",
        "MODELYARD_CLOUD_KEY_1",
    ),
    "masked key": ("connections: [{name: cloud, kind: openai, base_url: 'http://a', api_keys: ['********6789']}]", "masked"),
    "date": ("models: [{id: a, params: {since: 2024-01-01}}]", "models.0.params.since"),
    "number as a name": ("models: [{id: a, meta: {1: x}}]", "models.0.meta"),
    "infinity": ("models: [{id: a, params: {x: .inf}}]", "models.0.params.x"),
    "nul": ('models: [{id: a, meta: {x: "\\0"}}]', "models.0.meta.x"),
    "bytes": ("models: [{id: a, meta: {x: !!binary aGk=}}]", "models.0.meta.x"),
    "code": ("models: !!python/object/apply:os.system ['true']", "constructor"),
    "deep": ("[" * 5000, "nested too deep"),
    "deep by anchors": ("models: &a [*a]", "nested too deep"),
    "laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "too much",
    ),
    "digits": (f"models: [{{id: a, params: {{seed: {'9' * 10_000}}}}}]", "number"),
    "dollars": ("models: [{id: a, name: '" + "$" * 1_000_000 + "${'}]", "models.0.name"),
    "too many": ("models: [" + "a," * 300_000 + "]", "too many"),
    "faults": ("models: [" + "a," * 1000 + "]", "And 980 more"),
    "mapping as a name": ("? {key: secret}\n: 1", "a name is no text"),
    "minutes": (f"models: [{{id: a, params: {{seed: 1{':59' * 100_000}}}}}]", "number"),
    "not a mapping": ("- a", "mapping|dictionary|Yard"),
    "not yaml": ("models: [", "not YAML"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_a_document_that_cannot_be_applied_is_refused_with_its_reason(standing, fault):
    text, reason = REFUSED[fault]
    answer = standing.admin.post("/api/v1/yard/plan", json={"document": text})
    assert answer.status_code == 422, answer.text
    assert re.search(reason if fault == "not a mapping" else re.escape(reason), answer.json()["detail"]), answer.text
    for secret in SECRETS.values():
        assert secret not in answer.text


def test_a_document_that_is_too_large_is_refused(standing):
    answer = standing.admin.post("/api/v1/yard/plan", json={"document": "# " + "x" * (2 * 1024 * 1024)})
    assert answer.status_code in (413, 422)


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    "place",
    [
        "connections: [{name: a, kind: openai, base_url: 'http://127.0.0.1:9', headers: {X: '${LEAKY}'}}]",
        "connections: [{name: a, kind: openai, base_url: 'http://127.0.0.1:9/${LEAKY}'}]",
        "models: [{id: a, name: '${LEAKY}'}]",
        "models: [{id: a, params: {system: 'all of ${LEAKY}'}}]",
        "connections: [{name: cloud, kind: openai, base_url: 'http://127.0.0.1:9', api_keys: ['${LEAKY}']}]",
    ],
)
def test_nobody_reads_the_servers_environment_over_http(standing, verb, place):
    before = exported(standing)
    answer = standing.admin.post(f"/api/v1/yard/{verb}", json={"document": place})
    assert answer.status_code == 422
    assert "${LEAKY} is not set" in answer.json()["detail"]
    assert ENVIRONMENT["LEAKY"] not in answer.text
    assert exported(standing) == before


@pytest.mark.parametrize(
    "place",
    [
        "api_keys: ['${MODELYARD_CLOUD_HEADER_X_TEAM}']",
        "headers: {X-Team: '${MODELYARD_CLOUD_KEY_1}'}",
        "headers: {X-Other: '${MODELYARD_CLOUD_HEADER_X_TEAM}'}",
        "headers: {X-Team: 'all ${MODELYARD_CLOUD_HEADER_X_TEAM}'}",
        "prefix_id: '${MODELYARD_CLOUD_KEY_1}'",
    ],
)
def test_a_secret_is_found_by_its_reference_at_its_own_place_only(standing, place):
    text = f"connections: [{{name: cloud, kind: openai, base_url: 'http://127.0.0.1:9', {place}}}]"
    answer = standing.admin.post("/api/v1/yard/plan", json={"document": text})
    assert answer.status_code == 422
    assert "is not set" in answer.json()["detail"]


ELSEWHERE = {
    "port": "base_url: 'http://127.0.0.1:8'",
    "host": "base_url: 'http://localhost:9'",
    "scheme": "base_url: 'https://127.0.0.1:9'",
    "scheme by kind": "base_url: 'https://127.0.0.1:9', kind: anthropic",
    "host that begins alike": "base_url: 'http://127.0.0.1.example.com:9'",
    "dot at the end": "base_url: 'http://127.0.0.1.:9'",
    "user before the host": "base_url: 'http://127.0.0.1:9@example.com'",
    "by a value": "base_url: '${MOVED}'",
    "by a value in the middle": "base_url: 'http://127.0.0.1${PART}'",
    "no address": "base_url: null",
}
REFERRING = {
    "api_keys": "api_keys: ['${MODELYARD_CLOUD_KEY_1}']",
    "headers": "headers: {X-Team: '${MODELYARD_CLOUD_HEADER_X_TEAM}'}",
}


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize("field", REFERRING)
@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_reference_finds_no_secret_for_another_address(standing, verb, field, place):
    kind = "" if "kind" in ELSEWHERE[place] else "kind: openai, "
    text = f"connections: [{{name: cloud, {kind}{ELSEWHERE[place]}, {REFERRING[field]}}}]"
    values = {"MOVED": "http://127.0.0.1:8", "PART": ":8/"}
    before = exported(standing)
    answer = standing.admin.post(f"/api/v1/yard/{verb}", json={"document": text, "values": values, "keep": True})
    assert answer.status_code == 422
    assert "This connection's address changes" in answer.json()["detail"]
    assert field in answer.json()["detail"]
    assert exported(standing) == before


@pytest.mark.parametrize("url", ["HTTP://127.0.0.1:9/other", "http://127.0.0.1:9/", "http://127.0.0.1:${PORT}/v1"])
def test_a_reference_stays_good_while_the_address_has_the_same_origin(standing, url):
    text = f"connections: [{{name: cloud, kind: ollama, base_url: '{url}', {', '.join(REFERRING.values())}}}]"
    [step] = done(standing, "plan", document=text, values={"PORT": "9"})["steps"]
    assert not {name for name in step["fields"] if name.startswith(("api_keys", "headers"))}


def test_a_connection_of_another_name_has_no_secret_of_the_old_one(standing):
    renamed = exported(standing).replace("name: cloud", "name: clouds")
    answer = standing.admin.post("/api/v1/yard/plan", json={"document": renamed})
    assert answer.status_code == 422
    assert "${MODELYARD_CLOUD_KEY_1} is not set" in answer.json()["detail"]


def test_a_connection_removed_and_made_again_under_its_name_has_no_secret(changing):
    document = exported(changing)
    done(changing, "apply", document="connections: []")
    assert changing.admin.post("/api/v1/yard/apply", json={"document": document}).status_code == 422
    form = {"name": "cloud", "kind": "openai", "base_url": "http://127.0.0.1:8", "enable": False}
    assert changing.admin.post("/api/v1/connections", json=form).json()["api_keys"] == []
    assert changing.admin.post("/api/v1/yard/apply", json={"document": document}).status_code == 422


def test_a_connection_moves_with_secrets_that_are_given_or_without_any(changing):
    moved = exported(changing).replace("127.0.0.1:9", "127.0.0.1:8")
    assert "127.0.0.1:8" in moved
    values = {"MODELYARD_CLOUD_KEY_1": SECRETS["SECOND"], "MODELYARD_CLOUD_HEADER_X_TEAM": SECRETS["HEADER"]}
    done(changing, "apply", document=moved, values=values)
    assert exported(changing) == moved
    bare = "connections: [{name: cloud, kind: openai, base_url: 'http://127.0.0.1:7'}]"
    done(changing, "apply", document=bare)
    assert "KEY_1" not in exported(changing)
    assert "HEADER" not in exported(changing)


def test_an_export_is_unchanged_without_any_value(standing):
    assert done(standing, "plan", document=exported(standing))["steps"] == []


@pytest.mark.parametrize(("method", "path"), [
    ("GET", ""), ("POST", "/plan"), ("POST", "/apply"), ("POST", "/rollback"),
    ("POST", "/rollback/plan"), ("GET", "/revisions"), ("GET", "/revisions/1"),
])  # fmt: skip
def test_only_administrators_who_manage_may(peopled, method, path):
    body = {"json": {"document": "", "revision": 1}} if method == "POST" else {}
    for key, status in ((USER_KEY, 403), (OTHER_KEY, 403), (CONFINED_ADMIN_KEY, 403), (None, 401)):
        with peopled.client(key) as client:
            assert client.request(method, f"/api/v1/yard{path}", **body).status_code == status


def test_a_key_with_limits_cannot_apply(standing):
    key = standing.make_key(name="narrow", limits={"rpm": 1000})
    with standing.client(key) as client:
        assert client.get("/api/v1/yard").status_code == 200
        assert client.post("/api/v1/yard/apply", json={"document": "models: []"}).status_code == 403


def test_plan_apply_and_rollback(changing):
    first = exported(changing)
    wanted = first.replace("  - id: one\n", "  - id: one\n    name: First\n")
    plan = done(changing, "plan", document=wanted)
    assert plan["steps"] == [
        {"noun": "model", "name": "one", "action": "update", "fields": {"name": {"old": "one", "new": "First"}}}
    ]
    made = done(changing, "apply", document=wanted, expect=plan["id"])
    assert made["steps"] == plan["steps"]
    assert changing.admin.get("/api/v1/models/model", params={"id": "one"}).json()["name"] == "First"
    stale = changing.admin.post("/api/v1/yard/apply", json={"document": wanted, "expect": plan["id"]})
    assert stale.status_code == 409
    assert done(changing, "apply", document=wanted)["revision"] is None
    listed = changing.admin.get("/api/v1/yard/revisions").json()["items"]
    assert [row["id"] for row in listed[:2]] == [made["revision"], made["before"]]
    assert changing.admin.get(f"/api/v1/yard/revisions/{made['revision']}").text == exported(changing) == wanted
    plan = done(changing, "rollback/plan", revision=made["before"])
    assert [step["fields"] for step in plan["steps"]] == [{"name": {"old": "First", "new": "one"}}]
    back = done(changing, "rollback", revision=made["before"], expect=plan["id"])
    assert back["before"] == made["revision"] and back["steps"] == plan["steps"]
    assert exported(changing) == first
    assert changing.admin.get(f"/api/v1/yard/revisions/{back['revision']}").text == first
    for absent in (10**6, 10**30, -1):
        assert changing.admin.get(f"/api/v1/yard/revisions/{absent}").status_code == 404
    assert changing.admin.post("/api/v1/yard/rollback", json={"revision": 10**6}).status_code == 404


def test_a_model_whose_owner_has_left_does_not_go_to_whoever_rolls_back(changing):
    leaver = changing.admin.post("/api/v1/users/", json={"email": "leaver@example.com", "role": "admin"}).json()["id"]
    with changing.client(changing.make_key(user_id=leaver)) as client:
        form = {"id": "left", "name": "Left", "base_model_id": "one", "access_control": None}
        assert client.post("/api/v1/models/create", json=form).status_code == 200
    assert changing.admin.delete(f"/api/v1/users/{leaver}").status_code == 200

    def owner():
        return changing.admin.get("/api/v1/models/model", params={"id": "left"}).json()["user_id"]

    assert owner() == leaver
    gone = done(changing, "apply", document="models: [{id: one}]")
    back = done(changing, "rollback", revision=gone["before"])
    assert [step["name"] for step in back["steps"] if step["action"] == "create"] == ["left"]
    assert owner() == leaver
    given = done(
        changing, "apply", document="models: [{id: left, base_model_id: one, owner: ann@example.com}]", keep=True
    )
    assert owner() != leaver
    back = done(changing, "rollback", revision=given["before"])
    [step] = back["steps"]
    assert step["fields"]["owner"] == {"old": "ann@example.com", "new": leaver}
    assert owner() == leaver


def test_a_key_keeps_its_secret_when_its_limits_change(changing):
    [user] = [
        row for row in changing.admin.get("/api/v1/users/all").json()["items"] if row["email"] == "ann@example.com"
    ]
    text = changing.make_key(name="second", user_id=user["id"])
    wanted = exported(changing).replace("      - name: second\n", "      - name: second\n        limits: {rpm: 77}\n")
    assert len(done(changing, "apply", document=wanted)["steps"]) == 1
    with changing.client(text) as ann:
        assert ann.get("/api/v1/auths/").json()["email"] == "ann@example.com"
    assert "rpm: 77" in exported(changing)


def test_a_key_without_a_secret_gets_its_first_one_by_rotation(changing):
    [key] = [key for key in changing.admin.get("/api/v1/keys").json()["items"] if key["name"] == "main"]
    assert key["hint"] == ""
    made = changing.admin.post(f"/api/v1/keys/{key['id']}/rotate", json={}).json()
    with changing.client(made["key"]) as ann:
        assert ann.get("/api/v1/auths/").json()["email"] == "ann@example.com"


def test_a_connection_is_read_alone_and_says_whether_it_loads(standing):
    [row] = standing.admin.get("/api/v1/connections").json()["items"]
    found = standing.admin.get(f"/api/v1/connections/{row['id']}")
    assert found.status_code == 200
    assert found.json() == row
    assert row["loads"] is True
    assert standing.admin.get("/api/v1/connections/none").status_code == 404
