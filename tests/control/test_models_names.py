"""Names that stand for two things, and how many one person may take."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from modelyard.control.catalogue.editing import MAX_PRESETS
from tests.control.catalogue import M, audited, make, person, preset, run_catalogue
from tests.servers import Scripted
from tests.yard import Yard


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_catalogue(upstream, tmp_path_factory.mktemp("names")) as running:
        yield running


def test_the_other_spelling_of_a_name_is_its_owners_to_take(yard: Yard) -> None:
    with person(yard, "maker") as maker, person(yard, "sharer") as sharer:
        make(maker, "twin")
        make(sharer, "tagged:latest")
        for client, name in ((sharer, "twin:latest"), (maker, "tagged"), (maker, "declared:latest")):
            assert client.post(f"{M}/create", json=preset(name)).status_code == 409, name
            answer = client.post(f"{M}/import", json=[preset("beside"), preset(name)])
            assert answer.status_code == 422
            assert answer.json()["results"][1]["status"] == "failed"
            form = {"id": name, "content": "FROM echo\n"}
            assert client.post(f"{M}/import/modelfile", json=form).status_code == 409
        make(maker, "twin:latest")
        make(yard.admin, "tagged")
        # Nor by the trash.
        maker.post(f"{M}/model/delete", json={"id": "twin"})
        maker.post(f"{M}/model/delete", json={"id": "twin:latest"})
        make(sharer, "twin:latest")
        assert maker.post(f"{M}/model/restore", json={"id": "twin"}).status_code == 409


def test_an_override_belongs_to_no_user(yard: Yard) -> None:
    """Who made one as an administrator has it no more when they are none."""
    made = yard.admin.post("/api/v1/users/", json={"email": "former@example.com", "role": "admin"}).json()
    with yard.client(yard.make_key(user_id=made["id"])) as former:
        for model_id in ("lorem", "unicode"):
            make(former, model_id, base_model_id=None, params={"system": "canary"})
        former.post(f"{M}/model/delete", json={"id": "unicode"})
        yard.admin.post("/api/v1/users/update/role", json={"id": made["id"], "role": "user"})
        yard.admin.post(
            "/api/v1/users/default/permissions", json={"workspace": {"models": True, "models_export": True}}
        )
        try:
            assert former.get(f"{M}/model", params={"id": "lorem"}).status_code == 404
            assert former.get(f"{M}/model/history", params={"id": "lorem"}).status_code == 404
            assert "canary" not in former.get(f"{M}/export").text
            assert "canary" not in former.get(f"{M}/list").text
            assert former.post(f"{M}/model/toggle", params={"id": "lorem"}).status_code == 404
            assert former.post(f"{M}/model/delete", json={"id": "lorem"}).status_code == 404
            assert former.post(f"{M}/model/restore", json={"id": "unicode"}).status_code == 403
        finally:
            less = {"workspace": {"models": False, "models_export": False}}
            yard.admin.post("/api/v1/users/default/permissions", json=less)
    yard.admin.post(f"{M}/model/delete", json={"id": "lorem"})


def test_a_preset_gives_way_to_the_row_of_the_base_model_whose_name_it_has(yard: Yard, upstream: Scripted) -> None:
    with person(yard, "maker") as maker:
        make(maker, "soon.echo")
        make(maker, "soon.lorem")
        made = yard.connect("soon", upstream.base_url, prefix_id="soon", model_ids=["echo", "lorem"])
        try:
            form = {"id": "soon.echo", "access_control": None}
            shared = yard.admin.post(f"{M}/model/access/update", json=form).json()
            assert (shared["base_model_id"], shared["access_control"]) == (None, None)
            named = make(yard.admin, "soon.lorem", base_model_id=None)
            assert named["base_model_id"] is None
            assert [entry["action"] for entry in audited(yard, entity_id="soon.lorem")] == [
                "model.created", "model.deleted", "model.created",
            ]  # fmt: skip
            mine = [row["id"] for row in maker.get(f"{M}/deleted").json()["items"]]
            assert {"soon.echo", "soon.lorem"} <= set(mine)
        finally:
            yard.admin.delete(f"/api/v1/connections/{made['id']}")


def test_one_person_has_a_bounded_number_of_models(yard: Yard) -> None:
    file = yard.data_dir / "modelyard.db"
    with person(yard, "maker") as maker:
        make(maker, "kept-in-trash")
        maker.post(f"{M}/model/delete", json={"id": "kept-in-trash"})
        with closing(sqlite3.connect(file, timeout=60)) as database, database:
            query = "SELECT count(*) FROM models WHERE user_id = 'file-maker@example.com'"
            [(number,)] = database.execute(query).fetchall()
            columns = "id, user_id, base_model_id, name, params, meta, is_active, updated_at, created_at"
            row = "'file-maker@example.com', 'echo', 'many', '{}', '{}', 0, 1, 1"
            rows = [(f"many-{at}",) for at in range(MAX_PRESETS - 1 - number)]
            database.executemany(f"INSERT INTO models ({columns}) VALUES (?, {row})", rows)  # noqa: S608 - constants
        try:
            answer = maker.post(f"{M}/import", json=[preset("last"), preset("too-many")])
            assert [result["status"] for result in answer.json()["results"]] == ["created", "failed"]
            make(maker, "last")
            refused = maker.post(f"{M}/create", json=preset("too-many"))
            assert (refused.status_code, "delete" in refused.json()["detail"]) == (409, True)
            assert maker.post(f"{M}/model/restore", json={"id": "kept-in-trash"}).status_code == 409
            with person(yard, "sharer") as sharer:
                make(sharer, "of-another")
            maker.post(f"{M}/model/delete", json={"id": "last"})
            make(maker, "again")
        finally:
            with closing(sqlite3.connect(file, timeout=60)) as database, database:
                database.execute("DELETE FROM models WHERE name = 'many'")
