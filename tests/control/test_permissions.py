"""Permissions: the table in the documentation, defaults, the environment, groups, and what asks for them."""

import re
from pathlib import Path

import pytest

from modelyard.policy.permissions import ENVIRONMENT_PREFIX, PERMISSIONS
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY
from tests.yard import run_yard

DOCUMENT = Path(__file__).parents[2] / "docs" / "people.md"
ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| (true|false) \| `([A-Z_]+)` \|", re.MULTILINE)
FILE = """
users:
  - {email: user@example.com, role: user, keys: [{name: main, key: "${USER_KEY}"}]}
"""


def own(client) -> dict:
    answer = client.get("/api/v1/users/permissions")
    assert answer.status_code == 200
    return answer.json()


def paths(tree) -> set[str]:
    return {f"{section}.{name}" for section, names in tree.items() for name, given in names.items() if given}


def all_paths(tree) -> set[str]:
    return {f"{section}.{name}" for section, names in tree.items() for name in names}


def test_the_documentation_has_every_permission_with_its_default_and_its_variable():
    documented = {path: (default == "true", name) for path, default, name in ROW.findall(DOCUMENT.read_text())}
    assert documented == {
        path: (default, ENVIRONMENT_PREFIX + suffix) for path, (default, suffix) in PERMISSIONS.items()
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server with one ordinary user and the defaults of the product but for one variable."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "yard.yaml").write_text(FILE)
    environment = {"USER_KEY": USER_KEY, "USER_PERMISSIONS_CHAT_SHARE": "False"}
    with run_yard(folder / "data", environment, ("--config", str(folder / "yard.yaml"))) as running:
        yield running


def test_the_defaults_hold_and_the_environment_changes_them(plain):
    expected = {path for path, (default, _) in PERMISSIONS.items() if default} - {"chat.share"}
    with plain.client(USER_KEY) as user:
        tree = own(user)
        assert all_paths(tree) == set(PERMISSIONS)
        assert paths(tree) == expected
        assert user.get("/api/v1/auths/").json()["permissions"] == tree
    assert paths(own(plain.admin)) == set(PERMISSIONS)
    assert paths(plain.admin.get("/api/v1/users/default/permissions").json()) == expected


def test_without_the_permission_nobody_makes_keys_but_everyone_lists_and_revokes_their_own(plain):
    given = plain.admin.post("/api/v1/keys", json={"name": "given", "user_id": "file-user@example.com"}).json()
    with plain.client(USER_KEY) as user:
        refused = user.post("/api/v1/keys", json={"name": "mine"})
        assert refused.status_code == 403
        assert "features.api_keys" in refused.json()["detail"]
        assert user.patch(f"/api/v1/keys/{given['id']}", json={"name": "x"}).status_code == 403
        assert user.post(f"/api/v1/keys/{given['id']}/rotate").status_code == 403
        assert given["id"] in {row["id"] for row in user.get("/api/v1/keys").json()["items"]}
        assert user.delete(f"/api/v1/keys/{given['id']}").status_code == 200
        changed = plain.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": True}})
        assert "features.api_keys" in paths(changed.json())
        assert "chat.share" not in paths(changed.json()), "what was left out is kept"
        assert user.post("/api/v1/keys", json={"name": "mine"}).status_code == 200
        plain.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": False}})
        assert user.post("/api/v1/keys", json={"name": "mine"}).status_code == 403


def test_a_group_adds_to_the_defaults_and_takes_nothing_away(plain):
    user = plain.admin.post("/api/v1/users/", json={"email": "grown@example.com", "role": "user"}).json()
    key = plain.make_key(user_id=user["id"])
    form = {
        "name": "Growers",
        "permissions": {"features": {"api_keys": True, "notes": False}, "sharing": {"models": True}},
    }
    group = plain.admin.post("/api/v1/groups/create", json=form).json()
    with plain.client(key) as grown:
        before = paths(own(grown))
        assert "features.notes" in before
        plain.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [user["id"]]})
        assert paths(own(grown)) == before | {"features.api_keys", "sharing.models"}
        assert grown.post("/api/v1/keys", json={"name": "mine"}).status_code == 200
        plain.admin.post(f"/api/v1/groups/id/{group['id']}/users/remove", json={"user_ids": [user["id"]]})
        assert paths(own(grown)) == before
        assert grown.post("/api/v1/keys", json={"name": "mine"}).status_code == 403


@pytest.mark.parametrize(
    "form",
    [{"workspace": {"everything": True}}, {"workspace": True}, {"x": {"y": True}}, {"workspace": {"models": None}}, [], "x",
     {"workspace": {"models": {"deeper": True}}}, {"": {"": True}}, {"x" * 10_000: {"y": True}}],
)  # fmt: skip
def test_only_the_permissions_of_the_table_are_taken(plain, form):
    before = plain.admin.get("/api/v1/users/default/permissions").json()
    answer = plain.admin.post("/api/v1/users/default/permissions", json=form)
    assert answer.status_code == 422
    assert plain.admin.get("/api/v1/users/default/permissions").json() == before


def test_permissions_of_things_that_are_not_here_are_not_taken(plain):
    before = plain.admin.get("/api/v1/users/default/permissions").json()
    form = {"workspace": {"skills": True}, "settings": {"interface": True}, "chat": {"import": True, "edit": True}}
    answer = plain.admin.post("/api/v1/users/default/permissions", json=form)
    assert answer.json() == before
    assert answer.status_code == 200


def test_only_administrators_see_and_change_the_defaults(peopled):
    for key in (USER_KEY, OTHER_KEY, CONFINED_ADMIN_KEY):
        with peopled.client(key) as client:
            assert client.get("/api/v1/users/default/permissions").status_code == 403
            form = {"features": {"api_keys": True}}
            assert client.post("/api/v1/users/default/permissions", json=form).status_code == 403


def test_a_change_of_the_defaults_is_in_the_audit_log(plain):
    plain.admin.post("/api/v1/users/default/permissions", json={"chat": {"edit": False}})
    entries = plain.admin.get("/api/v1/audit", params={"entity_id": "permissions"}).json()["items"]
    assert entries[0]["action"] == "settings.updated"
    assert entries[0]["changes"]["value"]["new"]["chat.edit"] is False
