"""Names with `:latest` missing or not: one row governs both, and an inactive one is called by neither."""

from collections.abc import Iterator

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
