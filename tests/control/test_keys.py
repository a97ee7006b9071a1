"""API keys: whose they are, what they may, and that nothing widens itself."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from modelyard.control.keys.service import MAX_KEYS
from modelyard.core.seal import Seal
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY
from tests.operations.tools import wait

ASK = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture
def user(peopled):
    with peopled.client(USER_KEY) as client:
        yield client


@pytest.fixture
def other(peopled):
    with peopled.client(OTHER_KEY) as client:
        yield client


def make(client, **form):
    return client.post("/api/v1/keys", json={"name": "test", **form})


def status_of(peopled, key: str, model: str = "echo") -> int:
    with peopled.client(key) as client:
        return client.post("/v1/chat/completions", json={**ASK, "model": model}).status_code


def test_a_key_is_shown_once_and_only_its_digest_is_kept(peopled, user):
    made = make(user).json()
    key = made.pop("key")
    assert key.startswith("sk-my-")
    assert len(key) > 40
    assert status_of(peopled, key) == 200
    for listing in (user.get("/api/v1/keys"), peopled.admin.get("/api/v1/keys"), peopled.admin.get("/api/v1/audit")):
        assert key not in listing.text
    assert made in user.get("/api/v1/keys").json()["items"]
    for file in peopled.data_dir.glob("*.db*"):
        assert key.encode() not in file.read_bytes()
        assert USER_KEY.encode() not in file.read_bytes()
    with closing(sqlite3.connect(peopled.data_dir / "modelyard.db")) as connection:
        [(digest,)] = connection.execute("SELECT digest FROM api_keys WHERE id = ?", (made["id"],))
    assert digest == Seal((peopled.data_dir / "secret-key").read_text()).digest(key)


def test_everyone_lists_their_own_and_an_administrator_all(peopled, user, other):
    mine, theirs = make(user).json()["id"], make(other).json()["id"]
    listed = {row["id"] for row in user.get("/api/v1/keys").json()["items"]}
    assert mine in listed
    assert theirs not in listed
    assert {row["user_id"] for row in user.get("/api/v1/keys").json()["items"]} == {"file-user@example.com"}
    assert {mine, theirs} <= {row["id"] for row in peopled.admin.get("/api/v1/keys").json()["items"]}


def test_only_an_administrator_makes_keys_for_others(peopled, user):
    assert make(user, user_id="file-other@example.com").status_code == 403
    assert make(user, user_id="nobody").status_code == 403, "not told apart from an existing one"
    assert make(peopled.admin, user_id="nobody").status_code == 404
    made = make(peopled.admin, user_id="file-user@example.com").json()
    assert made["user_id"] == "file-user@example.com"
    assert status_of(peopled, made["key"]) == 200


def test_a_revoked_key_is_refused_at_once_and_only_by_those_who_may(peopled, user, other):
    made = make(user).json()
    assert other.delete(f"/api/v1/keys/{made['id']}").status_code == 404
    assert status_of(peopled, made["key"]) == 200
    assert user.delete(f"/api/v1/keys/{made['id']}").status_code == 200
    assert status_of(peopled, made["key"]) == 401
    assert user.delete(f"/api/v1/keys/{made['id']}").status_code == 404
    theirs = make(other).json()
    assert peopled.admin.delete(f"/api/v1/keys/{theirs['id']}").status_code == 200
    assert status_of(peopled, theirs["key"]) == 401


def test_a_declared_key_cannot_be_revoked_here(peopled, user, other):
    declared = next(row for row in user.get("/api/v1/keys").json()["items"] if row["source"] == "file")
    assert other.delete(f"/api/v1/keys/{declared['id']}").status_code == 404
    assert peopled.admin.delete(f"/api/v1/keys/{declared['id']}").status_code == 409


def test_a_confined_key_uses_only_its_models_and_cannot_widen_itself(peopled, user):
    confined = make(user, models=["echo"]).json()["key"]
    with peopled.client(confined) as client:
        assert [row["id"] for row in client.get("/v1/models").json()["data"]] == ["echo"]
        assert make(client).status_code == 403
        assert make(client, models=["echo", "lorem"]).status_code == 403
        child = make(client, models=["echo"])
        assert child.status_code == 200
    assert status_of(peopled, child.json()["key"]) == 200
    assert status_of(peopled, make(user, models=[]).json()["key"]) == 403
    spoken = make(user, dialects=["ollama"]).json()["key"]
    assert status_of(peopled, spoken) == 403
    with peopled.client(spoken) as client:
        assert client.get("/v1/models").status_code == 403
        assert make(client, dialects=["openai"]).status_code == 403
        assert make(client, dialects=["openai", "ollama"]).status_code == 403


def test_a_confined_administrators_key_manages_nothing(peopled, user):
    """control.context: "A key that is confined to some models or dialects may not manage anything."."""
    victim = make(user).json()
    with peopled.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.get("/api/v1/connections").status_code == 403
        assert confined.get("/api/v1/audit").status_code == 403
        found = {
            "revokes the keys of others": confined.delete(f"/api/v1/keys/{victim['id']}").status_code,
            "makes keys in the name of others": make(
                confined, models=["echo"], user_id="file-user@example.com"
            ).status_code,
            "reads metrics": confined.get("/metrics").status_code,
        }
        listed = {row["user_id"] for row in confined.get("/api/v1/keys").json()["items"]}
    assert {name: status for name, status in found.items() if status not in (403, 404)} == {}
    assert listed <= {"file-boss@example.com"}, "it sees the keys of others"


def test_a_limited_key_makes_no_keys(peopled, user):
    """Together with its children it would exceed its own limit, however small theirs are."""
    limited = make(user, limits={"rpm": 5, "concurrency": 2}).json()["key"]
    with peopled.client(limited) as client:
        for limits in ({}, {"rpm": 6, "concurrency": 2}, {"rpm": 5, "concurrency": 1}):
            assert make(client, limits=limits).status_code == 403


def test_a_limited_key_cannot_multiply_its_limit_by_its_children(peopled, user):
    limited = make(user, limits={"rpm": 2}).json()["key"]
    served = []
    with peopled.client(limited) as client:
        children = [make(client, limits={"rpm": 2}) for _ in range(3)]
    for key in (limited, *(child.json()["key"] for child in children if child.status_code == 200)):
        served += [status_of(peopled, key) for _ in range(3)]
    assert served.count(200) <= 2


def expires(peopled, made, seconds):
    """Let a key expire after so many seconds (negative: before), which a form may refuse when the machine is slow."""
    with closing(sqlite3.connect(peopled.data_dir / "modelyard.db", timeout=60)) as database, database:
        ends = int(time.time()) + seconds
        database.execute("UPDATE api_keys SET expires_at = ? WHERE id = ?", (ends, made["id"]))
    assert patch(peopled.admin, made, name="expires").json()["expires_at"] == ends, "the server has read it"


def test_a_key_expires(peopled, user):
    made = make(user, expires_at=int(time.time()) + 3600).json()
    assert status_of(peopled, made["key"]) == 200
    with peopled.client(made["key"]) as client:
        child = make(client, expires_at=int(time.time()) + 10_000).json()
        assert child["expires_at"] == made["expires_at"], "none outlives its maker"
        assert status_of(peopled, child["key"]) == 200
        expires(peopled, made, 2)
        wait(lambda: client.get("/v1/models").status_code != 200, "time alone ends it")
        answer = client.get("/v1/models")
        assert answer.status_code == 401
        assert "expired" in answer.text
    expires(peopled, child, -1)
    assert status_of(peopled, child["key"]) == 401
    assert make(user, expires_at=int(time.time()) - 1).status_code == 422


@pytest.mark.parametrize(
    "form",
    [{"expires_at": 10**30}, {"expires_at": -1}, {"limits": {"rpm": 0}}, {"limits": {"rpm": 10**30}}, {"limits": {"x": 1}},
     {"name": ""}, {"name": "x" * 101}, {"dialects": ["latin"]}, {"owner": "me"}, {"models": "echo"}, {"role": "admin"}],
)  # fmt: skip
def test_a_malformed_key_is_422(user, form):
    assert make(user, **form).status_code == 422


def test_rpm_is_held_and_told(peopled, user):
    key = make(user, limits={"rpm": 3}).json()["key"]
    with peopled.client(key) as client:
        answers = [client.post("/v1/chat/completions", json=ASK) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_user_sees_only_granted_models_and_hidden_ones_are_not_told_apart(peopled, user, other):
    assert [row["id"] for row in user.get("/v1/models").json()["data"]] == ["echo"]
    assert {row["id"] for row in other.get("/v1/models").json()["data"]} == {"echo", "lorem"}
    hidden, absent = user.get("/v1/models/lorem"), user.get("/v1/models/absent")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace("lorem", "absent") == absent.text


def test_changes_of_keys_are_in_the_audit_log(peopled, user):
    made = make(user, models=["echo"]).json()
    user.delete(f"/api/v1/keys/{made['id']}")
    entries = peopled.admin.get("/api/v1/audit", params={"entity_id": made["id"]}).json()["items"]
    assert sorted(entry["action"] for entry in entries) == ["key.created", "key.revoked"]
    created = next(entry for entry in entries if entry["action"] == "key.created")
    assert created["user_id"] == "file-user@example.com"
    assert created["changes"]["models"] == {"old": None, "new": ["echo"]}
    assert created["audit_metadata"]["address"] == "127.0.0.1"


def test_an_administrator_lists_the_keys_of_one_user(peopled, user, other):
    mine = make(user).json()["id"]
    make(other)
    listed = peopled.admin.get("/api/v1/keys", params={"user_id": "file-user@example.com"}).json()["items"]
    assert mine in {row["id"] for row in listed}
    assert {row["user_id"] for row in listed} == {"file-user@example.com"}
    assert user.get("/api/v1/keys", params={"user_id": "file-user@example.com"}).status_code == 200
    assert user.get("/api/v1/keys", params={"user_id": "file-other@example.com"}).status_code == 403
    assert user.get("/api/v1/keys", params={"user_id": "nobody"}).status_code == 403


# Changes


def patch(client, made, **form):
    return client.patch(f"/api/v1/keys/{made['id']}", json=form)


def test_an_owner_changes_what_a_key_is_for_and_the_change_holds_at_once(peopled, user):
    made = make(user, models=["lorem"]).json()
    assert status_of(peopled, made["key"]) == 403
    changed = patch(user, made, name="new name", models=["echo"]).json()
    assert (changed["name"], changed["models"], changed["hint"]) == ("new name", ["echo"], made["hint"])
    assert "key" not in changed
    assert status_of(peopled, made["key"]) == 200
    assert patch(user, made, dialects=["ollama"]).status_code == 200
    assert status_of(peopled, made["key"]) == 403
    entries = peopled.admin.get("/api/v1/audit", params={"entity_id": made["id"], "action": "key.updated"}).json()[
        "items"
    ]
    assert entries[-1]["changes"]["models"] == {"old": ["lorem"], "new": ["echo"]}


def test_an_owner_narrows_limits_and_expiry_and_only_an_administrator_lifts_them(peopled, user):
    soon = int(time.time()) + 1000
    made = make(user, limits={"rpm": 10, "concurrency": 2}, expires_at=soon).json()
    for form in (
        {"limits": {}}, {"limits": {"rpm": 10}}, {"limits": {"rpm": 11, "concurrency": 2}}, {"expires_at": None},
        {"expires_at": soon + 1}, {"limits": {"rpm": 5, "concurrency": None}},
    ):  # fmt: skip
        assert patch(user, made, **form).status_code == 403, form
    narrower = patch(user, made, limits={"rpm": 5, "tpm": 100, "concurrency": 2}, expires_at=soon - 10)
    assert narrower.status_code == 200
    assert narrower.json()["limits"] == {"rpm": 5, "tpm": 100, "concurrency": 2}
    lifted = patch(peopled.admin, made, limits={}, expires_at=None).json()
    assert (lifted["limits"], lifted["expires_at"]) == ({"rpm": None, "tpm": None, "concurrency": None}, None)


@pytest.mark.parametrize(
    "form",
    [{"user_id": "file-other@example.com"}, {"digest": "x"}, {"key": "x"}, {"role": "admin"}, {"name": ""}, {"name": None},
     {"expires_at": 1}, {"limits": None}, {"limits": {"rpm": 0}}, {"models": ["x" * 257]}, {"dialects": ["latin"]},
     {"source": "file"}, {"replaced_by": "x"}],
)  # fmt: skip
def test_a_malformed_change_is_422_and_changes_nothing(peopled, user, form):
    made = make(user).json()
    before = next(row for row in user.get("/api/v1/keys").json()["items"] if row["id"] == made["id"])
    assert patch(peopled.admin, made, **form).status_code == 422
    assert before in user.get("/api/v1/keys").json()["items"]


def test_nobody_changes_the_keys_of_others_or_declared_ones(peopled, user, other):
    made = make(user).json()
    declared = next(row for row in user.get("/api/v1/keys").json()["items"] if row["source"] == "file")
    for client, row, status in (
        (other, made, 404), (other, declared, 404), (other, {"id": "nothing"}, 404), (user, declared, 409),
        (peopled.admin, declared, 409),
    ):  # fmt: skip
        assert patch(client, row, name="x").status_code == status
        assert client.post(f"/api/v1/keys/{row['id']}/rotate").status_code == status
    assert status_of(peopled, made["key"]) == 200


@pytest.mark.parametrize(
    "bounds", [{"models": ["echo"]}, {"dialects": ["openai"]}, {"limits": {"rpm": 100}}, {"expires_at": 9_999_999_999}]
)
def test_a_bounded_key_frees_neither_itself_nor_another(peopled, user, bounds):
    bounded, free = make(user, **bounds).json(), make(user).json()
    with peopled.client(bounded["key"]) as client:
        for made in (bounded, free):
            assert patch(client, made, name="x").status_code == 403
            assert patch(client, made, models=None, dialects=None, limits={}, expires_at=None).status_code == 403
            assert client.post(f"/api/v1/keys/{made['id']}/rotate").status_code == 403
    by_admin = make(peopled.admin, **bounds).json()
    with peopled.client(by_admin["key"]) as client:
        assert patch(client, by_admin, limits={}, expires_at=None).status_code == 403
        assert client.post(f"/api/v1/keys/{free['id']}/rotate").status_code == 403


@pytest.mark.parametrize(
    "bounds", [{"models": ["echo"]}, {"dialects": ["openai"]}, {"limits": {"rpm": 100}}, {"expires_at": 9_999_999_999}]
)
def test_a_bounded_key_ends_itself_and_no_other(peopled, user, bounds):
    bounded, free = make(user, **bounds).json(), make(user).json()
    with peopled.client(bounded["key"]) as client:
        assert client.delete(f"/api/v1/keys/{free['id']}").status_code == 403
        assert status_of(peopled, free["key"]) == 200
        assert client.delete(f"/api/v1/keys/{bounded['id']}").status_code == 200
    assert status_of(peopled, bounded["key"]) == 401


def test_a_user_has_a_bounded_number_of_keys(peopled, other):
    owner = other.get("/api/v1/auths/").json()["id"]
    kept = make(other).json()
    with closing(sqlite3.connect(peopled.data_dir / "modelyard.db", timeout=60)) as database, database:
        columns = "id, user_id, name, digest, hint, created_at"
        [(number,)] = database.execute(
            "SELECT count(*) FROM api_keys WHERE user_id = ? AND revoked_at IS NULL", (owner,)
        ).fetchall()
        rows = [(f"many-{at}", owner, "many", b"%032d" % at, "", 1) for at in range(MAX_KEYS - number)]
        database.executemany(f"INSERT INTO api_keys ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - a constant
    try:
        refused = make(other)
        assert (refused.status_code, "revoke" in refused.json()["detail"]) == (409, True)
        assert other.post(f"/api/v1/keys/{kept['id']}/rotate").status_code == 409
        assert make(peopled.admin, user_id=owner).status_code == 200, "an administrator may"
        for at in range(2):
            assert other.delete(f"/api/v1/keys/many-{at}").status_code == 200
        assert make(other).status_code == 200
    finally:
        with closing(sqlite3.connect(peopled.data_dir / "modelyard.db", timeout=60)) as database, database:
            database.execute("DELETE FROM api_keys WHERE name = 'many'")


# Rotation


def rotate(client, made, seconds=None):
    body = None if seconds is None else {"overlap_seconds": seconds}
    return client.post(f"/api/v1/keys/{made['id']}/rotate", json=body)


def test_a_rotated_key_is_a_new_one_with_all_that_the_old_one_had(peopled, user):
    old = make(
        user, name="ci", models=["echo"], dialects=["openai"], limits={"rpm": 50}, expires_at=int(time.time()) + 5000
    ).json()
    new = rotate(user, old).json()
    assert new["key"] != old["key"]
    assert new["id"] != old["id"]
    kept = ("name", "user_id", "models", "dialects", "limits", "expires_at")
    assert [new[field] for field in kept] == [old[field] for field in kept]
    assert status_of(peopled, new["key"]) == 200
    assert status_of(peopled, old["key"]) == 401, "no overlap was asked for"
    rows = {row["id"]: row for row in user.get("/api/v1/keys").json()["items"]}
    assert rows[old["id"]]["replaced_by"] == new["id"]
    assert rows[new["id"]]["replaced_by"] is None
    assert new["key"] not in peopled.admin.get("/api/v1/audit").text


def test_the_old_key_works_as_long_as_the_overlap_and_never_longer_than_it_would_have(peopled, user):
    old = make(user).json()
    began = int(time.time())
    new = rotate(user, old, 3600).json()
    assert new["expires_at"] is None
    rows = {row["id"]: row for row in user.get("/api/v1/keys").json()["items"]}
    assert began + 3600 <= rows[old["id"]]["expires_at"] <= time.time() + 3600
    assert status_of(peopled, old["key"]) == status_of(peopled, new["key"]) == 200
    expires(peopled, old, -1)
    assert (status_of(peopled, old["key"]), status_of(peopled, new["key"])) == (401, 200)
    soon = int(time.time()) + 100
    short = make(user, expires_at=soon).json()
    assert rotate(user, short, 3600).json()["expires_at"] == soon
    rows = {row["id"]: row for row in user.get("/api/v1/keys").json()["items"]}
    assert rows[short["id"]]["expires_at"] == soon


def test_rotation_never_makes_more_than_two_keys_of_one(peopled, user):
    """Else each rotation would add its limits once more."""
    first = make(user, limits={"rpm": 2}).json()
    second = rotate(user, first, 3600).json()
    assert rotate(user, first, 3600).status_code == 409, "it was rotated already"
    assert rotate(user, second, 3600).status_code == 409, "the one before it works still"
    assert rotate(user, second, 0).status_code == 409
    assert user.delete(f"/api/v1/keys/{first['id']}").status_code == 200
    third = rotate(user, second, 3600)
    assert third.status_code == 200
    assert status_of(peopled, first["key"]) == 401


def test_rotations_at_once_make_one_key(peopled, user):
    old = make(user).json()

    def at_once(_: int) -> int:
        with peopled.client(USER_KEY) as client:
            return rotate(client, old, 60).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(at_once, range(4))) == [200, 409, 409, 409]


@pytest.mark.parametrize("seconds", [-1, 30 * 24 * 3600 + 1, "x", 1.5, 10**30])
def test_a_wrong_overlap_is_422(user, seconds):
    assert rotate(user, make(user).json(), seconds).status_code == 422


def test_a_revoked_or_expired_key_is_not_rotated(peopled, user):
    revoked = make(user).json()
    user.delete(f"/api/v1/keys/{revoked['id']}")
    assert rotate(user, revoked).status_code == 404
    expired = make(user).json()
    expires(peopled, expired, -1)
    assert rotate(user, expired).status_code == 409


def test_a_key_without_a_secret_gets_its_first_one_by_rotation(peopled):
    with closing(sqlite3.connect(peopled.data_dir / "modelyard.db", timeout=60)) as database, database:
        values = ("bare", "built-in-administrator", "from code", b"x" * 32, "", 1)
        database.execute(
            "INSERT INTO api_keys (id, user_id, name, digest, hint, created_at) VALUES (?, ?, ?, ?, ?, ?)", values
        )
    [row] = [row for row in peopled.admin.get("/api/v1/keys").json()["items"] if row["id"] == "bare"]
    assert row["hint"] == ""
    made = rotate(peopled.admin, row).json()
    assert made["id"] == "bare", "the same key"
    assert made["hint"].endswith(made["key"][-4:])
    assert status_of(peopled, made["key"]) == 200
    again = rotate(peopled.admin, made).json()
    assert again["id"] != "bare"
    assert status_of(peopled, made["key"]) == 401
