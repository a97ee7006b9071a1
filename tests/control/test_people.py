"""Users: who may do what to whom, and what ends with them."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.control.conftest import CONFINED_ADMIN_KEY, USER_KEY
from tests.postgres import run_postgres
from tests.yard import run_yard

PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "another long password"
EMAIL = "root@example.com"
ONLY_ROOT = {"MODELYARD_ADMIN_API_KEY": "", "MODELYARD_ADMIN_EMAIL": EMAIL, "MODELYARD_ADMIN_PASSWORD": PASSWORD}
ODD_IDS = ["%", "_", "'", '"; DROP TABLE users; --', "..", "a/b", "\u202eevil", "x" * 256, "*", "null", "-1", "é"]


@pytest.fixture
def user(peopled):
    with peopled.client(USER_KEY) as client:
        yield client


def make(client, email, **form):
    answer = client.post("/api/v1/users/", json={"email": email, "role": "user", **form})
    assert answer.status_code == 200, answer.text
    return answer.json()


def sign_in(yard, email, password=PASSWORD, **headers):
    with yard.client(None) as client:
        return client.post("/api/v1/auths/signin", json={"email": email, "password": password}, headers=headers)


@contextmanager
def signed_in(yard, email, password=PASSWORD, **headers):
    answer = sign_in(yard, email, password, **headers)
    assert answer.status_code == 200, answer.text
    with yard.client(answer.json()["token"]) as client:
        yield client


def is_in(client) -> bool:
    status = client.get("/api/v1/auths/").status_code
    assert status in (200, 401)
    return status == 200


def actions(yard, entity_id):
    items = yard.admin.get("/api/v1/audit", params={"entity_id": entity_id}).json()["items"]
    return sorted(entry["action"] for entry in items)


# Users


def test_an_administrator_makes_changes_and_removes_a_user(peopled):
    made = make(peopled.admin, "  Ann@Example.com ", name="Ann", password=PASSWORD)
    assert (made["email"], made["name"], made["role"], made["kind"], made["source"]) == (
        "ann@example.com", "Ann", "user", "person", "database",
    )  # fmt: skip
    place = f"/api/v1/users/{made['id']}"
    assert peopled.admin.get(place).json() == made
    patched = peopled.admin.patch(place, json={"name": "Ann B."}).json()
    assert (patched["name"], patched["email"]) == ("Ann B.", "ann@example.com")
    updated = peopled.admin.post(place + "/update", json={"email": "ANN2@example.com", "name": None}).json()
    assert (updated["name"], updated["email"]) == ("Ann B.", "ann2@example.com")
    assert peopled.admin.post("/api/v1/users/update/role", json={"id": made["id"], "role": "admin"}).json()["role"] == (
        "admin"
    )
    assert peopled.admin.delete(place).status_code == 200
    for answer in (peopled.admin.get(place), peopled.admin.delete(place), peopled.admin.patch(place, json={})):
        assert answer.status_code == 404
    assert actions(peopled, made["id"]) == [
        "user.created", "user.deleted", "user.updated", "user.updated", "user.updated",
    ]  # fmt: skip
    assert "argon2" not in peopled.admin.get("/api/v1/audit", params={"entity_id": made["id"]}).text


@pytest.mark.parametrize(
    "form",
    [{"email": "nonsense"}, {"email": "a b@c.de"}, {"email": "a\u0001@b.c"}, {"email": "x" * 251 + "@b.c"}, {"role": "king"},
     {"role": "ADMIN"}, {"role": None}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": "\ud800"}, {"name": 7},
     {"password": "short"}, {"password": "x" * 1025}, {"kind": "robot"}, {"kind": "service", "password": PASSWORD},
     {"group_ids": "x"}, {"group_ids": [""]}, {"group_ids": ["x"] * 1001}],
)  # fmt: skip
def test_a_malformed_user_is_422_and_nothing_is_made(peopled, form):
    before = peopled.admin.get("/api/v1/users/").json()["total"]
    body = {"email": "malformed@example.com", "role": "user", **form}
    assert peopled.admin.post("/api/v1/users/", content=json.dumps(body)).status_code == 422
    assert peopled.admin.get("/api/v1/users/").json()["total"] == before


def test_what_a_form_of_a_user_does_not_name_is_not_taken(peopled):
    """Clients send more than is kept; none of it sets anything."""
    extra = {
        "id": "mine", "password_hash": "x", "source": "file", "permissions": {"workspace": {"models": True}}, "is_admin": True,
        "profile_image_url": "/user.png", "created_at": 1,
    }  # fmt: skip
    made = make(peopled.admin, "extra@example.com", **extra)
    assert (made["id"] == "mine", made["role"], made["source"]) == (False, "user", "database")
    assert made["created_at"] > 1
    assert made.keys() & extra.keys() == {"id", "source", "created_at"}
    place = f"/api/v1/users/{made['id']}"
    changed = peopled.admin.post(place + "/update", json={"name": "Extra", **extra})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**made, "name": "Extra", "updated_at": changed.json()["updated_at"]}
    for form in ({"kind": "service"}, {"group_ids": ["x"]}):  # what the answer shows, and is not changed here
        assert peopled.admin.patch(place, json=form).status_code == 422, form


def test_an_address_is_taken_in_any_case_and_by_declared_users_too(peopled):
    made = make(peopled.admin, "taken@example.com")
    for email in ("TAKEN@example.com", "user@example.com", "Boss@Example.com"):
        form = {"email": email, "role": "user"}
        assert peopled.admin.post("/api/v1/users/", json=form).status_code == 409, email
    other = make(peopled.admin, "free@example.com")
    for email in ("taken@example.com", "user@example.com"):
        assert peopled.admin.patch(f"/api/v1/users/{other['id']}", json={"email": email}).status_code == 409
    assert peopled.admin.patch(f"/api/v1/users/{made['id']}", json={"email": "Taken@example.com"}).status_code == 200


def test_declared_users_are_listed_and_read_only(peopled):
    rows = {row["id"]: row for row in peopled.admin.get("/api/v1/users/", params={"limit": 1000}).json()["items"]}
    assert rows["file-user@example.com"]["source"] == "file"
    assert rows["built-in-administrator"]["source"] == "environment"
    for user_id in ("file-user@example.com", "built-in-administrator"):
        place = f"/api/v1/users/{user_id}"
        assert peopled.admin.get(place).status_code == 200
        for answer in (
            peopled.admin.patch(place, json={"role": "pending"}),
            peopled.admin.post(place + "/update", json={"password": PASSWORD}),
            peopled.admin.delete(place),
            peopled.admin.post("/api/v1/users/update/role", json={"id": user_id, "role": "admin"}),
        ):
            assert answer.status_code == 409, answer.text
            assert "declared" in answer.json()["detail"]


@pytest.mark.parametrize("user_id", ODD_IDS)
def test_an_odd_id_is_nobody(peopled, user_id):
    place = "/api/v1/users/" + quote(user_id, safe="")
    for method, path in (
        ("GET", place), ("PATCH", place), ("DELETE", place), ("GET", place + "/sessions"), ("DELETE", place + "/sessions"),
        ("POST", place + "/update"),
    ):  # fmt: skip
        body = {} if method in ("PATCH", "POST") else None
        assert peopled.admin.request(method, path, json=body).status_code in (404, 405), (method, path)


def test_pages_hold_everyone_once_in_every_order(peopled):
    for number in range(7):
        make(peopled.admin, f"page{number}@example.com", name=f"Same {number % 2}")
    whole = peopled.admin.get("/api/v1/users/", params={"limit": 1000}).json()
    assert whole["users"] == whole["items"]
    assert whole["total"] == len(whole["items"])
    for order_by in ("name", "email", "role", "kind", "created_at", "updated_at"):
        for direction in ("asc", "desc"):
            query = {"order_by": order_by, "direction": direction, "limit": 3}
            seen = []
            for page in range(1, whole["total"] // 3 + 2):
                answer = peopled.admin.get("/api/v1/users/", params={**query, "page": page}).json()
                assert answer["total"] == whole["total"]
                seen += answer["items"]
            assert sorted(row["id"] for row in seen) == sorted(row["id"] for row in whole["items"])
            values = [row[order_by].casefold() if isinstance(row[order_by], str) else row[order_by] for row in seen]
            assert values == sorted(values, reverse=direction == "desc")
    assert peopled.admin.get("/api/v1/users/", params={"page": 10**6}).json()["items"] == []


def test_a_search_takes_every_character_as_it_is(peopled):
    make(peopled.admin, "percent@example.com", name="100%_Straße Ünal")

    def found(query: str) -> set[str]:
        answer = peopled.admin.get("/api/v1/users/", params={"query": query, "limit": 1000})
        assert answer.status_code == 200
        return {row["email"] for row in answer.json()["items"]}

    for query in ("100%_", "PERCENT@", "üNAL", "STRASSE", "%_s"):
        assert found(query) == {"percent@example.com"}, query
    for query in ("%%", "_00", "percent%", "' OR 1=1 --", "\\", "*"):
        assert found(query) == set(), query
    by_role = peopled.admin.get("/api/v1/users/", params={"role": "pending"}).json()["items"]
    assert {row["role"] for row in by_role} == {"pending"}


@pytest.mark.parametrize(
    "query",
    [{"order_by": "password_hash"}, {"order_by": "id"}, {"direction": "up"}, {"page": 0}, {"page": "x"}, {"limit": 0},
     {"limit": 1001}, {"query": "x" * 201}, {"role": "king"}],
)  # fmt: skip
def test_a_wrong_query_is_422(peopled, query):
    assert peopled.admin.get("/api/v1/users/", params=query).status_code == 422


def test_people_are_found_to_share_with_and_addresses_are_not_told(peopled, user):
    made = make(peopled.admin, "zoe.secret@example.com", name="Zoe Quist")
    make(peopled.admin, "zoe.waiting@example.com", name="Zoe Waiting", role="pending")
    answer = user.get("/api/v1/users/search", params={"query": "zoe"})
    assert answer.json() == {"items": [{"id": made["id"], "name": "Zoe Quist", "email": None}], "total": 1}
    for part in ("zoe.secret", "secret@example", "@", "example.com"):
        assert user.get("/api/v1/users/search", params={"query": part}).json()["total"] == 0, part
    whole = user.get("/api/v1/users/search", params={"query": "Zoe.Secret@example.com"}).json()
    assert [row["id"] for row in whole["items"]] == [made["id"]]
    by_admin = peopled.admin.get("/api/v1/users/search", params={"query": "zoe.s"}).json()["items"]
    assert [row["email"] for row in by_admin] == ["zoe.secret@example.com"]
    with peopled.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.get("/api/v1/users/search").status_code == 403
    everyone = peopled.admin.get("/api/v1/users/all").json()
    assert {"id": made["id"], "name": "Zoe Quist", "email": "zoe.secret@example.com", "role": "user"} in everyone[
        "items"
    ]
    assert everyone["total"] == len(everyone["items"])


def test_a_limited_key_of_an_administrator_hands_out_no_rights(peopled):
    limited = peopled.make_key(limits={"rpm": 1000})
    made = make(peopled.admin, "limits@example.com")
    with peopled.client(limited) as client:
        assert client.get("/api/v1/users/").status_code == 200
        for method, path, body in (
            ("POST", "/api/v1/users/", {"email": "free@limits.example", "role": "admin", "password": PASSWORD}),
            ("PATCH", f"/api/v1/users/{made['id']}", {"role": "admin"}),
            ("POST", "/api/v1/users/update/role", {"id": made["id"], "role": "admin"}),
            ("POST", "/api/v1/users/default/permissions", {"features": {"api_keys": True}}),
            ("POST", "/api/v1/groups/create", {"name": "Free"}),
            ("POST", "/api/v1/auths/admin/config", {"ENABLE_SIGNUP": True}),
        ):
            assert client.request(method, path, json=body).status_code == 403, path


# The last administrator


def test_the_last_administrator_can_neither_be_demoted_nor_deleted(data_dir):
    with run_yard(data_dir, ONLY_ROOT) as yard, signed_in(yard, EMAIL) as root:
        root_id = root.get("/api/v1/auths/").json()["id"]
        for answer in (
            root.delete(f"/api/v1/users/{root_id}"),
            root.patch(f"/api/v1/users/{root_id}", json={"role": "user"}),
            root.post(f"/api/v1/users/{root_id}/update", json={"role": "pending"}),
            root.post("/api/v1/users/update/role", json={"id": root_id, "role": "user"}),
        ):
            assert answer.status_code == 409, answer.text
            assert "last administrator" in answer.json()["detail"]
        second = make(root, "second@example.com", role="admin", password=PASSWORD)
        assert root.patch(f"/api/v1/users/{root_id}", json={"role": "user"}).status_code == 200
        with signed_in(yard, "second@example.com") as other:
            assert other.delete(f"/api/v1/users/{second['id']}").status_code == 409


def demote_each_other(yard):
    """Two administrators, at once, several times: one of them is always left."""
    with signed_in(yard, EMAIL) as root:
        ids = [root.get("/api/v1/auths/").json()["id"]]
        ids += [make(root, f"{n}@example.com", role="admin", password=PASSWORD)["id"] for n in range(5)]
        token = root.headers["authorization"].removeprefix("Bearer ")

        def demote(user_id: str) -> int:
            with yard.client(token) as client:
                return client.delete(f"/api/v1/users/{user_id}").status_code

        with ThreadPoolExecutor(5) as pool:
            assert list(pool.map(demote, ids[2:])) == [200] * 4
    tokens = [sign_in(yard, email).json()["token"] for email in (EMAIL, "0@example.com")]

    def demote_other(pair: tuple[str, str]) -> int:
        token, user_id = pair
        with yard.client(token) as client:
            return client.patch(f"/api/v1/users/{user_id}", json={"role": "user"}).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(demote_other, [(tokens[0], ids[1]), (tokens[1], ids[0])]))
    assert statuses[0] == 200
    assert statuses[1] in (401, 403, 409)
    left = [token for token in tokens if is_admin(yard, token)]
    assert len(left) == 1


def is_admin(yard, token) -> bool:
    with yard.client(token) as client:
        return client.get("/api/v1/users/").status_code == 200


def test_two_who_demote_each_other_at_once_leave_one_administrator(data_dir):
    with run_yard(data_dir, ONLY_ROOT) as yard:
        demote_each_other(yard)


def test_all_of_it_on_postgresql(data_dir):
    with run_postgres() as cluster, run_yard(data_dir, {**ONLY_ROOT, "DATABASE_URL": cluster.new_database()}) as yard:
        demote_each_other(yard)
        email = next(e for e in (EMAIL, "0@example.com") if is_admin(yard, sign_in(yard, e).json()["token"]))
        with signed_in(yard, email) as root:
            made = make(root, "gone@example.com", password=PASSWORD)
            key = root.post("/api/v1/keys", json={"name": "k", "user_id": made["id"]}).json()
            group = root.post("/api/v1/groups/create", json={"name": "G"}).json()
            add = root.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [made["id"]]})
            assert add.json()["member_count"] == 1
            rotated = root.post(f"/api/v1/keys/{key['id']}/rotate", json={"overlap_seconds": 60}).json()
            with signed_in(yard, "gone@example.com") as gone, yard.client(rotated["key"]) as by_key:
                assert is_in(gone)
                assert is_in(by_key)
                assert root.delete(f"/api/v1/users/{made['id']}").status_code == 200
                assert not is_in(gone)
                assert not is_in(by_key)
            assert root.get(f"/api/v1/groups/id/{group['id']}").json()["user_ids"] == []
            assert root.delete(f"/api/v1/groups/id/{group['id']}/delete").json() is True


# What ends with a user


def test_a_deleted_user_leaves_models_and_nothing_else(peopled):
    made = make(peopled.admin, "leaver@example.com", password=PASSWORD)
    heir = make(peopled.admin, "heir@example.com")
    key = peopled.make_key(user_id=made["id"])
    key_id = peopled.admin.get("/api/v1/keys", params={"user_id": made["id"]}).json()["items"][0]["id"]
    group = peopled.admin.post("/api/v1/groups/create", json={"name": "Leavers"}).json()
    peopled.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [made["id"]]})
    access = {"read": {"user_ids": [made["id"], "file-user@example.com"], "group_ids": []}}
    model = {"id": "shared-with-leaver", "name": "M", "base_model_id": "echo", "access_control": access}
    assert peopled.admin.post("/api/v1/models/create", json=model).status_code == 200
    with signed_in(peopled, "leaver@example.com") as session, peopled.client(key) as by_key:
        assert is_in(session)
        assert "shared-with-leaver" in by_key.get("/v1/models").text
        place = f"/api/v1/users/{made['id']}"
        assert peopled.admin.delete(place, params={"transfer_to": "nobody"}).status_code == 404
        assert peopled.admin.delete(place, params={"transfer_to": made["id"]}).status_code == 422
        assert is_in(session)
        assert peopled.admin.delete(place, params={"transfer_to": heir["id"]}).status_code == 200
        assert not is_in(session)
        assert not is_in(by_key)
        assert by_key.get("/v1/models").status_code == 401
    assert peopled.admin.get(f"/api/v1/groups/id/{group['id']}").json()["user_ids"] == []
    assert made["id"] not in peopled.admin.get("/api/v1/models/model", params={"id": "shared-with-leaver"}).text
    assert peopled.admin.get("/api/v1/keys", params={"user_id": made["id"]}).json()["items"] == []
    assert actions(peopled, key_id) == ["key.created", "key.revoked"]
    deleted = peopled.admin.get("/api/v1/audit", params={"entity_id": made["id"], "action": "user.deleted"}).json()
    changes = deleted["items"][0]["changes"]
    assert changes["email"] == {"old": "leaver@example.com", "new": None}
    assert changes["grants"]["old"] == [
        {"resource_type": "model", "resource_id": "shared-with-leaver", "permission": "read"}
    ]
    assert sign_in(peopled, "leaver@example.com").status_code == 401


def test_models_go_to_the_heir(data_dir, upstream):
    with (
        run_yard(data_dir, {**ONLY_ROOT, "OPENAI_API_BASE_URL": upstream.base_url}) as yard,
        signed_in(yard, EMAIL) as a,
    ):
        second = make(a, "second@example.com", role="admin", password=PASSWORD)
        with signed_in(yard, "second@example.com") as b:
            for name in ("kept", "given"):
                form = {"id": name, "name": name, "base_model_id": "echo", "access_control": None}
                assert b.post("/api/v1/models/create", json=form).status_code == 200
        own_id = a.get("/api/v1/auths/").json()["id"]
        assert a.delete(f"/api/v1/users/{second['id']}", params={"transfer_to": own_id}).status_code == 200
        assert a.get("/api/v1/models/model", params={"id": "given"}).json()["user_id"] == own_id
        entries = a.get("/api/v1/audit", params={"entity_id": "given", "action": "model.updated"}).json()["items"]
        assert entries[0]["changes"]["user_id"] == {"old": second["id"], "new": own_id}
