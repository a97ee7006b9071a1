"""One act on many rows."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.control.catalogue import PNG, M, audited, everything, last_audit, make, person, read, run_catalogue
from tests.servers import Scripted
from tests.yard import Yard


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("bulk")) as running:
        yield running


@pytest.fixture(autouse=True)
def _three(yard: Yard) -> None:
    assert yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200
    make(yard.admin, "a", meta={"tags": ["One"], "profile_image_url": PNG, "own": 1})
    make(yard.admin, "b", is_active=False, meta={"hidden": True})
    with person(yard, "maker") as maker:
        make(maker, "c")


def act(client: httpx2.Client, action: str, ids: list[str], **fields: Any) -> dict[str, str]:
    """Id -> what became of it."""
    answer = client.post(f"{M}/bulk", json={"ids": ids, "action": action, **fields})
    assert answer.status_code == 200, answer.text
    return {result["id"]: result["status"] for result in answer.json()["results"]}


def test_many_rows_are_switched_off_and_on(yard: Yard) -> None:
    assert act(yard.admin, "disable", ["a", "b", "c"]) == dict.fromkeys("abc", "updated")
    assert [row["is_active"] for row in everything(yard)] == [False] * 3
    act(yard.admin, "enable", ["a", "b", "c"])
    assert [row["is_active"] for row in everything(yard)] == [True] * 3
    assert [entry["action"] for entry in audited(yard)][:3] == ["model.enabled"] * 3


def test_hiding_and_tagging_leave_the_rest_of_meta_and_the_picture(yard: Yard) -> None:
    act(yard.admin, "hide", ["a", "b"])
    act(yard.admin, "tag", ["a", "b"], tags=["Two", "ONE", " two "])
    row = read(yard.admin, "a")
    assert row["meta"]["own"] == 1
    assert row["meta"]["profile_image_url"] == PNG
    assert row["meta"]["hidden"] is True
    assert [tag["name"] for tag in row["meta"]["tags"]] == ["One", "Two"]
    for tag in ("two", " Two "):
        found = yard.admin.get(f"{M}/list", params={"tag": tag}).json()["items"]
        assert {row["id"] for row in found} == {"a", "b"}, tag
    act(yard.admin, "untag", ["a", "b"], tags=[" one"])
    act(yard.admin, "show", ["a", "b"])
    assert [tag["name"] for tag in read(yard.admin, "a")["meta"]["tags"]] == ["Two"]
    assert read(yard.admin, "b")["meta"]["hidden"] is False


def test_sharing_adds_and_takes_nothing_away(yard: Yard) -> None:
    act(yard.admin, "share", ["a", "b"], access_control={"read": {"user_ids": ["file-plain@example.com"]}})
    act(yard.admin, "share", ["a"], access_grants=[
        {"principal_type": "group", "principal_id": "file-open", "permission": "write"}
    ])  # fmt: skip
    assert read(yard.admin, "a")["access_control"] == {
        "read": {"group_ids": [], "user_ids": ["file-plain@example.com"]},
        "write": {"group_ids": ["file-open"], "user_ids": []},
    }
    act(yard.admin, "share", ["b"], access_control=None)
    assert read(yard.admin, "b")["access_control"] is not None  # public, and the user is still named
    assert act(yard.admin, "share", ["a"]) == {"a": "failed"}


def test_rows_that_one_may_not_change_are_told_and_left_alone(yard: Yard) -> None:
    before = read(yard.admin, "a")
    with person(yard, "maker") as maker:
        done = act(maker, "delete", ["a", "c", "nowhere", "declared", "secret", "echo"])
    assert done == {"c": "deleted", **dict.fromkeys(["a", "nowhere", "declared", "secret", "echo"], "failed")}
    assert read(yard.admin, "a") == before
    assert act(yard.admin, "disable", ["declared", "a"]) == {"declared": "failed", "a": "updated"}


def test_a_deleted_selection_comes_back_as_one_step(yard: Yard) -> None:
    before = everything(yard)
    answer = yard.admin.post(f"{M}/bulk", json={"ids": ["a", "b", "c", "a"], "action": "delete"}).json()
    assert [result["id"] for result in answer["results"]] == ["a", "b", "c"]
    assert everything(yard) == []
    assert yard.admin.post(f"{M}/model/restore", json={"batch_id": answer["batch_id"]}).status_code == 200
    assert everything(yard) == before


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": [], "action": "enable"}, {"ids": ["a"]}, {"ids": ["a"], "action": "drop"}, {"ids": "a", "action": "enable"},
     {"ids": ["a"] * 1001, "action": "enable"}, {"ids": ["a"], "action": "tag"}, {"ids": ["a"], "action": "untag", "tags": []},
     {"ids": ["a"], "action": "tag", "tags": ["x" * 101]}, {"ids": ["a"], "action": "tag", "tags": [""]},
     {"ids": ["a"], "action": "tag", "tags": [1]}, {"ids": ["a"], "action": "enable", "other": 1},
     {"ids": ["a"], "action": "share", "access_control": []}],
)  # fmt: skip
def test_a_malformed_act_changes_nothing(yard: Yard, body: dict[str, Any]) -> None:
    before, noted = everything(yard), last_audit(yard)
    assert yard.admin.post(f"{M}/bulk", json=body).status_code == 422
    assert (everything(yard), last_audit(yard)) == (before, noted)


def test_a_row_has_no_more_tags_than_it_may(yard: Yard) -> None:
    make(yard.admin, "d", meta={"tags": [str(number) for number in range(1000)]})
    assert act(yard.admin, "tag", ["d", "a"], tags=["one more"]) == {"d": "failed", "a": "updated"}
    assert act(yard.admin, "tag", ["d"], tags=["1", " 2 "]) == {"d": "updated"}


def test_an_administrators_act_on_a_base_model_makes_its_row_where_it_needs_one(yard: Yard) -> None:
    bases = ["lorem", "error-500"]
    for action in ("enable", "show"):
        assert act(yard.admin, action, bases) == dict.fromkeys(bases, "unchanged")
    assert act(yard.admin, "untag", bases, tags=["x"]) == dict.fromkeys(bases, "unchanged")
    assert act(yard.admin, "delete", bases) == dict.fromkeys(bases, "failed")
    assert {row["id"] for row in everything(yard)} == {"a", "b", "c"}

    assert act(yard.admin, "disable", ["a", *bases]) == dict.fromkeys(["a", *bases], "updated")
    made = read(yard.admin, "lorem")
    assert (made["base_model_id"], made["name"], made["is_active"]) == (None, "lorem", False)
    assert made["access_control"] == {}
    act(yard.admin, "hide", ["error-500"])
    assert read(yard.admin, "error-500")["meta"] == {"hidden": True}
    assert act(yard.admin, "delete", bases) == dict.fromkeys(bases, "deleted")
    act(yard.admin, "share", ["lorem"], access_control=None)
    act(yard.admin, "tag", ["error-500"], tags=["x"])
    assert read(yard.admin, "lorem")["access_control"] is None
    assert [tag["name"] for tag in read(yard.admin, "error-500")["meta"]["tags"]] == ["x"]
    assert [row["id"] for row in yard.admin.get(f"{M}/base", params={"tag": " X "}).json()] == ["error-500"]


def test_nobody_else_governs_a_base_model_by_an_act_on_many(yard: Yard) -> None:
    with person(yard, "maker") as maker:
        for action in ("disable", "hide", "enable"):
            assert act(maker, action, ["lorem", "declared"]) == dict.fromkeys(["lorem", "declared"], "failed")
    assert act(yard.admin, "disable", ["echo", "nowhere"]) == dict.fromkeys(["echo", "nowhere"], "failed")
    assert {row["id"] for row in everything(yard)} == {"a", "b", "c"}
