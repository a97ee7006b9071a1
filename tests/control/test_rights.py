"""Why somebody may or may not: every reason is one that by itself would do, and the answer is what the doors do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.canonical.snapshot import ADMIN, PENDING, USER, Model, Principal, Readers, Snapshot
from modelyard.policy.access import may_use, reads
from modelyard.policy.reasons import Reason, why_base, why_permitted, why_reads, why_uses
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, PENDING_KEY, USER_KEY
from tests.servers import Scripted
from tests.yard import Yard, run_yard

FILE = """
groups:
  - {name: Lab, permissions: {workspace: {models: true}}}
  - {name: Research, parent: Lab}
users:
  - {email: user@example.com, role: user, groups: [Research], keys: [{name: main, key: "${USER_KEY}"}]}
  - {email: other@example.com, role: user, keys: [{name: main, key: "${OTHER_KEY}"}]}
  - {email: pending@example.com, role: pending, groups: [Lab], keys: [{name: main, key: "${PENDING_KEY}"}]}
  - {email: boss@example.com, role: admin, keys: [{name: confined, key: "${CONFINED_ADMIN_KEY}", models: [echo]}]}
models:
  - {id: echo, access_control: {write: {group_ids: [Lab]}}}
  - {id: lorem, access_control: {read: {user_ids: [other@example.com]}}}
  - {id: open, base_model_id: lorem, access_control: null}
  - {id: resting, base_model_id: lorem, access_control: null, is_active: false}
