"""Groups: who sees and changes them, what they add, how they nest, and what is left when one goes."""

from itertools import count
from urllib.parse import quote

import pytest

from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY
from tests.yard import run_yard

FILE = """
groups:
  - {name: Declared, permissions: {features: {api_keys: true}}}
users:
  - {email: inside@example.com, role: user, groups: [Declared], keys: [{name: main, key: "${USER_KEY}"}]}
  - {email: outside@example.com, role: user, keys: [{name: main, key: "${OTHER_KEY}"}]}
"""


@pytest.fixture
def user(peopled):
    with peopled.client(USER_KEY) as client:
        yield client


_numbers = count()


@pytest.fixture
def member(peopled):
    """(id, key) of a stored user who is in no group."""
    form = {"email": f"member{next(_numbers)}@example.com", "role": "user", "name": "Member"}
    made = peopled.admin.post("/api/v1/users/", json=form).json()
    return made["id"], peopled.make_key(user_id=made["id"])


def make(yard, name, **form):
    answer = yard.admin.post("/api/v1/groups/create", json={"name": name, **form})
    assert answer.status_code == 200, answer.text
    return answer.json()


def put_in(yard, group, *user_ids):
    answer = yard.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": list(user_ids)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(yard, group, **form):
    return yard.admin.post(f"/api/v1/groups/id/{group['id']}/update", json=form)


def remove(yard, group):
    return yard.admin.delete(f"/api/v1/groups/id/{group['id']}/delete")


def test_a_group_is_made_changed_filled_and_removed(peopled, member):
    group = make(peopled, " Writers ", description="Who writes", permissions={"workspace": {"models": True}})
    assert (group["name"], group["description"], group["share"], group["parent_id"]) == (
        "Writers", "Who writes", True, None,
    )  # fmt: skip
    assert (group["member_count"], group["user_ids"], group["parent_group_id"]) == (0, [], None)
    assert group["permissions"]["workspace"]["models"] is True
    assert group["permissions"]["workspace"]["tools"] is False
    assert group["data"] == {"config": {"share": True}}
    full = put_in(peopled, group, member[0], member[0])
    assert (full["member_count"], full["user_ids"]) == (1, [member[0]])
    [listed] = peopled.admin.post(f"/api/v1/groups/id/{group['id']}/users").json()
    assert listed.pop("email").startswith("member")
    assert listed == {"id": member[0], "name": "Member", "role": "user"}
    changed = update(peopled, group, description="", data={"config": {"share": False}}).json()
    assert (changed["name"], changed["description"], changed["share"]) == ("Writers", "", False)
    assert changed["permissions"]["workspace"]["models"] is True, "left out: kept"
    cleared = update(peopled, group, permissions={"workspace": {"models": False}}).json()
    assert cleared["permissions"]["workspace"]["models"] is False
    assert peopled.admin.get(f"/api/v1/groups/id/{group['id']}/export").json()["user_ids"] == [member[0]]
    out = peopled.admin.post(f"/api/v1/groups/id/{group['id']}/users/remove", json={"user_ids": [member[0], "nobody"]})
    assert out.json()["member_count"] == 0
    assert remove(peopled, group).json() is True
    assert peopled.admin.get(f"/api/v1/groups/id/{group['id']}").status_code == 404
    entries = peopled.admin.get("/api/v1/audit", params={"entity_id": group["id"]}).json()["items"]
    assert sorted(entry["action"] for entry in entries) == ["group.created", "group.deleted"] + ["group.updated"] * 4


@pytest.mark.parametrize(
    "form",
    [{"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": "a\nb"}, {"description": "x" * 2001}, {"share": "members"},
     {"permissions": {"workspace": {"everything": True}}},
     {"permissions": {"workspace": {"models": "often"}}}, {"permissions": {"workspace": True}}, {"permissions": []},
     {"permissions": {"x" * 5000: {"y": True}}}, {"user_ids": "x"}, {"data": {"config": {"share": 7}}},
     {"parent_id": ""}, {"parent_id": 7}],
)  # fmt: skip
def test_a_malformed_group_is_422_and_nothing_is_made(peopled, form):
    before = len(peopled.admin.get("/api/v1/groups/").json())
    answer = peopled.admin.post("/api/v1/groups/create", json={"name": "Malformed", **form})
    assert answer.status_code == 422, answer.text
    assert len(answer.content) < 2000
    assert len(peopled.admin.get("/api/v1/groups/").json()) == before


def test_names_are_unique_in_any_case(peopled):
    group, other = make(peopled, "Straße"), make(peopled, "Other street")
    for name in ("Straße", "STRASSE", " straße "):
        assert peopled.admin.post("/api/v1/groups/create", json={"name": name}).status_code == 409
        assert update(peopled, other, name=name).status_code == 409
    assert update(peopled, group, name="STRASSE").status_code == 200


