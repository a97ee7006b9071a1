"""Names with `:latest` missing or not: one row governs both, and an inactive one is called by neither."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.servers import Scripted
from tests.yard import Yard, run_yard

USER = "key-of-an-ordinary-user-0123456789abcdef"
PEOPLE = 'users: [{email: user@example.com, keys: [{name: main, key: "${USER_KEY}"}]}]'


@pytest.fixture(scope="module")
def fleet(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A backend that offers `echo:latest`, `lorem:latest` and `lorem`."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "yard.yaml").write_text(PEOPLE)
    with run_yard(folder / "data", {"USER_KEY": USER}, ("--config", str(folder / "yard.yaml"))) as running:
        running.connect(
            "host", upstream.root, "ollama", model_ids=["echo:latest", "lorem:latest", "lorem"], loads=False
        )
        yield running


def names(yard: Yard) -> list[str]:
    with yard.client(USER) as user:
        return [entry["id"] for entry in user.get("/api/models").json()["data"]]


def status(yard: Yard, model: str) -> int:
    with yard.client(USER) as user:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return user.post("/v1/chat/completions", json=body).status_code


def create(yard: Yard, **form: object) -> None:
    answer = yard.admin.post("/api/v1/models/create", json={"name": "a name of ours", "access_control": None, **form})
    assert answer.status_code == 200, answer.text


def test_a_row_without_a_tag_governs_the_latest_of_its_name(fleet: Yard) -> None:
    offered = {entry["id"] for entry in fleet.admin.get("/api/models/base").json()["data"]}
    name = next(iter(offered & {"echo", "echo:latest"}))
    other = "echo:latest" if name == "echo" else "echo"
    assert status(fleet, "echo") == 404
    create(fleet, id=other)
    assert names(fleet) == [name]
    entry = next(entry for entry in fleet.admin.get("/api/models").json()["data"] if entry["id"] == name)
    assert entry["name"] == "a name of ours"
    assert entry["info"]["id"] == other
    assert (status(fleet, "echo"), status(fleet, "echo:latest")) == (200, 200)

    toggled = fleet.admin.post("/api/v1/models/model/toggle", params={"id": other, "is_active": False})
    assert toggled.status_code == 200
    assert names(fleet) == []
    assert (status(fleet, "echo"), status(fleet, "echo:latest")) == (404, 404)
    assert fleet.admin.post("/api/v1/models/model/delete", json={"id": other}).status_code == 200
    assert name in [entry["id"] for entry in fleet.admin.get("/api/models").json()["data"]]


def test_an_inactive_model_does_not_answer_by_another_of_the_same_stem(fleet: Yard) -> None:
    create(fleet, id="pirate", base_model_id="lorem", is_active=False)
    create(fleet, id="pirate:latest", base_model_id="lorem")
    create(fleet, id="lorem")
    assert status(fleet, "pirate:latest") == 200
    assert status(fleet, "pirate") == 404
    toggled = fleet.admin.post("/api/v1/models/model/toggle", params={"id": "pirate", "is_active": True})
    assert toggled.status_code == 200
    assert status(fleet, "pirate") == 200


def test_what_is_done_to_a_base_model_is_done_to_the_row_that_governs_it(fleet: Yard) -> None:
    """By either spelling, as a call finds it; a delete takes the row of the very name alone."""
    admin, path = fleet.admin, "/api/v1/models"
    create(fleet, id="echo")
    toggled = admin.post(f"{path}/model/toggle", params={"id": "echo:latest", "is_active": False})
    assert (toggled.status_code, toggled.json()["id"]) == (200, "echo"), toggled.text
    assert status(fleet, "echo") == 404
    back = admin.post(f"{path}/model/toggle", params={"id": "echo:latest"})
    assert back.json()["is_active"] is True, "also while it is switched off"
    changed = admin.post(f"{path}/model/update", json={"id": "echo:latest", "name": "Renamed"})
    assert (changed.json()["id"], changed.json()["name"]) == ("echo", "Renamed")
    shared = admin.post(f"{path}/model/access/update", json={"id": "echo:latest", "access_control": {}})
    assert (shared.json()["id"], shared.json()["access_control"]) == ("echo", {})
    assert status(fleet, "echo:latest") == 404
    read = admin.get(f"{path}/model", params={"id": "echo:latest"}).json()
    assert (read["id"], len(admin.get(f"{path}/model/history", params={"id": "echo:latest"}).json())) == ("echo", 2)
    tagged = {"ids": ["echo", "echo:latest"], "action": "tag", "tags": ["both"]}
    results = admin.post(f"{path}/bulk", json=tagged).json()["results"]
    assert [result["status"] for result in results] == ["updated", "updated"]
    assert admin.get(f"{path}/model", params={"id": "echo"}).json()["meta"]["tags"] == [{"name": "both"}]
    boss = admin.get("/api/v1/auths/").json()["id"]
    told = admin.get(f"/api/v1/users/{boss}/rights", params={"model": "echo"}).json()["model"]
    assert (told["state"], told["name"], told["use"]["allowed"]) == ("served", "Renamed", True)
    gone = {"ids": ["echo:latest"], "action": "delete"}
    assert admin.post(f"{path}/bulk", json=gone).json()["results"][0]["status"] == "failed"
    assert admin.post(f"{path}/model/delete", json={"id": "echo:latest"}).status_code == 404
    assert admin.post(f"{path}/model/delete", json={"id": "echo"}).status_code == 200


def test_an_act_finds_the_row_that_another_process_has_just_made(fleet: Yard) -> None:
    """What is published here does not know it yet: a second row would part the base model from its restrictions."""
    path = "/api/v1/models"
    row = ("echo", "", "Restricted", "{}", "{}", 0, 1, 1)
    with closing(sqlite3.connect(fleet.data_dir / "modelyard.db", timeout=10)) as database, database:
        columns = "id, user_id, name, params, meta, is_active, updated_at, created_at"
        database.execute(f"INSERT INTO models ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - constants
    acted = fleet.admin.post(f"{path}/bulk", json={"ids": ["echo:latest"], "action": "hide"})
    assert [result["status"] for result in acted.json()["results"]] == ["updated"]
    read = fleet.admin.get(f"{path}/model", params={"id": "echo:latest"}).json()
    assert (read["id"], read["is_active"], read["meta"]["hidden"]) == ("echo", False, True)
    assert status(fleet, "echo") == 404
    assert fleet.admin.post(f"{path}/model/delete", json={"id": "echo:latest"}).status_code == 404
    assert fleet.admin.post(f"{path}/model/delete", json={"id": "echo"}).status_code == 200


def test_where_both_names_are_offered_each_has_a_row_of_its_own(fleet: Yard, upstream: Scripted) -> None:
    path = "/api/v1/models/model/toggle"
    fleet.connect("plain", upstream.base_url, model_ids=["unicode"])
    fleet.connect("tagged", upstream.root, "ollama", model_ids=["unicode:latest"], loads=False)
    create(fleet, id="unicode:latest", is_active=False)
    assert fleet.admin.post(path, params={"id": "unicode", "is_active": True}).status_code == 404
    made = fleet.admin.post("/api/v1/models/model/access/update", json={"id": "unicode", "access_control": None})
    assert (made.status_code, made.json()["id"]) == (200, "unicode")
    assert fleet.admin.get("/api/v1/models/model", params={"id": "unicode:latest"}).json()["is_active"] is False