"""
KEYS = {
    "USER_KEY": USER_KEY, "OTHER_KEY": OTHER_KEY, "PENDING_KEY": PENDING_KEY, "CONFINED_ADMIN_KEY": CONFINED_ADMIN_KEY,
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder: Path = tmp_path_factory.mktemp("lab")
    (folder / "yard.yaml").write_text(FILE)
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, **KEYS}
    with run_yard(folder / "data", environment, ("--config", str(folder / "yard.yaml"))) as running:
        yield running


def ids(yard: Yard) -> dict[str, str]:
    items = yard.admin.get("/api/v1/users/all").json()["items"]
    return {row["email"].partition("@")[0]: row["id"] for row in items}


def rights(yard: Yard, name: str, model: str | None = None) -> dict:
    answer = yard.admin.get(f"/api/v1/users/{ids(yard)[name]}/rights", params={} if model is None else {"model": model})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kinds(decision: dict) -> list[str]:
    return [reason["kind"] for reason in decision["reasons"]]


def permission(found: dict, path: str) -> dict:
    return next(item for item in found["permissions"] if item["permission"] == path)


def test_a_group_above_gives_a_permission_and_is_named(lab):
    found = rights(lab, "user")
    groups = {group["name"]: group for group in found["groups"]}
    assert (groups["Research"]["direct"], groups["Lab"]["direct"]) == (True, False)
    assert groups["Research"]["parent_id"] == groups["Lab"]["id"]
    given = permission(found, "workspace.models")
    assert given["allowed"] is True
    assert given["reasons"] == [{"kind": "group", "group_id": groups["Lab"]["id"]}]
    assert kinds(permission(found, "chat.controls")) == ["default"]
    assert permission(found, "features.api_keys") == {
        "permission": "features.api_keys", "allowed": False, "reasons": [],
    }  # fmt: skip


@pytest.mark.parametrize(("name", "key"), [("user", USER_KEY), ("other", OTHER_KEY)])
def test_the_answer_is_what_the_person_is_told_and_what_the_door_does(lab, name, key):
    with lab.client(key) as client:
        told = client.get("/api/v1/users/permissions").json()
        for item in rights(lab, name)["permissions"]:
            section, _, field = item["permission"].partition(".")
            assert item["allowed"] is told[section][field], item
        for model in ("echo", "lorem", "open", "resting"):
            allowed = rights(lab, name, model)["model"]["use"]["allowed"]
            assert (client.get(f"/v1/models/{model}").status_code == 200) is allowed, model


def test_a_change_of_the_defaults_shows_at_once(lab):
    lab.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": True}})
    assert kinds(permission(rights(lab, "other"), "features.api_keys")) == ["default"]
    lab.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": False}})
    assert permission(rights(lab, "other"), "features.api_keys")["allowed"] is False


def test_models_tell_use_base_and_write_apart(lab):
    by_group = rights(lab, "user", "echo")["model"]
    assert (by_group["state"], by_group["use"]["allowed"], by_group["write"]["allowed"]) == ("served", True, True)
    assert kinds(by_group["use"]) == kinds(by_group["write"]) == ["group"]
    assert kinds(rights(lab, "other", "lorem")["model"]["use"]) == ["person"]
    assert rights(lab, "user", "open")["model"]["base"] == {
        "allowed": True, "reasons": [{"kind": "preset_owner", "group_id": None}],
    }  # fmt: skip
    assert rights(lab, "other", "open")["model"]["base"]["allowed"] is True
    assert rights(lab, "other", "resting")["model"]["state"] == "inactive"
    assert rights(lab, "other", "resting")["model"]["use"]["allowed"] is False
    boss = rights(lab, "boss", "lorem")["model"]
    assert kinds(boss["use"]) == kinds(boss["write"]) == ["administrator"]


def test_a_preset_whose_owner_has_left_needs_its_base_open_as_well(lab):
    form = {"email": "leaver@example.com", "role": "admin"}
    leaver = lab.admin.post("/api/v1/users/", json=form).json()["id"]
    with lab.client(lab.make_key(user_id=leaver)) as client:
        made = client.post(
            "/api/v1/models/create",
            json={"id": "left", "name": "Left", "base_model_id": "lorem", "access_control": None},
        )
        assert made.status_code == 200, made.text
    assert rights(lab, "user", "left")["model"]["use"]["allowed"] is True
    assert lab.admin.delete(f"/api/v1/users/{leaver}").status_code == 200
    shut = rights(lab, "user", "left")["model"]
    assert (shut["use"]["allowed"], kinds(shut["use"])) == (False, ["everyone"])
    assert shut["base"] == {"allowed": False, "reasons": []}
    assert rights(lab, "other", "left")["model"]["use"]["allowed"] is True


def test_a_pending_person_may_nothing_and_waiting_is_the_reason(lab):
    found = rights(lab, "pending", "open")
    assert {(item["allowed"], *kinds(item)) for item in found["permissions"]} == {(False, "pending")}
    for name in ("use", "base", "write"):
        assert (found["model"][name]["allowed"], kinds(found["model"][name])) == (False, ["pending"]), name


def test_people_ask_about_themselves_only_and_learn_of_no_model_that_they_may_not_see(lab):
    people = ids(lab)
    with lab.client(OTHER_KEY) as other:
        own = other.get(f"/api/v1/users/{people['other']}/rights")
        assert own.status_code == 200
        assert own.json()["user_id"] == people["other"]
        for somebody in (people["user"], "nobody"):
            assert other.get(f"/api/v1/users/{somebody}/rights").status_code == 403
        hidden, absent = (
            other.get(f"/api/v1/users/{people['other']}/rights", params={"model": model}) for model in ("echo", "none")
        )
        assert (hidden.status_code, hidden.json()) == (404, absent.json())
    with lab.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.get(f"/api/v1/users/{people['boss']}/rights").status_code == 403
    assert lab.admin.get("/api/v1/users/nobody/rights").status_code == 404
    assert lab.admin.get(f"/api/v1/users/{people['other']}/rights", params={"model": "none"}).status_code == 404


def model(readers: Readers, owner: str | None = None, **fields: object) -> Model:
    return Model(id="m", name="m", owner_id=owner, readers=readers, entry=b"", **fields)  # type: ignore[arg-type]  # fields of any kind


EVERY_READERS = [
    Readers(everyone=everyone, user_ids=frozenset(users), group_ids=frozenset(groups))
    for everyone in (False, True)
    for users in ((), ("me",), ("you",))
    for groups in ((), ("a",), ("a", "b"), ("c",))
]
EVERY_PRINCIPAL = [
    Principal(user_id="me", name="", email="", role=role, group_ids=frozenset(groups), sees_all=sees_all)
    for role, sees_all in ((PENDING, False), (USER, False), (ADMIN, False), (ADMIN, True))
    for groups in ((), ("a",), ("a", "b"))
]


@pytest.mark.parametrize("who", EVERY_PRINCIPAL)
def test_there_is_a_reason_exactly_when_the_rule_says_yes(who):
    for readers in EVERY_READERS:
        for owner in (None, "me", "you"):
            read = why_reads(who, readers, owner)
            assert read.allowed == bool(read.reasons) == reads(who, readers, owner)
            for open_catalogue in (False, True):
                for opens in (False, True):
                    base = model(Readers(user_ids=frozenset({"me"})))
                    preset = model(readers, owner, base=base, opens_base=opens)
                    snapshot = Snapshot(
                        version=1, credentials={}, models={}, connections={}, open_catalogue=open_catalogue
                    )
                    use, through = why_uses(who, preset, snapshot), why_base(who, preset, snapshot)
                    assert through is not None
                    assert use.allowed == may_use(who, preset, snapshot)
                    if who.role == PENDING:
                        assert use.reasons == through.reasons == (Reason("pending"),)
                    else:
                        assert use.allowed == (bool(use.reasons) and through.allowed)
                        assert through.allowed == bool(through.reasons)


def test_permissions_have_a_reason_exactly_when_they_are_given():
    who = Principal(user_id="me", name="", email="", role=USER, group_ids=frozenset({"a", "b"}),
                    permissions=frozenset({"chat.edit", "workspace.models"}))  # fmt: skip
    groups = {"a": {"workspace.models": True}, "b": {"workspace.models": True, "chat.share": False}}
    by_default = frozenset({"chat.edit"})
    assert why_permitted(who, "workspace.models", by_default, groups).reasons == (
        Reason("group", "a"),
        Reason("group", "b"),
    )
    assert why_permitted(who, "chat.edit", by_default, groups).reasons == (Reason("default"),)
    assert why_permitted(who, "chat.share", by_default, groups).reasons == ()


def test_an_arena_entry_says_who_may_call_it_and_opens_none_of_its_models(lab):
    everyone = {"access_control": None}
    entries = [
        {"id": "blind", "name": "Blind", "meta": {**everyone, "model_ids": ["echo", "lorem", "open"]}},
        {"id": "sealed", "name": "Sealed", "meta": {**everyone, "model_ids": ["lorem"]}},
        {"id": "private", "name": "Private", "meta": {"model_ids": ["open"]}},
    ]
    form = {"ENABLE_EVALUATION_ARENA_MODELS": True, "EVALUATION_ARENA_MODELS": entries}
    assert lab.admin.post("/api/v1/evaluations/config", json=form).status_code == 200
    messages = [{"role": "user", "content": "hi"}]
    for name, key in (("user", USER_KEY), ("other", OTHER_KEY)):
        with lab.client(key) as client:
            for entry in ("blind", "blind:latest", "sealed"):
                use = rights(lab, name, entry)["model"]["use"]
                called = client.post("/v1/chat/completions", json={"model": entry, "messages": messages})
                assert use["allowed"] is (called.status_code == 200), (name, entry, called.text)
            own = client.get(f"/api/v1/users/{ids(lab)[name]}/rights", params={"model": "private"})
            assert own.status_code == 404, "what they do not see is not told of"
            assert client.get(f"/api/v1/users/{ids(lab)[name]}/rights", params={"model": "sealed"}).status_code == 200
    blind, sealed = rights(lab, "user", "blind")["model"], rights(lab, "user", "sealed")["model"]
    assert (blind["id"], blind["name"], blind["state"], blind["base"]) == ("blind", "Blind", "served", None)
    assert (kinds(blind["use"]), blind["behind"], blind["write"]["allowed"]) == (["everyone"], 2, False)
    assert (sealed["use"]["allowed"], kinds(sealed["use"]), sealed["behind"]) == (False, ["everyone"], 0)
    assert rights(lab, "user", "open")["model"]["behind"] is None
    boss = rights(lab, "boss", "private")["model"]
    assert (boss["use"]["allowed"], kinds(boss["use"]), boss["behind"]) == (True, ["administrator"], 1)
    assert kinds(boss["write"]) == ["administrator"]
    waiting = rights(lab, "pending", "blind")["model"]
    assert (waiting["use"]["allowed"], kinds(waiting["use"]), waiting["behind"]) == (False, ["pending"], 0)
