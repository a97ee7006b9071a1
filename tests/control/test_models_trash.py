"""Deleted rows: restored exactly as they were, one by one or as one step."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.control.catalogue import (
    DATABASES,
    PNG,
    M,
    audited,
    everything,
    last_audit,
    make,
    person,
    preset,
    read,
    run_catalogue,
)
from tests.servers import Scripted
from tests.yard import Yard


@pytest.fixture(scope="module", params=DATABASES)
def yard(
    request: pytest.FixtureRequest, upstream: Scripted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("trash"), database=request.param) as running:
        yield running


def fill(yard: Yard, number: int) -> None:
    """Rows of every kind: overrides and presets, of several owners, with pictures, tags, grants and histories."""
    for version in range(2):
        items = []
        for place in range(number):
            shared = {"read": {"user_ids": ["file-plain@example.com"]}, "write": {"group_ids": ["file-open"]}}
            access = [None, {}, shared][place % 3]
            items.append(
                preset(
                    f"row/{place:03}:ä",
                    name=f"Row {place}",
                    base_model_id=None if place % 7 == 0 else "echo",
                    params={"seed": place, "system": f"version {version}"},
                    meta={
                        "tags": [{"name": f"tag {place % 5}"}, {"name": "Größe"}],
                        "hidden": place % 2 == 0,
                        **({"profile_image_url": PNG} if place % 4 == 0 else {}),
                    },
                    access_control=access,
                    is_active=place % 5 != 0,
                )
            )
        answer = yard.admin.post(f"{M}/import", json=items)
        assert answer.status_code == 200, answer.text


def test_deleting_all_needs_a_confirmation_and_is_undone_as_one_step_exactly(yard: Yard) -> None:
    fill(yard, 300)
    with person(yard, "maker") as maker:
        make(maker, "of-somebody-else")
        before = everything(yard)
        assert len(before) == 301
        noted = last_audit(yard)
        assert yard.admin.delete(f"{M}/delete/all").status_code == 422
        assert yard.admin.delete(f"{M}/delete/all", params={"confirm": "false"}).status_code == 422
        assert maker.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 403
        assert last_audit(yard) == noted
        done = yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).json()
        assert (done["status"], done["deleted"]) == (True, 301)
        assert everything(yard) == []
        assert yard.admin.get(f"{M}/tags").json() == []
        assert yard.admin.get(f"{M}/deleted").json()["total"] == 301
        assert maker.post(f"{M}/model/restore", json={"batch_id": done["batch_id"]}).status_code == 404
        restored = yard.admin.post(f"{M}/model/restore", json={"batch_id": done["batch_id"]})
        assert restored.status_code == 200, restored.text
        assert everything(yard) == before
        assert set(yard.admin.get(f"{M}/tags").json()) == {"Größe", *(f"tag {place}" for place in range(5))}
        assert yard.admin.get(f"{M}/deleted").json()["total"] == 0
        assert yard.admin.post(f"{M}/model/restore", json={"batch_id": done["batch_id"]}).status_code == 404
    for action in ("model.deleted", "model.restored"):
        assert len(audited(yard, action=action)) == 100  # a page
    final = yard.admin.request("DELETE", f"{M}/delete/all", json={"confirm": True})
    assert final.json()["deleted"] == 301


def test_a_restored_row_is_called_seen_and_edited_as_before(yard: Yard) -> None:
    make(yard.admin, "back", access_control=None)
    with person(yard, "plain") as plain:
        body = {"model": "back", "messages": [{"role": "user", "content": "hi"}]}
        assert plain.post("/v1/chat/completions", json=body).status_code == 200
        yard.admin.post(f"{M}/model/delete", json={"id": "back"})
        assert plain.post("/v1/chat/completions", json=body).status_code == 404
        yard.admin.post(f"{M}/model/restore", json={"id": "back"})
        assert plain.post("/v1/chat/completions", json=body).status_code == 200
    assert yard.admin.post(f"{M}/model/update", json={"id": "back", "name": "New"}).status_code == 200


def test_a_row_is_not_restored_over_another_and_nothing_of_its_batch_is(yard: Yard) -> None:
    for name in ("taken", "not-taken"):
        make(yard.admin, name)
    done = yard.admin.post(f"{M}/bulk", json={"ids": ["taken", "not-taken"], "action": "delete"}).json()
    new = make(yard.admin, "taken", name="The new one")
    before = last_audit(yard)
    assert yard.admin.post(f"{M}/model/restore", json={"id": "taken"}).status_code == 409
    assert yard.admin.post(f"{M}/model/restore", json={"batch_id": done["batch_id"]}).status_code == 409
    assert (read(yard.admin, "taken"), last_audit(yard)) == (new, before)
    assert yard.admin.get(f"{M}/model", params={"id": "not-taken"}).status_code == 404


def test_a_grant_to_somebody_who_is_gone_does_not_come_back(yard: Yard) -> None:
    """Their id could be given to somebody else one day."""
    made = yard.admin.post("/api/v1/groups/create", json={"name": "for a while", "description": ""})
    assert made.status_code == 200, made.text
    group = made.json()["id"]
    access = {"read": {"group_ids": [group, "file-open"]}}
    make(yard.admin, "granted", access_control=access)
    yard.admin.post(f"{M}/model/delete", json={"id": "granted"})
    assert yard.admin.delete(f"/api/v1/groups/id/{group}/delete").status_code == 200
    [restored] = yard.admin.post(f"{M}/model/restore", json={"id": "granted"}).json()["items"]
    assert restored["access_control"]["read"]["group_ids"] == ["file-open"]


def test_each_sees_and_restores_what_was_theirs(yard: Yard) -> None:
    with person(yard, "maker") as maker, person(yard, "sharer") as sharer:
        make(maker, "makers-own")
        yard.admin.post(f"{M}/model/delete", json={"id": "makers-own"})
        mine = maker.get(f"{M}/deleted").json()["items"][0]  # the newest
        assert mine.keys() == {
            "trash_id", "id", "name", "user_id", "deleted_by", "deleted_at", "expires_at", "batch_id", "together",
        }  # fmt: skip
        assert (mine["id"], mine["deleted_by"]) == ("makers-own", "built-in-administrator")
        assert mine["expires_at"] - mine["deleted_at"] == 30 * 24 * 3600
        assert sharer.get(f"{M}/deleted").json() == {"items": [], "total": 0}
        assert sharer.post(f"{M}/model/restore", json={"id": "makers-own"}).status_code == 404
        assert sharer.post(f"{M}/model/restore", json={"batch_id": mine["batch_id"]}).status_code == 404
        for body in (
            {"id": "makers-own"},
            *({name: mine[name]} for name in ("trash_id", "batch_id")),
        ):  # an administrator took it away
            assert maker.post(f"{M}/model/restore", json=body).status_code == 403
        assert yard.admin.post(f"{M}/model/restore", json={"id": "makers-own"}).status_code == 200
        maker.post(f"{M}/model/delete", json={"id": "makers-own"})
        # Somebody else uses the id and lets go of it: the maker's is there still.
        make(sharer, "makers-own")
        sharer.post(f"{M}/model/delete", json={"id": "makers-own"})
        [restored] = maker.post(f"{M}/model/restore", json={"id": "makers-own"}).json()["items"]
        assert restored["user_id"] == "file-maker@example.com"


def test_an_owner_restores_what_a_colleague_has_deleted(yard: Yard) -> None:
    with person(yard, "sharer") as sharer, person(yard, "maker") as maker:
        make(sharer, "of-two", access_control={"write": {"user_ids": ["file-maker@example.com"]}})
        assert maker.post(f"{M}/model/delete", json={"id": "of-two"}).json() is True
        assert maker.post(f"{M}/model/restore", json={"id": "of-two"}).status_code == 404
        assert sharer.post(f"{M}/model/restore", json={"id": "of-two"}).status_code == 200


def test_access_that_one_may_not_give_any_more_does_not_come_back(yard: Yard) -> None:
    rights = {"workspace": {"models": True}, "sharing": {"models": True, "public_models": True}}
    group = yard.admin.post("/api/v1/groups/create", json={"name": "for now", "permissions": rights}).json()
    made = yard.admin.post("/api/v1/users/", json={"email": "once@example.com", "role": "user"}).json()
    yard.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [made["id"]]})
    with yard.client(yard.make_key(user_id=made["id"])) as once:
        access = {"read": {"user_ids": ["*"]}, "write": {"user_ids": ["file-plain@example.com"]}}
        make(once, "shared-once", access_control=access)
        once.post(f"{M}/model/delete", json={"id": "shared-once"})
        less = {"workspace": {"models": True}, "sharing": {"models": True}}
        yard.admin.post(f"/api/v1/groups/id/{group['id']}/update", json={"permissions": less})
        [restored] = once.post(f"{M}/model/restore", json={"id": "shared-once"}).json()["items"]
        assert restored["access_control"]["read"]["user_ids"] == []
        assert restored["access_control"]["write"]["user_ids"] == ["file-plain@example.com"]
        once.post(f"{M}/model/delete", json={"id": "shared-once"})
        yard.admin.post(f"/api/v1/groups/id/{group['id']}/update", json={"permissions": {}})
        assert once.post(f"{M}/model/restore", json={"id": "shared-once"}).status_code == 403


def test_what_a_deleted_user_had_deleted_goes_to_the_heir(yard: Yard) -> None:
    made = yard.admin.post("/api/v1/users/", json={"email": "leaver@example.com", "role": "user"}).json()
    yard.admin.post("/api/v1/users/default/permissions", json={"workspace": {"models": True}})
    try:
        with yard.client(yard.make_key(user_id=made["id"])) as leaver:
            make(leaver, "inherited")
            leaver.post(f"{M}/model/delete", json={"id": "inherited"})
        heir = {"transfer_to": "file-maker@example.com"}
        assert yard.admin.delete(f"/api/v1/users/{made['id']}", params=heir).status_code == 200
        with person(yard, "maker") as maker:
            [restored] = maker.post(f"{M}/model/restore", json={"id": "inherited"}).json()["items"]
        assert restored["user_id"] == "file-maker@example.com"
    finally:
        yard.admin.post("/api/v1/users/default/permissions", json={"workspace": {"models": False}})


@pytest.mark.parametrize(
    "body",
    [{}, {"id": "a", "batch_id": "b"}, {"id": None}, {"id": "a", "x": 1}, {"batch_id": "x" * 101}, {"batch_id": 1},
     {"id": "a", "trash_id": "b"}, {"trash_id": "a", "batch_id": "b"}, {"trash_id": "x" * 101}],
)  # fmt: skip
def test_what_to_restore_must_be_said(yard: Yard, body: dict[str, object]) -> None:
    assert yard.admin.post(f"{M}/model/restore", json=body).status_code == 422


def test_what_was_never_deleted_cannot_be_restored(yard: Yard) -> None:
    for body in ({"id": "never"}, {"batch_id": "never"}, {"batch_id": ""}, {"trash_id": "never"}, {"trash_id": ""}):
        assert yard.admin.post(f"{M}/model/restore", json=body).status_code == 404


def test_a_removed_version_takes_a_picture_along_that_no_other_has(yard: Yard) -> None:
    """On both databases: what a history holds is asked of its JSON."""
    first = make(yard.admin, "pictures", meta={"profile_image_url": PNG})["version_id"]
    for seed in (1, 2):
        meta = {} if seed == 2 else {"profile_image_url": PNG}
        form = {"id": "pictures", "params": {"seed": seed}, "meta": meta}
        assert yard.admin.post(f"{M}/model/update", json=form).status_code == 200
    newest, second, _ = yard.admin.get(f"{M}/model/history", params={"id": "pictures"}).json()
    assert newest["is_current"]
    assert yard.admin.delete(f"{M}/model/history/{first}", params={"id": "pictures"}).json() is True
    back = yard.admin.post(f"{M}/model/update/version", params={"id": "pictures"}, json={"version_id": second["id"]})
    assert back.json()["meta"] == {"profile_image_url": PNG}
    assert yard.admin.delete(f"{M}/model/history/{newest['id']}", params={"id": "pictures"}).json() is True
    assert read(yard.admin, "pictures")["meta"] == {"profile_image_url": PNG}


def test_a_row_of_the_trash_is_restored_alone_and_says_how_many_went_with_it(yard: Yard) -> None:
    """Also one that is neither the last under its id nor on the first page; to nobody but those who may."""
    yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"})
    names = [f"together-{place}" for place in range(5)]
    with person(yard, "maker") as maker, person(yard, "sharer") as sharer:
        for name in names:
            make(maker, name, name=f"First {name}")
        maker.post(f"{M}/bulk", json={"ids": names, "action": "delete"})
        make(maker, names[0], name="Second")
        maker.post(f"{M}/model/delete", json={"id": names[0]})

        def listed() -> list[dict[str, Any]]:
            pages = [maker.get(f"{M}/deleted", params={"page": page, "limit": 2}).json()["items"] for page in (1, 2, 3)]
            return [row for page in pages for row in page if row["id"] in names]

        assert [row["together"] for row in listed()] == [1, 5, 5, 5, 5, 5]
        [first] = [row for row in listed() if row["name"] == f"First {names[0]}"]
        form = {"trash_id": first["trash_id"]}
        assert sharer.post(f"{M}/model/restore", json=form).status_code == 404
        [back] = maker.post(f"{M}/model/restore", json=form).json()["items"]
        assert (back["id"], back["name"]) == (names[0], f"First {names[0]}")
        assert maker.post(f"{M}/model/restore", json=form).status_code == 404
        assert [row["together"] for row in listed()] == [1, 4, 4, 4, 4]