def test_only_administrators_change_groups_and_see_who_is_in_them(peopled, user, member):
    group = make(peopled, "Guarded", permissions={"sharing": {"public_models": True}})
    put_in(peopled, group, member[0])
    place = f"/api/v1/groups/id/{group['id']}"
    with peopled.client(member[1]) as inside:
        for client in (user, inside):
            for method, path, body in (
                ("POST", "/api/v1/groups/create", {"name": "Mine"}), ("GET", place, None), ("GET", place + "/export", None),
                ("POST", place + "/users", None), ("POST", place + "/update", {"permissions": {"features": {"api_keys": True}}}),
                ("POST", place + "/users/add", {"user_ids": [member[0]]}),
                ("POST", place + "/users/remove", {"user_ids": [member[0]]}), ("DELETE", place + "/delete", None),
            ):  # fmt: skip
                assert client.request(method, path, json=body).status_code == 403, path
        [seen] = [row for row in inside.get("/api/v1/groups/").json() if row["id"] == group["id"]]
        assert (seen["permissions"], seen["user_ids"], seen["member_count"]) == (None, None, 1)
    with peopled.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.get("/api/v1/groups/").status_code == 403
        assert confined.post("/api/v1/groups/create", json={"name": "Confined"}).status_code == 403


def test_people_see_their_own_groups_and_those_to_share_with(peopled, user, member):
    hidden, shared = make(peopled, "Hidden", share=False), make(peopled, "Shared")
    put_in(peopled, hidden, member[0])

    def seen(client, **query) -> set[str]:
        return {row["name"] for row in client.get("/api/v1/groups/", params=query).json()}

    with peopled.client(member[1]) as inside:
        assert {"Hidden", "Shared"} <= seen(inside)
        assert "Hidden" not in seen(inside, share="true")
        assert seen(inside, share="false") >= {"Hidden"}
    assert "Shared" in seen(user)
    assert "Hidden" not in seen(user)
    assert "Hidden" not in seen(user, share="false")
    assert {"Hidden", "Shared"} <= seen(peopled.admin)
    forbidden = {"access_grants": {"allow_groups": False}}
    try:
        peopled.admin.post("/api/v1/users/default/permissions", json=forbidden)
        assert "Shared" not in seen(user), "who may not share with groups needs no list of them"
        with peopled.client(member[1]) as inside:
            assert "Hidden" in seen(inside)
    finally:
        peopled.admin.post("/api/v1/users/default/permissions", json={"access_grants": {"allow_groups": True}})
    assert "Shared" in seen(user)
    assert shared["share"] is True


def test_the_form_of_a_group_sets_its_members_and_nothing_that_it_does_not_name(peopled, member):
    """Clients send back the group as they have read it, with permissions of things that are not here."""
    extra = {"id": "x", "source": "file", "member_count": 7, "meta": {}, "data": {"config": {"x": 1}}}
    foreign = {"workspace": {"skills": True, "models": True}, "settings": {"interface": True}}
    group = make(peopled, "Whole", permissions=foreign, user_ids=[member[0]], **extra)
    assert (group["id"] == "x", group["source"], group["user_ids"]) == (False, "database", [member[0]])
    assert group["permissions"]["workspace"]["models"] is True
    assert "skills" not in group["permissions"]["workspace"]
    assert update(peopled, group, user_ids=None).json()["user_ids"] == [member[0]]
    assert update(peopled, group, name="Not kept", user_ids=["nobody"]).status_code == 404
    assert peopled.admin.get(f"/api/v1/groups/id/{group['id']}").json()["name"] == "Whole"
    assert update(peopled, group, user_ids=[]).json()["user_ids"] == []


def test_unknown_and_declared_members_are_refused_and_nobody_is_added(peopled, member):
    group = make(peopled, "Careful")
    place = f"/api/v1/groups/id/{group['id']}/users/add"
    for stranger in ("nobody", "file-user@example.com", "built-in-administrator", "*", "'"):
        assert peopled.admin.post(place, json={"user_ids": [member[0], stranger]}).status_code == 404, stranger
    for body in ({"user_ids": "x"}, {"user_ids": [""]}, {"user_ids": ["x" * 301]}, {"user_ids": ["x"] * 10_001}, {}):
        assert peopled.admin.post(place, json=body).status_code == 422
    assert peopled.admin.get(f"/api/v1/groups/id/{group['id']}").json()["member_count"] == 0


