"""What a row was: versions, what differs between them, and back to an earlier one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from tests.control.catalogue import PNG, M, audited, last_audit, make, person, read, run_catalogue
from tests.servers import Scripted
from tests.yard import Yard


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("history")) as running:
        yield running


def update(yard: Yard, model_id: str, **fields: Any) -> dict[str, Any]:
    answer = yard.admin.post(f"{M}/model/update", json={"id": model_id, **fields})
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def history(yard: Yard, model_id: str, page: int = 1) -> list[dict[str, Any]]:
    answer = yard.admin.get(f"{M}/model/history", params={"id": model_id, "page": page})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def put_in_force(yard: Yard, model_id: str, version_id: str, **fields: Any) -> httpx2.Response:
    body = {"version_id": version_id, **fields}
    return yard.admin.post(f"{M}/model/update/version", params={"id": model_id}, json=body)


def test_an_edit_is_kept_told_apart_and_taken_back(yard: Yard) -> None:
    first = make(yard.admin, "edited", params={"seed": 1, "stop": ["a"]}, meta={"description": "one"})
    second = update(
        yard, "edited", params={"seed": 2, "stop": ["a"]}, meta={"description": "one", "x": 1},
        commit_message="try two",
    )  # fmt: skip
    newest, oldest = history(yard, "edited")
    assert (newest["id"], newest["parent_id"]) == (second["version_id"], first["version_id"])
    assert (newest["is_current"], oldest["is_current"], oldest["parent_id"]) == (True, False, None)
    assert (newest["commit_message"], newest["model_id"]) == ("try two", "edited")
    query = {"id": "edited", "from": first["version_id"]}
    told = yard.admin.get(f"{M}/model/history/diff", params=query).json()
    assert told == {"changes": {"params.seed": {"old": 1, "new": 2}, "meta.x": {"old": None, "new": 1}}}
    whole = yard.admin.get(f"{M}/model/history/{oldest['id']}", params={"id": "edited"}).json()
    assert whole["snapshot"] == {
        "name": "edited", "base_model_id": "echo", "params": {"seed": 1, "stop": ["a"]}, "meta": {"description": "one"}
    }  # fmt: skip
    back = put_in_force(yard, "edited", first["version_id"]).json()
    assert (back["params"], back["meta"], back["version_id"]) == (first["params"], first["meta"], first["version_id"])
    assert [version["is_current"] for version in history(yard, "edited")] == [False, True]
    assert audited(yard, entity_id="edited")[0]["changes"]["params"]["new"] == first["params"]


def test_going_back_leaves_activity_access_and_hiding_as_they_are(yard: Yard) -> None:
    first = make(yard.admin, "went-back", meta={"description": "one"}, access_control=None)
    update(yard, "went-back", meta={"description": "two", "hidden": True}, access_control={}, is_active=False)
    back = put_in_force(yard, "went-back", first["version_id"]).json()
    assert back["meta"] == {"description": "one", "hidden": True}
    assert (back["access_control"], back["is_active"]) == ({}, False)


def test_a_picture_goes_back_too(yard: Yard) -> None:
    first = make(yard.admin, "picture", meta={"profile_image_url": PNG})
    update(yard, "picture", meta={})
    back = put_in_force(yard, "picture", first["version_id"]).json()
    assert back["meta"] == {"profile_image_url": PNG}


def kept_pictures(yard: Yard) -> list[str]:
    """Ids of the objects whose histories hold pictures, one for each picture."""
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=60)) as database:
        query = "SELECT entity_id FROM versions WHERE instr(content, 'data:image') ORDER BY entity_id"
        return [row[0] for row in database.execute(query)]


def test_a_picture_is_kept_once_for_all_versions_and_while_one_of_them_has_it(yard: Yard) -> None:
    other = PNG.replace("aW5nIHBpeGVs", "") + "aaaa"
    before = kept_pictures(yard)
    made = [make(yard.admin, "pictured", meta={"profile_image_url": PNG}, params={"seed": 0})]
    made += [update(yard, "pictured", params={"seed": number}) for number in range(1, 4)]
    assert sorted([*before, "pictured"]) == kept_pictures(yard)
    made.append(update(yard, "pictured", meta={"profile_image_url": other}))
    assert sorted([*before, "pictured", "pictured"]) == kept_pictures(yard)
    first = f"{M}/model/history/{made[0]['version_id']}"
    whole = yard.admin.get(first, params={"id": "pictured"}).json()
    assert whole["snapshot"]["meta"] == {"profile_image_url": PNG}
    query = {"id": "pictured", "from": made[3]["version_id"]}
    told = yard.admin.get(f"{M}/model/history/diff", params=query).json()["changes"]
    assert told.keys() == {"profile_image"}
    assert told["profile_image"]["old"] != told["profile_image"]["new"]
    # Deleted, used again with the same picture, restored.
    yard.admin.post(f"{M}/model/delete", json={"id": "pictured"})
    make(yard.admin, "pictured", meta={"profile_image_url": PNG})
    yard.admin.post(f"{M}/model/delete", json={"id": "pictured"})
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=60)) as database, database:
        database.execute("DELETE FROM trash WHERE id = (SELECT max(id) FROM trash WHERE entity_id = 'pictured')")
    assert yard.admin.post(f"{M}/model/restore", json={"id": "pictured"}).status_code == 200
    assert put_in_force(yard, "pictured", made[1]["version_id"]).json()["meta"] == {"profile_image_url": PNG}
    # The last version with a picture goes, and the picture with it.
    assert yard.admin.delete(f"{M}/model/history/{made[4]['version_id']}", params={"id": "pictured"}).json() is True
    assert kept_pictures(yard).count("pictured") == 1
    assert read(yard.admin, "pictured")["meta"] == {"profile_image_url": PNG}


def test_activity_access_and_hiding_make_no_version(yard: Yard) -> None:
    made = make(yard.admin, "unversioned")
    yard.admin.post(f"{M}/model/toggle", params={"id": "unversioned"})
    update(yard, "unversioned", access_control=None)
    changed = update(yard, "unversioned", meta={"hidden": True})
    assert changed["version_id"] == made["version_id"]
    assert len(history(yard, "unversioned")) == 1


def test_of_two_versions_with_one_content_the_one_asked_for_is_in_force(yard: Yard) -> None:
    first = make(yard.admin, "same", params={"seed": 1})
    update(yard, "same", params={"seed": 2})
    update(yard, "same", params={"seed": 1})
    assert put_in_force(yard, "same", first["version_id"]).json()["version_id"] == first["version_id"]


def test_going_back_is_refused_when_somebody_has_saved_meanwhile(yard: Yard) -> None:
    first = make(yard.admin, "meanwhile", params={"seed": 1})
    seen = update(yard, "meanwhile", params={"seed": 2})
    newest = update(yard, "meanwhile", params={"seed": 3})
    before = last_audit(yard)
    assert put_in_force(yard, "meanwhile", first["version_id"], current=seen["version_id"]).status_code == 409
    stale = yard.admin.post(f"{M}/model/update", json={"id": "meanwhile", "name": "x", "version_id": "unknown"})
    assert stale.status_code == 409
    assert (read(yard.admin, "meanwhile"), last_audit(yard)) == (newest, before)


def test_versions_of_another_model_and_unknown_ones_are_not_found(yard: Yard) -> None:
    one, other = make(yard.admin, "one"), make(yard.admin, "other")
    query = {"id": "other"}
    for version_id in (one["version_id"], "nowhere", "x" * 100, "%", "ä"):
        assert yard.admin.get(f"{M}/model/history/{version_id}", params=query).status_code == 404
        assert yard.admin.delete(f"{M}/model/history/{version_id}", params=query).status_code == 404
        assert put_in_force(yard, "other", version_id).status_code == 404
        diff = {"id": "other", "from": version_id}
        assert yard.admin.get(f"{M}/model/history/diff", params=diff).status_code == 404
    assert yard.admin.delete(f"{M}/model/history/{other['version_id']}", params=query).status_code == 409
    assert put_in_force(yard, "other", "x" * 101).status_code == 422


def test_a_removed_version_leaves_an_unbroken_chain(yard: Yard) -> None:
    made = [make(yard.admin, "chain", params={"seed": 0})]
    made += [update(yard, "chain", params={"seed": number}) for number in range(1, 5)]
    ids = [row["version_id"] for row in made]
    for gone in (ids[2], ids[0]):
        assert yard.admin.delete(f"{M}/model/history/{gone}", params={"id": "chain"}).json() is True
    found = {version["id"]: version["parent_id"] for version in history(yard, "chain")}
    assert found == {ids[4]: ids[3], ids[3]: ids[1], ids[1]: None}
    assert audited(yard, entity_id="chain")[0]["action"] == "model.version_deleted"


def test_the_newest_200_versions_are_kept_and_none_names_a_parent_that_is_gone(yard: Yard) -> None:
    make(yard.admin, "long", params={"seed": 0})
    for number in range(1, 206):
        update(yard, "long", params={"seed": number})
    found = [version for page in range(1, 12) for version in history(yard, "long", page)]
    assert len(found) == 200
    assert len({version["id"] for version in found}) == 200
    assert [version["parent_id"] for version in found] == [version["id"] for version in found[1:]] + [None]
    assert history(yard, "long", 11) == []
    assert put_in_force(yard, "long", found[-1]["id"]).json()["params"] == {"seed": 6}

    assert len(history(yard, "long")) == 20


def test_an_id_that_is_used_again_has_a_history_of_its_own(yard: Yard) -> None:
    old = make(yard.admin, "again", params={"seed": 1})
    update(yard, "again", params={"seed": 2})
    yard.admin.post(f"{M}/model/delete", json={"id": "again"})
    assert yard.admin.get(f"{M}/model/history", params={"id": "again"}).status_code == 404
    new = make(yard.admin, "again", params={"seed": 3})
    assert [version["id"] for version in history(yard, "again")] == [new["version_id"]]
    assert put_in_force(yard, "again", old["version_id"]).status_code == 404
    yard.admin.post(f"{M}/model/delete", json={"id": "again"})
    # The one deleted last comes back, with its own history.
    restored = yard.admin.post(f"{M}/model/restore", json={"id": "again"}).json()["items"][0]
    assert restored["params"] == {"seed": 3}
    assert [version["id"] for version in history(yard, "again")] == [new["version_id"]]


def test_a_deleted_row_comes_back_with_its_history(yard: Yard) -> None:
    first = make(yard.admin, "whole", params={"seed": 1})
    update(yard, "whole", params={"seed": 2}, commit_message="two")
    before = history(yard, "whole")
    yard.admin.post(f"{M}/model/delete", json={"id": "whole"})
    assert yard.admin.post(f"{M}/model/restore", json={"id": "whole"}).status_code == 200
    assert history(yard, "whole") == before
    assert put_in_force(yard, "whole", first["version_id"]).json()["params"] == {"seed": 1}


def test_a_key_that_may_only_call_sees_no_history_and_no_trash(yard: Yard) -> None:
    make(yard.admin, "echo-like")
    confined = yard.make_key(models=["echo-like"])
    with yard.client(confined) as client:
        assert client.get(f"{M}/model/history", params={"id": "echo-like"}).status_code == 403
        assert client.get(f"{M}/deleted").status_code == 403
    with person(yard, "maker") as maker:
        assert maker.get(f"{M}/model/history", params={"id": "echo-like"}).status_code == 404


def test_what_is_older_than_30_days_is_gone_with_its_history(yard: Yard) -> None:
    make(yard.admin, "old")
    yard.admin.post(f"{M}/model/delete", json={"id": "old"})
    file = yard.data_dir / "modelyard.db"
    with closing(sqlite3.connect(file, timeout=60)) as database, database:
        database.execute("UPDATE trash SET deleted_at = deleted_at - 2592001 WHERE entity_id = 'old'")
        [(kept,)] = database.execute("SELECT count(*) FROM versions WHERE entity_id LIKE 'deleted %'")
    assert yard.admin.post(f"{M}/model/restore", json={"id": "old"}).status_code == 404
    assert "old" not in [row["id"] for row in yard.admin.get(f"{M}/deleted").json()["items"]]
    make(yard.admin, "newer")
    yard.admin.post(f"{M}/model/delete", json={"id": "newer"})
    with closing(sqlite3.connect(file, timeout=60)) as database:
        assert database.execute("SELECT count(*) FROM trash WHERE entity_id = 'old'").fetchone() == (0,)
        [(now,)] = database.execute("SELECT count(*) FROM versions WHERE entity_id LIKE 'deleted %'")
    assert now == kept  # one gone, one come


def test_hiding_meanwhile_survives_the_save_of_whoever_has_read_it_before(yard: Yard) -> None:
    opened = make(yard.admin, "hidden-meanwhile", meta={"description": "one"})
    hide = {"ids": ["hidden-meanwhile"], "action": "hide"}
    assert yard.admin.post(f"{M}/bulk", json=hide).status_code == 200
    yard.admin.post(f"{M}/model/toggle", params={"id": "hidden-meanwhile", "is_active": "false"})
    mine = {"version_id": opened["version_id"], "meta": {"description": "two"}, "name": "Mine"}
    saved = update(yard, "hidden-meanwhile", **mine)
    assert (saved["meta"], saved["is_active"]) == ({"description": "two", "hidden": True}, False)
    # What is named counts, and without a version `meta` is taken as it is.
    shown = update(
        yard, "hidden-meanwhile", version_id=saved["version_id"], meta={"description": "two", "hidden": False}
    )
    assert shown["meta"]["hidden"] is False
    assert update(yard, "hidden-meanwhile", meta={})["meta"] == {}


def test_a_list_of_versions_outlines_what_each_changed(yard: Yard) -> None:
    first = make(yard.admin, "outlined", params={"seed": 1}, meta={"profile_image_url": PNG})
    update(yard, "outlined", params={"seed": 2, "system": "Hello"}, meta={"tags": ["x"]}, name="Outlined anew")
    newest, oldest = history(yard, "outlined")
    assert newest["changed"] == ["name", "params.seed", "params.system", "meta.tags", "profile_image"]
    assert oldest["changed"] == []
    whole = yard.admin.get(f"{M}/model/history/{newest['id']}", params={"id": "outlined"}).json()
    assert whole["changed"] == newest["changed"]
    put_in_force(yard, "outlined", first["version_id"])
    update(yard, "outlined", params={f"p{number}": 1 for number in range(30)})
    assert len(history(yard, "outlined")[0]["changed"]) == 20
    assert history(yard, "outlined")[0]["parent_id"] == first["version_id"]
