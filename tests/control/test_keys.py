"""API keys: whose they are, what they may, and that nothing widens itself."""

import sqlite3
import time
from contextlib import closing

import pytest

from modelyard.core.seal import Seal
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY

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


def test_a_key_expires(peopled, user):
    made = make(user, expires_at=int(time.time()) + 2).json()
    assert status_of(peopled, made["key"]) == 200
    with peopled.client(made["key"]) as client:
        child = make(client, expires_at=int(time.time()) + 10_000).json()
        assert child["expires_at"] == made["expires_at"], "none outlives its maker"
        deadline = time.monotonic() + 10
        while client.get("/v1/models").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        answer = client.get("/v1/models")
        assert answer.status_code == 401
        assert "expired" in answer.text
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
