"""Rows made, changed and shared: what clients send, who may, what is refused, and that a refusal leaves no trace."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.control.catalogue import PNG, M, audited, last_audit, make, person, preset, read, run_catalogue
from tests.servers import Scripted
from tests.test_documented_examples import blocks, run_shell
from tests.yard import ADMIN_KEY, Yard


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("write")) as running:
        yield running


@pytest.fixture(scope="module")
def maker(yard: Yard) -> Iterator[httpx2.Client]:
    with person(yard, "maker") as client:
        yield client


def post(client: httpx2.Client, path: str, **body: Any) -> httpx2.Response:
    return client.post(M + path, json=body)


# What clients send and expect


def test_a_row_has_the_fields_that_clients_know_and_the_additional_ones(yard: Yard) -> None:
    made = make(yard.admin, "fields", params={"temperature": 0.5}, meta={"description": "d"}, access_control=None)
    assert made.keys() == {
        "id", "user_id", "base_model_id", "name", "params", "meta", "access_control", "access_grants", "is_active",
        "version_id", "write_access", "source", "updated_at", "created_at",
    }  # fmt: skip
    assert (made["access_control"], made["is_active"], made["write_access"]) == (None, True, True)
    [grant] = made["access_grants"]
    assert grant.keys() == {
        "id", "resource_type", "resource_id", "principal_type", "principal_id", "permission", "created_at"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, {}),
        ({"access_control": {}}, {}),
        ({"access_control": None}, None),
        ({"access_grants": []}, {}),
        ({"access_grants": None}, {}),
        ({"access_control": {"read": {"group_ids": [], "user_ids": []}, "write": {}}}, {}),
        ({"access_control": {"read": {"user_ids": ["*"]}}}, None),
        (
            {"access_control": {"read": {"group_ids": ["file-open"], "user_ids": []}}},
            {"read": {"group_ids": ["file-open"], "user_ids": []}, "write": {"group_ids": [], "user_ids": []}},
        ),
        (
            {"access_control": {"read": {"user_ids": ["*"]}, "write": {"group_ids": ["file-open"]}}},
            {"read": {"group_ids": [], "user_ids": ["*"]}, "write": {"group_ids": ["file-open"], "user_ids": []}},
        ),
        ({"access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}]}, None),
        # A copy of a public row that was made private by a client that knows only one of the two forms.
        (
            {
                "access_control": {},
                "access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}],
            },
            {},
        ),
    ],
)
def test_access_given_on_create_comes_back_in_the_form_that_clients_know(yard: Yard, given: Any, shown: Any) -> None:
    made = make(yard.admin, "access", **given)
    assert made["access_control"] == shown
    assert read(yard.admin, "access")["access_control"] == shown
    assert post(yard.admin, "/model/delete", id="access").json() is True


def test_what_was_read_can_be_sent_back_with_one_of_the_two_forms_of_access_changed(yard: Yard) -> None:
    """An older client knows `access_control` alone and sends the grants back as it read them; a newer one the reverse."""
    made = make(yard.admin, "both", access_control=None)
    private = post(yard.admin, "/model/update", **{**made, "access_control": {}}).json()
    assert (private["access_control"], private["access_grants"]) == ({}, [])
    public = [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    opened = post(yard.admin, "/model/update", **{**private, "access_grants": public}).json()
    assert opened["access_control"] is None
    unchanged = post(yard.admin, "/model/update", **opened).json()
    assert unchanged == opened


def test_an_update_with_a_full_form_of_an_older_client_changes_what_it_says(yard: Yard, maker: httpx2.Client) -> None:
    make(maker, "full", params={"system": "old", "top_p": 0.5}, meta={"description": "old", "own": [1]})
    form = {
        **preset("full", name="New", params={"system": "new"}, meta={"description": None, "capabilities": {"x": True}}),
        "access_control": {}, "is_active": False, "user": {"id": "somebody"}, "user_id": "somebody", "preset": True,
        "created_at": 1, "updated_at": 1, "object": "model", "owned_by": "x", "write_access": False,
    }  # fmt: skip
    changed = post(maker, "/model/update", **form).json()
    assert changed["params"] == {"system": "new"}
    assert changed["meta"] == {"description": None, "capabilities": {"x": True}}
    assert (changed["name"], changed["is_active"], changed["user_id"]) == ("New", False, "file-maker@example.com")
    assert changed["created_at"] != 1


def test_fields_that_an_update_leaves_out_keep_their_value(yard: Yard) -> None:
    made = make(
        yard.admin, "kept", params={"seed": 1}, meta={"profile_image_url": PNG}, access_control=None, is_active=False
    )
    changed = post(yard.admin, "/model/update", id="kept", name="Renamed").json()
    moved = {"name", "updated_at", "version_id"}
    assert {name: value for name, value in changed.items() if name not in moved} == {
        name: value for name, value in made.items() if name not in moved
    }


def test_unknown_keys_of_meta_and_params_are_kept(yard: Yard) -> None:
    meta = {"x-own": {"deep": [1, 2.5, None, "ä"]}, "knowledge": [{"id": "k"}], "toolIds": ["t"]}
    params = {"my_own": [1], "custom_params": {"a": "1"}, "model_controls": {"k": {"label": "x"}}}
    made = make(yard.admin, "unknown", meta=meta, params=params)
    assert (made["meta"], made["params"]) == (meta, params)
    assert read(yard.admin, "unknown")["meta"] == meta


@pytest.mark.parametrize("body", [None, b"", b"null", b"{}"])
def test_a_toggle_flips_without_a_body(yard: Yard, body: bytes | None) -> None:
    make(yard.admin, "flip", is_active=False)
    flipped = yard.admin.post(f"{M}/model/toggle", params={"id": "flip"}, content=body)
    assert flipped.json()["is_active"] is True
    post(yard.admin, "/model/delete", id="flip")


def test_a_toggle_with_a_wish_can_be_repeated(yard: Yard) -> None:
    make(yard.admin, "wish")
    for _ in range(2):
        assert post(yard.admin, "/model/toggle", id="wish", is_active=False).json()["is_active"] is False
    answer = yard.admin.post(f"{M}/model/toggle", params={"id": "wish", "is_active": "true"})
    assert answer.json()["is_active"] is True
    assert [entry["action"] for entry in audited(yard, entity_id="wish")] == [
        "model.enabled", "model.disabled", "model.created"
    ]  # fmt: skip


def test_many_toggles_at_once_with_a_wish_end_as_wished(yard: Yard) -> None:
    make(yard.admin, "at-once")
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: post(yard.admin, "/model/toggle", id="at-once", is_active=False), range(8))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert read(yard.admin, "at-once")["is_active"] is False
    assert len(audited(yard, entity_id="at-once")) == 2


def test_of_two_updates_of_one_version_exactly_one_wins(yard: Yard) -> None:
    made = make(yard.admin, "raced")
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda number: post(
                    yard.admin, "/model/update", id="raced", name=f"by {number}", version_id=made["version_id"]
                ),
                range(8),
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert read(yard.admin, "raced")["name"] == won["name"]
    assert len(audited(yard, entity_id="raced")) == 2


def test_of_many_who_take_one_id_exactly_one_gets_it(yard: Yard) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: yard.admin.post(f"{M}/create", json=preset("one-id")), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len(audited(yard, entity_id="one-id")) == 1


def test_a_change_says_what_it_changed_and_who(yard: Yard, maker: httpx2.Client) -> None:
    make(maker, "noted", params={"seed": 1})
    post(maker, "/model/update", id="noted", params={"seed": 2})
    newest = audited(yard, entity_id="noted")[0]
    assert (newest["action"], newest["user_id"]) == ("model.updated", "file-maker@example.com")
    assert newest["changes"] == {"params": {"old": {"seed": 1}, "new": {"seed": 2}}}


def test_a_copy_of_a_model_gets_the_picture_that_lists_show_for_it(yard: Yard) -> None:
    make(yard.admin, "original", meta={"profile_image_url": PNG})
    [listed] = yard.admin.get(f"{M}/list", params={"query": "original"}).json()["items"]
    copy = make(yard.admin, "copy", meta=listed["meta"])
    assert copy["meta"]["profile_image_url"] == PNG


def test_a_copy_does_not_get_the_picture_of_a_model_that_its_maker_may_not_see(
    yard: Yard, maker: httpx2.Client
) -> None:
    make(yard.admin, "unseen", meta={"profile_image_url": PNG})
    copy = make(maker, "stolen", meta={"profile_image_url": f"{M}/model/profile/image?id=unseen"})
    assert "profile_image_url" not in copy["meta"]


def test_the_path_of_the_picture_sent_back_leaves_the_picture(yard: Yard) -> None:
    make(yard.admin, "pictured", meta={"profile_image_url": PNG})
    [listed] = yard.admin.get(f"{M}/list", params={"query": "pictured"}).json()["items"]
    assert listed["meta"]["profile_image_url"].startswith(f"{M}/model/profile/image")
    changed = post(yard.admin, "/model/update", id="pictured", meta={**listed["meta"], "description": "x"}).json()
    assert changed["meta"] == {"profile_image_url": PNG, "description": "x"}
    without = post(yard.admin, "/model/update", id="pictured", meta={"profile_image_url": None}).json()
    assert not without["meta"].get("profile_image_url")


# Who may


def test_a_person_with_no_permission_makes_nothing(yard: Yard) -> None:
    with person(yard, "plain") as plain:
        assert plain.post(f"{M}/create", json=preset("theirs")).status_code == 403
        assert plain.post(f"{M}/import", json=[preset("theirs")]).status_code == 403


def test_only_administrators_govern_base_models(yard: Yard, maker: httpx2.Client) -> None:
    override = {"id": "lorem", "name": "Lorem", "meta": {}, "params": {}}
    assert maker.post(f"{M}/create", json=override).status_code == 403
    assert maker.post(f"{M}/import", json=[override]).status_code == 422
    assert post(maker, "/model/access/update", id="lorem", access_control={}).status_code == 404
    assert yard.admin.get(f"{M}/model", params={"id": "lorem"}).status_code == 404


def test_a_preset_never_takes_the_name_of_a_base_model(yard: Yard, maker: httpx2.Client) -> None:
    for client in (maker, yard.admin):
        assert client.post(f"{M}/create", json=preset("lorem")).status_code == 409
        assert client.post(f"{M}/create", json=preset("lorem:latest")).status_code == 409


def test_an_override_does_not_become_a_preset_that_takes_the_name_of_its_base(yard: Yard) -> None:
    assert post(yard.admin, "/create", id="offered-by-none", name="x").status_code == 200
    assert post(yard.admin, "/model/update", id="offered-by-none", base_model_id="echo").status_code == 200
    assert post(yard.admin, "/create", id="lorem", name="Lorem", meta={}, params={}).status_code == 200
    assert post(yard.admin, "/model/update", id="lorem", base_model_id="echo").status_code == 409
    assert post(yard.admin, "/model/delete", id="lorem").status_code == 200


def test_a_preset_stands_on_a_base_that_its_maker_may_use(yard: Yard, maker: httpx2.Client) -> None:
    for base in ("lorem", "nowhere", "declared"):  # closed, unknown, and a preset itself
        assert maker.post(f"{M}/create", json=preset("on-closed", base_model_id=base)).status_code == 403
    make(maker, "mine")
    assert post(maker, "/model/update", id="mine", base_model_id="lorem").status_code == 403
    assert read(maker, "mine")["base_model_id"] == "echo"


def test_a_base_that_was_closed_is_closed_to_presets_too_however_they_come_back(
    yard: Yard, maker: httpx2.Client
) -> None:
    """Its owner lost the base: neither the preset itself, nor an old version, nor the trash, nor an import opens it."""

    def called(client: httpx2.Client) -> int:
        body = {"model": "was-open", "messages": [{"role": "user", "content": "hi"}]}
        return int(client.post("/v1/chat/completions", json=body).status_code)

    post(yard.admin, "/model/access/update", id="lorem", access_control=None)
    first = make(maker, "was-open", base_model_id="lorem")
    assert called(maker) == 200
    post(maker, "/model/update", id="was-open", base_model_id="echo")
    post(yard.admin, "/model/access/update", id="lorem", access_control={})
    back = maker.post(f"{M}/model/update/version", params={"id": "was-open"}, json={"version_id": first["version_id"]})
    assert back.status_code == 403
    imported = maker.post(f"{M}/import", json=[preset("was-open", base_model_id="lorem")])
    assert imported.status_code == 422
    assert read(maker, "was-open")["base_model_id"] == "echo"
    post(yard.admin, "/model/access/update", id="lorem", access_control=None)
    post(maker, "/model/update", id="was-open", base_model_id="lorem")
    post(maker, "/model/delete", id="was-open")
    post(yard.admin, "/model/access/update", id="lorem", access_control={})
    assert post(maker, "/model/restore", id="was-open").status_code == 200
    assert called(maker) == 404
    # Shared with somebody else it opens nothing for them either; an administrator's own preset does.
    with person(yard, "plain") as plain:
        post(yard.admin, "/model/access/update", id="was-open", access_control=None)
        assert called(plain) == 404
        post(yard.admin, "/model/delete", id="was-open")
        make(yard.admin, "was-open", base_model_id="lorem", access_control=None)
        assert called(plain) == 200
    post(yard.admin, "/model/delete", id="lorem")


@pytest.mark.parametrize(
    ("who", "access_control", "status"),
    [
        ("maker", {"read": {"user_ids": ["file-plain@example.com"]}}, 403),
        ("maker", {"read": {"group_ids": ["file-makers"]}}, 403),
        ("maker", None, 403),
        ("maker", {"read": {"user_ids": ["nobody"]}}, 403),  # not 422: they learn nothing about who exists
        ("maker", {}, 200),
        ("sharer", {"read": {"user_ids": ["file-plain@example.com"]}}, 200),
        ("sharer", {"write": {"user_ids": ["file-plain@example.com"]}}, 200),
        ("sharer", {"read": {"group_ids": ["file-open"]}}, 200),
        ("sharer", {"read": {"group_ids": ["file-sharers"]}}, 200),  # closed, but their own
        ("sharer", {"read": {"group_ids": ["file-closed"]}}, 403),
        ("sharer", {"read": {"group_ids": ["no such group"]}}, 403),
        ("sharer", {"read": {"user_ids": ["nobody"]}}, 422),
        ("sharer", None, 403),
        ("sharer", {"read": {"user_ids": ["*"]}}, 403),
        ("publisher", None, 200),
        ("publisher", {"write": {"user_ids": ["*"]}}, 422),
        ("publisher", {"read": {"group_ids": ["*"]}}, 422),
        ("publisher", {"read": {"group_ids": ["file-closed"]}}, 403),
    ],
)
@pytest.mark.parametrize("way", ["create", "update", "access", "import", "bulk"])
def test_a_person_hands_out_what_their_permissions_allow_in_every_way(
    yard: Yard, way: str, who: str, access_control: Any, status: int
) -> None:
    with person(yard, who) as client:
        if way != "create":
            make(client, "handed")
        before = last_audit(yard)
        if way == "create":
            answer = client.post(f"{M}/create", json=preset("handed", access_control=access_control))
        elif way == "update":
            answer = post(client, "/model/update", id="handed", access_control=access_control)
        elif way == "access":
            answer = post(client, "/model/access/update", id="handed", access_control=access_control)
        elif way == "import":
            answer = client.post(f"{M}/import", json=[preset("handed", access_control=access_control)])
            status = 422 if status != 200 else 200
        else:
            answer = post(client, "/bulk", ids=["handed"], action="share", access_control=access_control)
            failed = answer.json()["results"][0]["status"] == "failed"
            assert failed == (status != 200)
            status = 200
        assert answer.status_code == status, answer.text
        if status != 200:
            assert last_audit(yard) == before
        yard.admin.post(f"{M}/model/delete", json={"id": "handed"})


def test_what_was_shared_by_somebody_else_may_stay_when_one_edits(yard: Yard, maker: httpx2.Client) -> None:
    make(maker, "shared-before")
    post(yard.admin, "/model/access/update", id="shared-before", access_control=None)
    shown = read(maker, "shared-before")
    changed = post(maker, "/model/update", **{**shown, "name": "Renamed"})
    assert (changed.status_code, changed.json()["access_control"]) == (200, None)
    assert post(maker, "/model/update", id="shared-before", access_control={}).status_code == 200
    assert post(maker, "/model/update", id="shared-before", access_control=None).status_code == 403


def test_a_declared_row_is_read_only_and_its_id_is_taken(yard: Yard, maker: httpx2.Client) -> None:
    for model_id in ("declared", "secret"):
        assert post(yard.admin, "/model/update", id=model_id, name="x").status_code == 409
        assert post(yard.admin, "/model/delete", id=model_id).status_code == 409
        assert post(yard.admin, "/model/access/update", id=model_id, access_control={}).status_code == 409
        for client in (yard.admin, maker):
            assert client.post(f"{M}/create", json=preset(model_id)).status_code == 409
    assert post(maker, "/model/update", id="declared", name="x").status_code == 403  # they may use it
    assert post(maker, "/model/update", id="secret", name="x").status_code == 404  # they may not see it


# Bad input

IDS = ["a/b/c", "a:b", "a.b", "ä-ö-ü", "日本語/模型", "🦙", "it's", 'say"x"', "100%", "a_b", "%", "_", "a%2Fb", "a\\b",
       "<script>", "a?b=c&d", "#", "..", "../../etc", "x" * 256, "ä" * 256, "null", "0"]  # fmt: skip


@pytest.mark.parametrize("model_id", IDS)
def test_an_id_in_any_script_works_in_every_call(yard: Yard, model_id: str) -> None:
    query = {"id": model_id}
    made = make(yard.admin, model_id)
    assert made["id"] == model_id
    assert read(yard.admin, model_id)["id"] == model_id
    assert post(yard.admin, "/model/update", id=model_id, name="New").json()["name"] == "New"
    assert yard.admin.post(f"{M}/model/toggle", params=query).json()["is_active"] is False
    assert len(yard.admin.get(f"{M}/model/history", params=query).json()) == 2
    assert yard.admin.get(f"{M}/model/profile/image", params=query).status_code == 200
    assert [row["id"] for row in yard.admin.get(f"{M}/export", params={"ids": model_id}).json()] == [model_id]
    assert audited(yard, entity_id=model_id)[0]["action"] == "model.disabled"
    assert yard.admin.delete(f"{M}/model/delete", params=query).json() is True
    assert post(yard.admin, "/model/restore", id=model_id).status_code == 200
    assert post(yard.admin, "/model/delete", id=model_id).json() is True


BAD_IDS = ["", " ", " a", "a ", "\ta", "a\n", "a\x00b", "a\x07", "a\x7f", "a\u200bb", "\ufeffa", "\u202ea", "x" * 257,
           "\ud800", None, 1, True, [], {}, 1e400]  # fmt: skip


@pytest.mark.parametrize("model_id", BAD_IDS, ids=lambda value: ascii(value)[:20])
@pytest.mark.parametrize(
    "path", ["/create", "/model/update", "/model/access/update", "/model/delete", "/import", "/bulk"]
)
def test_a_bad_id_is_refused(yard: Yard, path: str, model_id: Any) -> None:
    before = last_audit(yard)
    form: Any = preset("x", access_control={}) | {"id": model_id}
    if path == "/bulk":
        form = {"ids": [model_id], "action": "enable"}
    answer = yard.admin.post(M + path, content=json.dumps([form] if path == "/import" else form).encode())
    assert answer.status_code == 422, answer.text
    assert last_audit(yard) == before


DEEP = json.loads("[" * 60 + "]" * 60)
BAD_FIELDS: list[dict[str, Any]] = [
    {"name": ""}, {"name": "x" * 257}, {"name": None}, {"name": "\ud800"}, {"name": 1},
    {"base_model_id": ""}, {"base_model_id": "x" * 257}, {"base_model_id": 1}, {"base_model_id": "\udfff"},
    {"base_model_id": "bad"},
    {"meta": []}, {"meta": "x"}, {"meta": None}, {"meta": {"a": "\ud800"}}, {"meta": {"\ud800": 1}},
    {"meta": {"a": [{"b": "\udc00"}]}}, {"meta": {"a": float("nan")}}, {"meta": {"a": [float("-inf")]}},
    {"meta": {"a": 10**400}}, {"meta": {"a": 2**64}}, {"meta": {"a": DEEP}}, {"meta": {"a": "x" * 600_000}},
    {"meta": {"tags": ["x" * 101]}}, {"meta": {"tags": [str(number) for number in range(1001)]}},
    {"meta": {"tags": ["\ud800"]}}, {"meta": {"tags": ["a", None]}}, {"meta": {"tags": [{"name": None}]}},
    {"meta": {"profile_image_url": 1}}, {"meta": {"profile_image_url": "javascript:alert(1)"}},
    {"meta": {"profile_image_url": "data:image/svg+xml;base64,PHN2Zy8+"}},
    {"meta": {"profile_image_url": "data:image/png;base64,PHN2Zy8+"}},
    {"meta": {"profile_image_url": "data:image/png;base64,%%%"}},
    {"meta": {"profile_image_url": "data:image/png;base64," + "A" * 1_500_000}},
    {"meta": {"profile_image_url": "//evil.example/x.png"}}, {"meta": {"profile_image_url": "\ud800"}},
    {"params": []}, {"params": None}, {"params": {"temperature": "hot"}}, {"params": {"temperature": float("inf")}},
    {"params": {"seed": 10**30}}, {"params": {"max_tokens": [1]}}, {"params": {"system": "\ud800"}},
    {"params": {"custom_params": {"\ud800": "x"}}}, {"params": {"custom_params": {"a": "\ud800"}}},
    {"params": {"custom_params": [1]}}, {"params": {"locked": "x"}}, {"params": {"x": DEEP}},
    {"params": {"system": "x" * 300_000}},
    {"access_control": []}, {"access_control": "x"}, {"access_control": {"admin": {}}}, {"access_control": {"read": []}},
    {"access_control": {"read": {"users": []}}}, {"access_control": {"read": {"user_ids": "x"}}},
    {"access_control": {"read": {"user_ids": [1]}}}, {"access_control": {"read": {"user_ids": [None]}}},
    {"access_control": {"read": {"user_ids": [""]}}}, {"access_control": {"read": {"user_ids": ["x" * 257]}}},
    {"access_control": {"read": {"user_ids": ["\ud800"]}}}, {"access_control": {"\ud800": {}}},
    {"access_control": {"read": {"group_ids": ["no such"]}}}, {"access_control": {"write": {"user_ids": ["*"]}}},
    {"access_control": DEEP},
    {"access_grants": {}}, {"access_grants": [1]}, {"access_grants": [{}]},
    {"access_grants": [{"principal_type": "anyone", "principal_id": "*", "permission": "read"}]},
    {"access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "write"}]},
    {"access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "own"}]},
    {"access_grants": [{"principal_type": "group", "principal_id": "*", "permission": "read"}]},
    {"access_grants": [{"principal_type": "user", "principal_id": "\ud800", "permission": "read"}]},
    {"is_active": "perhaps"}, {"is_active": None}, {"is_active": 2}, {"commit_message": "x" * 1001},
    {"commit_message": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=lambda fields: ascii(fields)[:60])
def test_a_bad_field_is_refused_and_leaves_no_trace(yard: Yard, fields: dict[str, Any]) -> None:
    """When it is created, updated and imported: no row, no version, no entry in the audit log."""
    if not _exists(yard, "good"):
        make(yard.admin, "good", meta={"description": "d"}, params={"seed": 1})
    row, before = read(yard.admin, "good"), last_audit(yard)
    created = yard.admin.post(f"{M}/create", content=json.dumps(preset("bad") | fields).encode())
    assert created.status_code == 422, created.text
    imported = yard.admin.post(f"{M}/import", content=json.dumps([preset("bad2"), preset("bad") | fields]).encode())
    assert imported.status_code == 422, imported.text
    if None not in fields.values() and fields != {"base_model_id": "bad"}:  # null: leave it as it is
        body = json.dumps({"id": "good", **fields}).encode()
        updated = yard.admin.post(f"{M}/model/update", content=body)
        assert updated.status_code == 422, updated.text
    assert not _exists(yard, "bad")
    assert not _exists(yard, "bad2")
    assert read(yard.admin, "good") == row
    assert last_audit(yard) == before


def _exists(yard: Yard, model_id: str) -> bool:
    return yard.admin.get(f"{M}/model", params={"id": model_id}).status_code == 200


BODIES = [b"", b"null", b"[]", b"1", b'"x"', b"{", b"{}", b"[[", b"NaN", b'{"id":NaN}', b'{"id":"x","id":1}', b"\xff\xfe",
          b'{"id":"\xff"}', b"[" * 100_000, b'{"a":' * 20_000, b'{"id":' + b"9" * 5000 + b"}", b'{"\\ud800":1}',
          b'{"models":[{"\\ud800":{}}]}', b'[{"id":"\\ud800","name":"x"}]', b'{"ids":["\\ud800"],"action":"enable"}',
          b'{"version_id":"\\ud800"}', b'{"batch_id":"\\ud800"}', b'{"id":"nowhere"}', b'{"confirm":"perhaps"}']  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body)[:40])
def test_no_body_makes_the_server_fail_or_changes_anything(yard: Yard, body: bytes) -> None:
    before = last_audit(yard)
    for path in (
        "/create", "/model/update", "/model/toggle", "/model/access/update", "/model/delete", "/model/restore", "/import",
        "/sync", "/bulk", "/model/update/version?id=x",
    ):  # fmt: skip
        answer = yard.admin.post(M + path, content=body)
        allowed = (200,) if (path, body) == ("/import", b"[]") else (400, 404, 413, 422)
        assert answer.status_code in allowed, (path, answer.status_code, answer.text[:200])
    assert yard.admin.request("DELETE", f"{M}/delete/all", content=body).status_code in (400, 422)
    assert last_audit(yard) == before


TAGS = [
    (["b", "a", "A", " a ", "b"], [{"name": "b"}, {"name": "a"}], ["a", "b"]),
    ([{"name": "Größe"}, {"name": "größe", "extra": 1}], [{"name": "Größe", "extra": 1}], ["Größe"]),
    (["日本", "русский", "עברית", "🦙"], None, ["русский", "עברית", "日本", "🦙"]),
    (["50%", "a_b", '"', "<b>"], None, None),
    ([1, {}, {"name": 1}, [], "x"], [1, {}, {"name": 1}, [], {"name": "x"}], ["x"]),
    ({"name": "x"}, {"name": "x"}, []),
    ("x", "x", []),
    (None, None, []),
    ([str(number) for number in range(1000)], None, None),
    (["x" * 100], None, ["x" * 100]),
    (["", " "], [{"name": ""}, {"name": " "}], []),
]


@pytest.mark.parametrize(("tags", "kept", "known"), TAGS, ids=lambda value: ascii(value)[:30])
def test_tags_of_any_script_and_form_are_kept_and_found(yard: Yard, tags: Any, kept: Any, known: Any) -> None:
    made = make(yard.admin, "tagged", meta={"tags": tags})
    if kept is not None:
        assert made["meta"]["tags"] == kept
    if known is not None:
        assert set(yard.admin.get(f"{M}/tags").json()) == set(known)
        for tag in known:
            found = yard.admin.get(f"{M}/list", params={"tag": tag}).json()["items"]
            assert [row["id"] for row in found] == ["tagged"]
    post(yard.admin, "/model/delete", id="tagged")


def test_equal_suggestions_are_stored_once_by_every_way(yard: Yard) -> None:
    one, other = {"content": "Hi", "title": ["Hi", ""], "own": 1}, {"content": "Hi", "title": ["Ho", ""]}
    sent = {
        "suggestion_prompts": [one, other, dict(reversed(one.items()))],
        "tags": ["b", "a", "B"],
        "own": [None, None],
    }
    kept = {"suggestion_prompts": [one, other], "tags": [{"name": "b"}, {"name": "a"}], "own": [None, None]}
    made = make(yard.admin, "suggesting", meta=sent)
    assert {name: made["meta"][name] for name in kept} == kept
    post(yard.admin, "/model/update", id="suggesting", meta={})
    changed = post(yard.admin, "/model/update", id="suggesting", meta=sent).json()
    assert {name: changed["meta"][name] for name in kept} == kept
    post(yard.admin, "/model/delete", id="suggesting")
    answer = yard.admin.post(f"{M}/import", json=[{**preset("suggesting"), "meta": sent}])
    assert answer.status_code == 200, answer.text
    found = yard.admin.get(f"{M}/model", params={"id": "suggesting"}).json()
    assert {name: found["meta"][name] for name in kept} == kept
    post(yard.admin, "/model/delete", id="suggesting")


def test_the_examples_of_the_catalogues_page_work_in_their_order(yard: Yard, tmp_path: Path) -> None:
    script = "\n".join(blocks("docs/catalogue.md", "bash")).replace("models.json", str(tmp_path / "models.json"))
    told = run_shell(script, (yard.url, ADMIN_KEY, "http://127.0.0.1:8080"))
    assert '"params.system":{"old":"Talk like a pirate.","new":"Talk like an old pirate."}' in told
    assert '"status":"unchanged"' in told
    assert '"status":"deleted"' in told
    assert not _exists(yard, "pirate")