def test_what_a_parent_has_its_childrens_members_have(peopled, member):
    top = make(peopled, "Top", permissions={"workspace": {"models_import": True}})
    middle = make(peopled, "Middle", parent_id=top["id"])
    low = make(peopled, "Low", parent_group_id=middle["id"])
    assert low["parent_id"] == low["parent_group_id"] == middle["id"]
    put_in(peopled, low, member[0])
    access = {"read": {"group_ids": [top["id"]], "user_ids": []}}
    form = {"id": "of-top", "name": "Of top", "base_model_id": "echo", "access_control": access}
    assert peopled.admin.post("/api/v1/models/create", json=form).status_code == 200
    with peopled.client(member[1]) as inside:

        def has() -> tuple[bool, bool]:
            permitted = inside.get("/api/v1/users/permissions").json()["workspace"]["models_import"]
            return permitted, "of-top" in inside.get("/v1/models").text

        assert has() == (True, True)
        assert inside.get("/api/v1/auths/").json()["group_ids"] == sorted([top["id"], middle["id"], low["id"]])
        assert update(peopled, middle, parent_id=None).status_code == 200
        assert has() == (False, False)
        assert update(peopled, middle, parent_id=top["id"]).status_code == 200
        assert has() == (True, True)
        assert remove(peopled, middle).status_code == 200
        assert peopled.admin.get(f"/api/v1/groups/id/{low['id']}").json()["parent_id"] == top["id"]
        assert has() == (True, True), "what was below comes under its parent"
        assert remove(peopled, top).status_code == 200
        assert has() == (False, False)
    assert peopled.admin.get(f"/api/v1/groups/id/{low['id']}").json()["parent_id"] is None
    assert top["id"] not in peopled.admin.get("/api/v1/models/model", params={"id": "of-top"}).text


def test_a_group_is_never_below_itself_and_the_tree_is_not_endless(peopled):
    chain = [make(peopled, "Level 0")]
    for level in range(1, 10):
        chain.append(make(peopled, f"Level {level}", parent_id=chain[-1]["id"]))
    for below in (0, 1, 9):
        assert update(peopled, chain[0], parent_id=chain[below]["id"]).status_code == 409
    too_deep = {"name": "Level 10", "parent_id": chain[9]["id"]}
    assert peopled.admin.post("/api/v1/groups/create", json=too_deep).status_code == 422
    tall = make(peopled, "Tall")
    make(peopled, "On tall", parent_id=tall["id"])
    assert update(peopled, tall, parent_id=chain[8]["id"]).status_code == 422, "with what is below it"
    assert update(peopled, tall, parent_id=chain[7]["id"]).status_code == 200
    assert update(peopled, chain[0], parent_id="absent").status_code == 404


@pytest.mark.parametrize("group_id", ["%", "_", "' OR 1=1 --", "x" * 256, "é", "null"])
def test_an_odd_id_is_no_group(peopled, group_id):
    place = "/api/v1/groups/id/" + quote(group_id, safe="")
    for method, path in (
        ("GET", place), ("GET", place + "/export"), ("POST", place + "/users"), ("POST", place + "/update"),
        ("DELETE", place + "/delete"),
    ):  # fmt: skip
        answer = peopled.admin.request(method, path, json={} if path.endswith("update") else None)
        assert answer.status_code in (404, 405), (method, path)


def test_declared_groups_are_in_force_and_read_only(tmp_path):
    (tmp_path / "yard.yaml").write_text(FILE)
    keys = {"USER_KEY": USER_KEY, "OTHER_KEY": OTHER_KEY}
    with run_yard(tmp_path / "data", keys, ("--config", str(tmp_path / "yard.yaml"))) as yard:
        [group] = yard.admin.get("/api/v1/groups/").json()
        assert (group["name"], group["source"], group["member_count"]) == ("Declared", "file", 1)
        stored = yard.admin.post("/api/v1/users/", json={"email": "stored@example.com", "role": "user"}).json()
        for answer in (
            update(yard, group, name="New"),
            remove(yard, group),
            yard.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [stored["id"]]}),
            yard.admin.post("/api/v1/groups/create", json={"name": "DECLARED"}),
            yard.admin.post("/api/v1/auths/admin/config", json={"DEFAULT_GROUP_ID": group["id"]}),
        ):
            assert answer.status_code == 409, answer.text
        child = {"name": "Child", "parent_id": group["id"]}
        assert yard.admin.post("/api/v1/groups/create", json=child).status_code == 404
        form = {"email": "new@example.com", "role": "user", "group_ids": [group["id"]]}
        assert yard.admin.post("/api/v1/users/", json=form).status_code == 404
        assert yard.admin.get(f"/api/v1/groups/id/{group['id']}").json()["user_ids"] == ["file-inside@example.com"]
        with yard.client(USER_KEY) as inside, yard.client(OTHER_KEY) as outside:
            assert inside.post("/api/v1/keys", json={"name": "k"}).status_code == 200
            assert outside.post("/api/v1/keys", json={"name": "k"}).status_code == 403
