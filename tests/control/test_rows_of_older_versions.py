"""What older versions kept and no form may send any more: it is read, changed, exported, applied and brought back."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.control.catalogue import M, make, preset, read, run_catalogue
from tests.servers import Scripted
from tests.yard import Yard, run_yard

SENT = {"tags": ["fun", "to-null"], "description": "one"}
CLEAN = {"tags": [{"name": "fun"}], "description": "one"}


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("older")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(yard: Yard) -> None:
    assert yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200


def age(yard: Yard) -> None:
    """What was kept up to now is as older versions kept it: the tag `to-null` is a null."""
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=10)) as database, database:
        database.execute("""UPDATE models SET meta = replace(meta, '"to-null"', 'null')""")
        database.execute("""UPDATE versions SET content = replace(content, '"to-null"', 'null')""")
        database.execute("""UPDATE trash SET content = replace(content, '"to-null"', 'null')""")
        database.execute("UPDATE revisions SET content = replace(content, 'name: to-null', 'name: null')")
        database.execute("DELETE FROM model_tags WHERE tag = 'to-null'")


def stored(yard: Yard, model_id: str) -> dict[str, Any]:
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=10)) as database:
        (row,) = database.execute("SELECT meta FROM models WHERE id = ?", (model_id,))
    meta: dict[str, Any] = json.loads(row[0])
    return meta


def post(yard: Yard, path: str, **body: Any) -> Any:
    answer = yard.admin.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_row_with_a_null_tag_is_read_and_changed_by_every_way(yard: Yard) -> None:
    ids = ["sent-back", "hidden", "imported", "of-a-file"]
    for model_id in ids:
        make(yard.admin, model_id, meta=SENT)
    age(yard)
    assert {"name": None} in stored(yard, "hidden")["tags"]
    found = {model_id: read(yard.admin, model_id) for model_id in ids}
    assert [row["meta"] for row in found.values()] == [CLEAN] * 4

    post(yard, f"{M}/model/update", **{**found["sent-back"], "name": "Other"})
    (result,) = post(yard, f"{M}/bulk", ids=["hidden"], action="hide")["results"]
    assert result["status"] == "updated", result
    item = preset("imported", meta={"description": "two"})
    (result,) = yard.admin.post(f"{M}/import", json=[item]).json()["results"]
    assert result["status"] == "updated", result
    post(yard, f"{M}/import/modelfile", id="of-a-file", content="FROM echo\nSYSTEM Hi\n")

    assert read(yard.admin, "sent-back")["name"] == "Other"
    assert stored(yard, "hidden") == {**CLEAN, "hidden": True}
    assert stored(yard, "imported") == {**CLEAN, "description": "two"}
    assert stored(yard, "of-a-file")["tags"] == CLEAN["tags"]


def test_an_export_of_such_a_row_is_imported_again(yard: Yard) -> None:
    make(yard.admin, "old", meta=SENT)
    age(yard)
    items = [row for row in yard.admin.get(f"{M}/export").json() if row["id"] == "old"]
    post(yard, f"{M}/model/delete", id="old")
    (result,) = yard.admin.post(f"{M}/import", json=items).json()["results"]
    assert result["status"] == "created", result
    assert stored(yard, "old") == CLEAN


def test_documents_with_a_null_tag_are_planned_applied_and_gone_back_to(yard: Yard) -> None:
    make(yard.admin, "old", meta=SENT)
    post(yard, "/api/v1/yard/apply", document="groups: [{name: one}]", keep=True)
    age(yard)
    number = yard.admin.get("/api/v1/yard/revisions").json()["items"][0]["id"]
    then = yard.admin.get(f"/api/v1/yard/revisions/{number}").text
    assert "name: null" in then
    assert post(yard, "/api/v1/yard/plan", document=then)["steps"] == []
    assert post(yard, "/api/v1/yard/plan", document=yard.admin.get("/api/v1/yard").text)["steps"] == []
    post(yard, "/api/v1/yard/apply", document="models: []")
    assert [step["action"] for step in post(yard, "/api/v1/yard/rollback/plan", revision=number)["steps"]] == ["create"]
    post(yard, "/api/v1/yard/rollback", revision=number)
    assert stored(yard, "old") == CLEAN
    post(yard, "/api/v1/yard/apply", document="models: []")
    post(yard, "/api/v1/yard/apply", document=then)
    assert stored(yard, "old") == CLEAN


def test_versions_and_deleted_rows_with_a_null_tag_come_back(yard: Yard) -> None:
    first = make(yard.admin, "old", meta=SENT)
    post(yard, f"{M}/model/update", id="old", meta={})
    age(yard)
    back = yard.admin.post(f"{M}/model/update/version?id=old", json={"version_id": first["version_id"]})
    assert (back.status_code, back.json()["meta"]) == (200, CLEAN)
    make(yard.admin, "gone", meta=SENT)
    post(yard, f"{M}/model/delete", id="gone")
    age(yard)
    (restored,) = post(yard, f"{M}/model/restore", id="gone")["items"]
    assert restored["meta"] == stored(yard, "gone") == CLEAN


def test_a_preset_with_a_blank_in_its_id_is_rolled_back_to(yard: Yard) -> None:
    make(yard.admin, "old-one", params={"seed": 1})
    post(yard, "/api/v1/yard/apply", document="groups: [{name: two}]", keep=True)
    number = yard.admin.get("/api/v1/yard/revisions").json()["items"][0]["id"]
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=10)) as database, database:
        database.execute("UPDATE revisions SET content = replace(content, 'old-one', 'old one')")
    (step,) = [
        step
        for step in post(yard, "/api/v1/yard/rollback/plan", revision=number)["steps"]
        if step["action"] == "create"
    ]
    assert step["name"] == "old one"
    post(yard, "/api/v1/yard/rollback", revision=number)
    assert read(yard.admin, "old one")["params"] == {"seed": 1}
    # Sent as a document it is new.
    then = yard.admin.get("/api/v1/yard").text
    post(yard, f"{M}/model/delete", id="old one")
    refused = yard.admin.post("/api/v1/yard/apply", json={"document": then})
    assert (refused.status_code, "model old one:" in refused.json()["detail"]) == (422, True)


def test_a_file_that_was_in_force_before_is_in_force_still(upstream: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "yard.yaml"
    file.write_text("models: [{id: old one, base_model_id: echo, meta: {tags: [fun, null, {name: null}]}}]")
    with run_yard(tmp_path / "data", {"OPENAI_API_BASE_URL": upstream.base_url}, ("--config", str(file))) as started:
        assert read(started.admin, "old one")["meta"] == {"tags": [{"name": "fun"}]}
