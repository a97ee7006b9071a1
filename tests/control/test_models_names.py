"""Names that stand for two things, and how many one person may take."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from modelyard.control.catalogue.editing import MAX_PRESETS
from tests.control.catalogue import M, audited, make, person, preset, read, run_catalogue
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


def calls(yard: Yard, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return yard.admin.post("/v1/chat/completions", json=body).status_code


def test_a_preset_whose_name_is_offered_is_not_what_requests_for_the_base_model_mean(
    yard: Yard, upstream: Scripted
) -> None:
    """The row that governs the base model is, as for calls, under whatever spelling it is stored."""
    admin = yard.admin
    with person(yard, "maker") as maker:
        make(maker, "late.echo")
        make(admin, "late.echo:latest", base_model_id=None, name="Governs")
        made = yard.connect("late", upstream.base_url, prefix_id="late", model_ids=["echo"])
        try:
            assert calls(yard, "late.echo") == 200
            assert read(admin, "late.echo")["id"] == "late.echo:latest"
            boss = admin.get("/api/v1/auths/").json()["id"]
            told = admin.get(f"/api/v1/users/{boss}/rights", params={"model": "late.echo"}).json()["model"]
            assert (told["id"], told["name"]) == ("late.echo", "Governs")
            changed = admin.post(f"{M}/model/update", json={"id": "late.echo", "name": "Changed"}).json()
            assert (changed["id"], changed["base_model_id"]) == ("late.echo:latest", None)
            acted = admin.post(f"{M}/bulk", json={"ids": ["late.echo"], "action": "tag", "tags": ["t"]})
            assert [result["status"] for result in acted.json()["results"]] == ["updated"]
            assert read(admin, "late.echo:latest")["meta"]["tags"] == [{"name": "t"}]
            shared = admin.post(f"{M}/model/access/update", json={"id": "late.echo", "access_control": {}})
            assert shared.json()["id"] == "late.echo:latest"
            toggled = admin.post(f"{M}/model/toggle", params={"id": "late.echo", "is_active": False})
            assert toggled.json()["id"] == "late.echo:latest"
            assert calls(yard, "late.echo") == 404
            mine = read(maker, "late.echo")
            assert (mine["base_model_id"], mine["name"]) == ("echo", "late.echo"), "who wrote it can still look at it"
            changed = maker.post(f"{M}/model/update", json={"id": "late.echo", "name": "Mine"}).json()
            assert (changed["id"], changed["base_model_id"]) == ("late.echo", "echo")
            with person(yard, "plain") as plain:
                assert plain.get(f"{M}/model", params={"id": "late.echo"}).status_code == 404
        finally:
            admin.delete(f"/api/v1/connections/{made['id']}")
        assert calls(yard, "late.echo") == 200, "once no backend offers the name the preset has it again"
        assert read(admin, "late.echo")["name"] == "Mine"
        for client, model_id in ((maker, "late.echo"), (admin, "late.echo:latest")):
            assert client.post(f"{M}/model/delete", json={"id": model_id}).status_code == 200


def test_an_act_on_a_base_model_is_not_done_to_a_preset_of_its_name(yard: Yard, upstream: Scripted) -> None:
    with person(yard, "maker") as maker:
        make(maker, "dead.echo")
        make(maker, "dead.lorem")
        made = yard.connect("dead", upstream.base_url, prefix_id="dead", model_ids=["echo", "lorem"])
        try:
            assert calls(yard, "dead.echo") == 200
            acted = yard.admin.post(f"{M}/bulk", json={"ids": ["dead.echo"], "action": "disable"})
            assert [result["status"] for result in acted.json()["results"]] == ["updated"]
            assert calls(yard, "dead.echo") == 404
            row = read(yard.admin, "dead.echo")
            assert (row["base_model_id"], row["is_active"]) == (None, False)
            assert "dead.echo" in [row["id"] for row in maker.get(f"{M}/deleted").json()["items"]]
            toggled = yard.admin.post(f"{M}/model/toggle", params={"id": "dead.lorem", "is_active": False})
            assert toggled.status_code == 404, "a base model without a row"
            assert read(maker, "dead.lorem")["is_active"] is True
        finally:
            yard.admin.delete(f"/api/v1/connections/{made['id']}")


def test_a_preset_does_not_answer_for_a_base_model_that_is_switched_off(yard: Yard, upstream: Scripted) -> None:
    make(yard.admin, "off.echo", params={"system": "of the preset"})
    make(yard.admin, "off.echo:latest", base_model_id=None)
    made = yard.connect("off", upstream.base_url, prefix_id="off", model_ids=["echo"])
    try:
        assert calls(yard, "off.echo") == 200
        toggled = yard.admin.post(f"{M}/model/toggle", params={"id": "off.echo:latest", "is_active": False})
        assert toggled.status_code == 200
        assert (calls(yard, "off.echo"), calls(yard, "off.echo:latest")) == (404, 404)
    finally:
        yard.admin.delete(f"/api/v1/connections/{made['id']}")


def test_nothing_stands_on_the_other_spelling_of_a_base_model_that_is_switched_off(
    yard: Yard, upstream: Scripted
) -> None:
    plain = yard.connect("two", upstream.base_url, prefix_id="two", model_ids=["echo"])
    tagged = yard.connect(
        "two tagged", upstream.root, "ollama", prefix_id="two", model_ids=["echo:latest"], loads=False
    )
    try:
        make(yard.admin, "two.echo", base_model_id=None, access_control=None)
        make(yard.admin, "two.echo:latest", base_model_id=None, access_control=None)
        with person(yard, "maker") as maker:
            make(maker, "upon-two", base_model_id="two.echo")
            assert calls(yard, "upon-two") == 200
            yard.admin.post(f"{M}/model/toggle", params={"id": "two.echo", "is_active": False})
            assert (calls(yard, "two.echo"), calls(yard, "two.echo:latest")) == (404, 200)
            assert calls(yard, "upon-two") != 200
            listed = maker.get(f"{M}/list", params={"query": "upon-two"}).json()["items"]
            assert [(row["id"], row["base_offered"]) for row in listed] == [("upon-two", False)]
            refused = maker.post(f"{M}/create", json=preset("upon-two-too", base_model_id="two.echo"))
            assert refused.status_code == 403, refused.text
            yard.admin.post(f"{M}/model/toggle", params={"id": "two.echo", "is_active": True})
            assert calls(yard, "upon-two") == 200
    finally:
        for made in (plain, tagged):
            yard.admin.delete(f"/api/v1/connections/{made['id']}")


def test_a_preset_does_not_take_the_name_of_a_base_model_that_is_switched_off(yard: Yard, upstream: Scripted) -> None:
    made = yard.connect("held", upstream.base_url, prefix_id="held", model_ids=["echo"])
    try:
        make(yard.admin, "held.echo:latest", base_model_id=None, is_active=False)
        refused = yard.admin.post(f"{M}/create", json=preset("held.echo"))
        assert (refused.status_code, "base model" in refused.text) == (409, True)
    finally:
        yard.admin.delete(f"/api/v1/connections/{made['id']}")
