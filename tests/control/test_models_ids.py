"""Which ids a new preset may have, by whichever door it comes, and that what is there already keeps its own."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.control.catalogue import M, audited, everything, last_audit, make, person, preset, read, run_catalogue
from tests.control.test_importers import steps, told
from tests.servers import Scripted
from tests.yard import Yard

WITH_BLANKS = ["a b", "a\u00a0b", "a\u3000b"]
RULE = "The id of a preset holds no white space: write letters, digits and signs, such as my-model."


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("ids")) as running:
        yield running


@pytest.fixture
def old(yard: Yard) -> Iterator[dict[str, Any]]:
    """A preset of a time when ids might hold blanks."""
    make(yard.admin, "old-one")
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=60)) as database, database:
        database.execute("UPDATE models SET id = 'old one' WHERE id = 'old-one'")
        database.execute("UPDATE versions SET entity_id = 'old one' WHERE entity_id = 'old-one'")
    yield read(yard.admin, "old one")
    yard.admin.post(f"{M}/model/delete", json={"id": "old one"})


@pytest.mark.parametrize("model_id", WITH_BLANKS, ids=ascii)
def test_a_new_preset_has_no_white_space_in_its_id(yard: Yard, model_id: str) -> None:
    before = last_audit(yard)
    with person(yard, "maker") as maker:
        for client in (yard.admin, maker):
            answer = client.post(f"{M}/create", json=preset(model_id))
            assert answer.status_code == 422, answer.text
    assert last_audit(yard) == before
    assert everything(yard) == []


def test_the_refusal_says_what_is_allowed(yard: Yard) -> None:
    assert RULE in yard.admin.post(f"{M}/create", json=preset("a b")).text
    form = {"id": "a b", "content": "FROM echo\n"}
    answer = yard.admin.post(f"{M}/import/modelfile", json=form)
    assert (answer.status_code, RULE in answer.text) == (422, True)
    document = json.dumps({"models": [{"id": "a b", "name": "n", "base_model_id": "echo"}]})
    for path in ("plan", "apply"):
        answer = yard.admin.post(f"/api/v1/yard/{path}", json={"document": document, "keep": True})
        assert (answer.status_code, f"model a b: {RULE}" in answer.json()["detail"]) == (422, True)
    assert "an id has no white space around it" in yard.admin.post(f"{M}/create", json=preset(" a")).text


def test_the_override_of_a_base_model_has_the_id_of_that_model(yard: Yard) -> None:
    answer = yard.admin.post(f"{M}/create", json={"id": "Mistral Large (EU)", "name": "Mistral"})
    assert answer.status_code == 200, answer.text
    # It cannot become a preset of that name.
    changed = yard.admin.post(f"{M}/model/update", json={"id": "Mistral Large (EU)", "base_model_id": "echo"})
    assert changed.status_code == 422
    assert read(yard.admin, "Mistral Large (EU)")["base_model_id"] is None
    assert yard.admin.post(f"{M}/model/delete", json={"id": "Mistral Large (EU)"}).status_code == 200


def test_an_import_tells_which_items_cannot_be_read(yard: Yard) -> None:
    items = [preset("a b"), preset("fine"), {"id": "c d", "name": "Override", "meta": {}, "params": {}}]
    refused = yard.admin.post(f"{M}/import", json=items)
    assert refused.status_code == 422
    assert refused.json()["results"][0] == {"place": 0, "id": "a b", "status": "failed", "detail": RULE}
    assert everything(yard) == []
    taken = yard.admin.post(f"{M}/import", params={"partial": "true"}, json=items).json()["results"]
    assert [result["status"] for result in taken] == ["failed", "created", "created"]
    assert yard.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200


def test_what_is_there_already_is_changed_imported_and_brought_back(yard: Yard, old: dict[str, Any]) -> None:
    assert yard.admin.post(f"{M}/model/update", json={"id": "old one", "name": "Newer"}).status_code == 200
    (result,) = yard.admin.post(f"{M}/import", json=[preset("old one", name="Newest")]).json()["results"]
    assert result["status"] == "updated"
    answer = yard.admin.post(f"{M}/import/modelfile", json={"id": "old one", "content": "FROM echo\nSYSTEM Hi\n"})
    assert answer.status_code == 200, answer.text
    assert yard.admin.post(f"{M}/model/delete", json={"id": "old one"}).status_code == 200
    assert yard.admin.post(f"{M}/model/restore", json={"id": "old one"}).status_code == 200
    assert read(yard.admin, "old one")["name"] == "Newest"
    assert audited(yard, entity_id="old one")[0]["action"] == "model.restored"


def test_moving_in_leaves_such_presets_out_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "models.json"
    rows = [{"id": "a b", "name": "A", "base_model_id": "x"}, {"id": "c d", "name": "C"}, {"id": "e", "name": "E"}]
    file.write_text(json.dumps([{**row, "access_control": None} for row in rows]))
    said = told(tmp_path, "open-webui", str(file))
    assert {"place": "models.a b", "what": "a b", "why": RULE} in said["left"]
    assert {step[2] for step in steps(said)} == {"c d", "e"}
