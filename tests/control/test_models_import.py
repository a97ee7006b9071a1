"""Import, export and sync: what an export holds comes back, and a bad file changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
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
    with run_catalogue(upstream, tmp_path_factory.mktemp("import"), database=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(yard: Yard) -> None:
    assert yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200


def take(client: httpx2.Client, content: Any, **query: str) -> httpx2.Response:
    return client.post(f"{M}/import", params=query, content=json.dumps(content).encode())


def outcomes(answer: httpx2.Response) -> list[str]:
    return [result["status"] for result in answer.json()["results"]]


def fill(yard: Yard) -> None:
    make(
        yard.admin, "one", params={"system": "s", "x": 1}, access_control=None,
        meta={"profile_image_url": PNG, "tags": [{"name": "Größe"}], "own": {"a": [1]}},
    )  # fmt: skip
    make(yard.admin, "two/ä", is_active=False, access_control={"write": {"group_ids": ["file-open"]}})
    make(yard.admin, "three")


def test_an_export_taken_in_again_changes_nothing(yard: Yard) -> None:
    fill(yard)
    before, noted = everything(yard), last_audit(yard)
    exported = yard.admin.get(f"{M}/export").json()
    assert {row["id"] for row in exported} == {"one", "two/ä", "three", "declared", "secret"}
    for content in (exported, {"models": exported}):
        answer = take(yard.admin, content)
        assert answer.status_code == 200, answer.text
        assert set(outcomes(answer)) == {"unchanged"}
    assert (everything(yard), last_audit(yard)) == (before, noted)


def test_an_export_brings_deleted_rows_back_as_they_were_written(yard: Yard) -> None:
    fill(yard)
    exported = yard.admin.get(f"{M}/export").json()
    yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"})
    answer = take(yard.admin, exported)
    assert sorted(outcomes(answer)) == ["created"] * 3 + ["unchanged"] * 2
    again = {row["id"]: row for row in yard.admin.get(f"{M}/export").json()}
    for row in exported:
        for field in ("name", "base_model_id", "params", "meta", "access_control", "is_active"):
            assert again[row["id"]][field] == row[field], field


def test_rows_of_older_and_newer_clients_are_read(yard: Yard) -> None:
    older = {
        "id": "older", "user_id": "u-1", "base_model_id": "echo", "name": "Older", "params": {"seed": 1},
        "meta": {"profile_image_url": "/static/favicon.png", "capabilities": {"vision": True}, "tags": []},
        "access_control": None, "is_active": True, "updated_at": 1, "created_at": 1,
        "user": {"id": "u-1", "name": "x", "email": "x", "role": "user"},
    }  # fmt: skip
    newer = {
        "id": "newer", "user_id": "u-1", "base_model_id": "echo", "name": "Newer", "params": {}, "meta": {},
        "access_grants": [
            {"id": "g", "resource_type": "model", "resource_id": "newer", "principal_type": "user", "principal_id": "*",
             "permission": "read", "created_at": 1}
        ],
        "is_active": False, "write_access": True, "version_id": "v-1", "background_image_data": "x", "updated_at": 1,
        "created_at": 1,
    }  # fmt: skip
    entry = {
        "id": "entry", "name": "Entry", "object": "model", "created": 1, "owned_by": "openai", "preset": True,
        "info": {"id": "entry", "name": "Of the row", "base_model_id": "echo", "meta": {"own": 1}, "params": {"seed": 2}},
    }  # fmt: skip
    bare = {"id": "bare", "name": "Bare"}
    answer = take(yard.admin, [older, newer, entry, bare])
    assert outcomes(answer) == ["created"] * 4, answer.text
    rows = {row["id"]: row for row in everything(yard)}
    assert (rows["older"]["access_control"], rows["older"]["user_id"]) == (None, "built-in-administrator")
    assert (rows["newer"]["access_control"], rows["newer"]["is_active"]) == (None, False)
    assert rows["newer"]["version_id"] != "v-1"
    assert (rows["entry"]["name"], rows["entry"]["meta"]) == ("Of the row", {"own": 1})
    assert (rows["bare"]["base_model_id"], rows["bare"]["access_control"]) == (None, {})


def test_a_known_row_takes_meta_key_by_key_and_params_as_a_whole(yard: Yard) -> None:
    make(yard.admin, "known", params={"a": 1, "b": 1}, meta={"x": 1, "y": 1, "profile_image_url": PNG})
    answer = take(yard.admin, [preset("known", params={"a": 2}, meta={"y": 2})])
    assert outcomes(answer) == ["updated"]
    row = read(yard.admin, "known")
    assert (row["params"], row["meta"]) == ({"a": 2}, {"x": 1, "y": 2, "profile_image_url": PNG})


def test_an_import_leaves_other_peoples_models_alone(yard: Yard) -> None:
    make(yard.admin, "not-yours", access_control=None)
    before, noted = read(yard.admin, "not-yours"), last_audit(yard)
    with person(yard, "maker") as maker:
        answer = take(maker, [preset("mine"), preset("not-yours", name="Taken over"), preset("secret")])
        assert (answer.status_code, outcomes(answer)) == (422, ["created", "failed", "failed"])
        assert maker.get(f"{M}/model", params={"id": "mine"}).status_code == 404
        assert last_audit(yard) == noted
        answer = take(maker, [preset("mine"), preset("not-yours", name="Taken over"), {"id": "echo-2", "name": "x"}],
                      partial="true")  # fmt: skip
        assert (answer.status_code, outcomes(answer)) == (200, ["created", "failed", "failed"])
        assert read(maker, "mine")["user_id"] == "file-maker@example.com"
    assert read(yard.admin, "not-yours") == before
    assert audited(yard, action="model.created")[0]["entity_id"] == "mine"


GOOD = preset("good")
BAD: list[tuple[Any, int]] = [
    (b"", 422), (b"null", 422), (b"{}", 422), (b'{"models": null}', 422), (b'{"models": {}}', 422), (b"1", 422),
    (b'"text"', 422), (json.dumps([GOOD]).encode()[:-3], 422), (json.dumps([GOOD]).encode("utf-16"), 422),
    (json.dumps([GOOD, 1]).encode(), 422), (json.dumps([GOOD, None]).encode(), 422),
    (json.dumps([GOOD, []]).encode(), 422), (json.dumps([GOOD, {}]).encode(), 422),
    (json.dumps([GOOD, GOOD]).encode(), 422), (json.dumps([GOOD, {"info": GOOD}]).encode(), 422),
    (json.dumps([GOOD, {"info": 1}]).encode(), 422), (json.dumps([GOOD, {"info": {"id": "x"}}]).encode(), 422),
    (json.dumps([GOOD, {"id": "x"}]).encode(), 422), (json.dumps([GOOD, {"id": {}, "name": "x"}]).encode(), 422),
    (json.dumps([GOOD, {"id": "\ud800", "name": "x"}]).encode(), 422),
    (json.dumps([GOOD, preset("x", base_model_id="x")]).encode(), 422),
    (json.dumps([GOOD, preset("lorem")]).encode(), 422),
    (json.dumps([GOOD, preset("x", access_control={"read": {"group_ids": ["of another house"]}})]).encode(), 422),
    (json.dumps([{"id": f"m-{n}", "name": "n"} for n in range(20_001)]).encode(), 413),
    (b"[" + b"[" * 5000 + b"]" * 5000 + b"]", 400),
]  # fmt: skip


@pytest.mark.parametrize(("content", "status"), BAD, ids=lambda value: ascii(value)[:50])
def test_a_bad_file_is_refused_as_a_whole(yard: Yard, content: bytes, status: int) -> None:
    noted = last_audit(yard)
    answer = yard.admin.post(f"{M}/import", content=content)
    assert answer.status_code == status, answer.text[:300]
    assert everything(yard) == []
    assert last_audit(yard) == noted


def test_each_item_is_told_what_is_wrong_with_it(yard: Yard) -> None:
    answer = take(yard.admin, [GOOD, {"id": "x"}, preset("y", params={"temperature": "hot"}), 1])
    results = answer.json()["results"]
    assert [result["place"] for result in results] == [0, 1, 2, 3]
    assert "name" in results[1]["detail"]
    assert "params.temperature" in results[2]["detail"]
    assert results[3] == {"place": 3, "id": None, "status": "failed", "detail": "It must be an object."}


def test_a_stale_version_in_a_file_does_not_stop_it(yard: Yard) -> None:
    old = make(yard.admin, "moved-on")
    yard.admin.post(f"{M}/model/update", json={"id": "moved-on", "name": "New"})
    assert outcomes(take(yard.admin, [old])) == ["updated"]


def test_sync_makes_the_catalogue_equal_to_the_list_and_can_be_undone(yard: Yard) -> None:
    fill(yard)
    before = everything(yard)
    wanted = [
        preset("one", params={"seed": 1}, meta={"own": 2}, access_control={}),
        preset("four", access_control=None),
    ]
    answer = yard.admin.post(f"{M}/sync", json={"models": wanted})
    assert answer.status_code == 200, answer.text
    rows = {row["id"]: row for row in answer.json()}
    assert rows.keys() == {"one", "four"}
    assert (rows["one"]["params"], rows["one"]["meta"]) == ({"seed": 1}, {"own": 2})
    assert yard.admin.get(f"{M}/tags").json() == []
    deleted = yard.admin.get(f"{M}/deleted").json()["items"]
    assert {row["id"] for row in deleted[:2]} == {"two/ä", "three"}
    [batch_id] = {row["batch_id"] for row in deleted[:2]}
    assert yard.admin.post(f"{M}/model/restore", json={"batch_id": batch_id}).status_code == 200
    after = {row["id"]: row for row in everything(yard)}
    assert [row for row in before if row["id"] != "one"] == [after["three"], after["two/ä"]]


def test_sync_with_all_rows_changes_nothing(yard: Yard) -> None:
    fill(yard)
    before, noted = everything(yard), last_audit(yard)
    answer = yard.admin.post(f"{M}/sync", json={"models": yard.admin.get(f"{M}/all").json()})
    assert answer.status_code == 200, answer.text
    assert (everything(yard), last_audit(yard)) == (before, noted)


@pytest.mark.parametrize(
    "body",
    [{"models": []}, {"models": [], "confirm": False}, {}, {"models": [1]}, {"models": [{"id": "x"}]}, {"models": {}},
     {"models": [GOOD, GOOD]}, {"models": [GOOD], "x": 1}],
)  # fmt: skip
def test_a_sync_that_is_empty_or_wrong_deletes_nothing(yard: Yard, body: Any) -> None:
    fill(yard)
    before, noted = everything(yard), last_audit(yard)
    assert yard.admin.post(f"{M}/sync", json=body).status_code == 422
    assert (everything(yard), last_audit(yard)) == (before, noted)


def test_an_entry_that_names_its_row_differently_is_not_deleted_by_its_own_sync(yard: Yard) -> None:
    entry = {"id": "outer", "info": preset("inner")}
    answer = yard.admin.post(f"{M}/sync", json={"models": [entry]})
    assert [row["id"] for row in answer.json()] == ["inner"]
    assert [row["id"] for row in everything(yard)] == ["inner"]


def test_an_empty_sync_deletes_everything_when_it_is_confirmed(yard: Yard) -> None:
    fill(yard)
    assert yard.admin.post(f"{M}/sync", json={"models": [], "confirm": True}).json() == []
    assert everything(yard) == []
