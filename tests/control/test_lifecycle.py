"""Activation and memory: what is activated is loaded, what is deactivated is unloaded, and everybody can see which."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelyard.control.lifecycle import queries
from modelyard.core.clock import now
from modelyard.db import migrate
from modelyard.db.engine import Database, sqlite_url
from tests.control.conftest import CONFINED_ADMIN_KEY, KEYS, OTHER_KEY, PEOPLE, USER_KEY
from tests.operations.tools import PATIENCE, reserved_port
from tests.postgres import run_postgres
from tests.servers import run_scripted
from tests.yard import run_yard

SECRET = "sk-of-the-model-server-0123456789"
FINISHED = ("loaded", "unloaded", "failed", "not_supported")
# Longer than whatever a test does meanwhile.
HELD_SECONDS = 150


class Server:
    """A model server that can be told what to do: Ollama (`/api/...`) and llama.cpp's router (`/models...`) in one."""

    def __init__(self, *models: str) -> None:
        self.models = list(models)
        self.memory: dict[str, str] = {}
        self.asked: list[tuple[str, dict]] = []
        self.at_once = self.most_at_once = 0
        self.load_seconds = 0.0
        self.stuck = threading.Event()  # while clear, loads wait when `holds` is set
        self.holds = False
        self.broken: str | None = None
        self.only_embeds: set[str] = set()
        self.url = ""
        self.lock = threading.Lock()

    def counts(self) -> dict[str, int]:
        return {
            "loads": sum(
                path in ("/api/generate", "/models/load") and body.get("keep_alive") != 0 for path, body in self.asked
            ),
            "unloads": sum(path == "/models/unload" or body.get("keep_alive") == 0 for path, body in self.asked),
        }

    def post(self, path: str, body: dict) -> tuple[int, object]:
        with self.lock:
            self.asked.append((path, body))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self._post(path, body)
        finally:
            with self.lock:
                self.at_once -= 1

    def _post(self, path: str, body: dict) -> tuple[int, object]:
        name = body["model"]
        if name not in self.models:
            return 404, {"error": f"model '{name}' not found"}
        if self.broken:
            return 500, {"error": self.broken}
        if path == "/models/unload" or body.get("keep_alive") == 0:
            return self._unload(path, name)
        return self._load_in_the_background(name) if path == "/models/load" else self._load(path, name)

    def _unload(self, path: str, name: str) -> tuple[int, object]:
        if path == "/models/unload" and name not in self.memory:
            return 400, {"error": {"code": 400, "message": "model is not running"}}
        self.memory.pop(name, None)
        return 200, {"success": True, "done": True}

    def _load_in_the_background(self, name: str) -> tuple[int, object]:
        if name in self.memory:
            return 400, {"error": {"code": 400, "message": "model is already loaded"}}
        self.memory[name] = "loading"
        state = "failed" if name.startswith("bad") else "loaded"
        threading.Timer(0.4, lambda: self.memory.__setitem__(name, state)).start()
        return 200, {"success": True}

    def _load(self, path: str, name: str) -> tuple[int, object]:
        if path == "/api/generate" and name in self.only_embeds:
            return 400, {"error": f'"{name}" does not support generate'}
        time.sleep(self.load_seconds)
        if self.holds:
            self.stuck.wait(HELD_SECONDS)
        self.memory[name] = "loaded"
        return 200, {"model": name, "done": True, "done_reason": "load"}

    def get(self, path: str) -> tuple[int, object]:
        if path == "/api/tags":
            return 200, {"models": [{"model": name, "name": name} for name in self.models]}
        if path == "/api/ps":
            return 200, {
                "models": [
                    {"model": name, "name": name} for name, state in list(self.memory.items()) if state == "loaded"
                ]
            }
        if path in ("/models", "/v1/models"):
            return 200, {"data": [{"id": name, "status": self._status(name)} for name in self.models]}
        return 404, {"error": "no such page"}

    def _status(self, name: str) -> dict:
        state = self.memory.get(name, "unloaded")
        return {"value": "unloaded", "failed": True, "exit_code": 1} if state == "failed" else {"value": state}


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.answer(*server.get(self.path))

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            self.answer(*server.post(self.path, json.loads(body)))

        def answer(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    class Listening(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

        def handle_error(self, request, client_address):
            pass  # the client may leave in the middle

    listening = Listening(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.stuck.set()
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A Modelyard with people; each test connects servers of its own."""
    folder = tmp_path_factory.mktemp("lifecycle")
    file = folder / "yard.yaml"
    file.write_text(PEOPLE)
    environment = {**KEYS, "MODELYARD_LOAD_TIMEOUT": str(HELD_SECONDS)}
    with run_yard(folder / "data", environment, ("--config", str(file))) as running:
        yield running
        assert "Traceback" not in running.output()


@pytest.fixture
def ollama():
    with serving(Server("llama:8b", "qwen:4b", "nomic:latest")) as server:
        yield server


numbers = iter(range(10_000))


def connect(yard, server, **fields):
    number = next(numbers)
    kind = {"kind": "ollama"} if fields.get("flavour") is None else {"kind": "openai"}
    made = yard.connect(f"server {number}", server.url, prefix_id=f"p{number}", api_keys=[SECRET], **{**kind, **fields})
    return made, f"p{number}."


def preset(yard, base, name, **fields):
    made = yard.admin.post(
        "/api/v1/models/create",
        json={
            "id": name,
            "name": name,
            "base_model_id": base,
            "params": {},
            "meta": {},
            "access_control": None,
            **fields,
        },
    )
    assert made.status_code == 200, made.text


def toggle(yard, name, active):
    answer = yard.admin.post("/api/v1/models/model/toggle", params={"id": name, "is_active": str(active).lower()})
    assert answer.status_code == 200, answer.text


def jobs(yard, connection):
    """The jobs of one connection, oldest first."""
    items = yard.admin.get("/api/v1/jobs", params={"limit": 1000}).json()["items"]
    return [job for job in reversed(items) if job["connection_id"] == connection["id"]]


def settled(yard, connection, count):
    """(kind, state) of the jobs of a connection once there are so many, all of them ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = jobs(yard, connection)
        done = [(job["kind"], job["state"]) for job in found]
        if (len(done) >= count and all(state in FINISHED for _, state in done)) or time.monotonic() > deadline:
            assert len(done) == count, found
            return done
        time.sleep(0.05)


def state(client, model):
    items = client.get("/api/v1/models/state").json()["items"]
    return next((item for item in items if item["model_id"] == model), None)


def eventually(look, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, look
        time.sleep(0.02)


def test_creating_an_active_model_loads_its_base_and_deactivating_unloads_it(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}helper")
    assert settled(shared, connection, 1) == [("load", "loaded")]
    assert set(ollama.memory) == {"llama:8b"}, "by the backend's own name, without the prefix"
    assert state(shared.admin, f"{prefix}helper")["state"] == "loaded"
    assert state(shared.admin, f"{prefix}llama:8b")["connection"] == connection["name"]
    toggle(shared, f"{prefix}helper", False)
    assert settled(shared, connection, 2)[1] == ("unload", "unloaded")
    assert ollama.memory == {}
    toggle(shared, f"{prefix}helper", True)
    assert settled(shared, connection, 3)[2] == ("load", "loaded")
    job = jobs(shared, connection)[0]
    assert job["user_id"] == shared.admin.get("/api/v1/auths/").json()["id"]
    assert job["upstream_model"] == "llama:8b"


def test_creating_an_inactive_model_loads_nothing(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}sleeper", is_active=False)
    preset(shared, f"{prefix}qwen:4b", f"{prefix}runner")
    settled(shared, connection, 1)
    assert set(ollama.memory) == {"qwen:4b"}


def test_a_base_that_another_active_preset_uses_is_kept(shared, ollama):
    connection, prefix = connect(shared, ollama)
    for name in ("one", "two"):
        preset(shared, f"{prefix}llama:8b", f"{prefix}{name}")
        settled(shared, connection, 1 if name == "one" else 2)
    toggle(shared, f"{prefix}one", False)
    preset(shared, f"{prefix}qwen:4b", f"{prefix}marker")  # what was toggled before it is done when this is
    settled(shared, connection, 3)
    assert set(ollama.memory) == {"llama:8b", "qwen:4b"}
    toggle(shared, f"{prefix}two", False)
    settled(shared, connection, 4)
    assert set(ollama.memory) == {"qwen:4b"}


def test_deleting_the_last_preset_unloads_its_base(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}gone")
    settled(shared, connection, 1)
    assert shared.admin.delete("/api/v1/models/model/delete", params={"id": f"{prefix}gone"}).status_code == 200
    assert settled(shared, connection, 2)[1] == ("unload", "unloaded")
    assert ollama.memory == {}


def test_a_base_that_is_switched_off_itself_is_not_loaded_for_its_presets(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}above")
    settled(shared, connection, 1)
    preset(shared, None, f"{prefix}llama:8b")
    settled(shared, connection, 2)
    toggle(shared, f"{prefix}llama:8b", False)
    assert settled(shared, connection, 3)[2] == ("unload", "unloaded")
    toggle(shared, f"{prefix}above", False)
    toggle(shared, f"{prefix}above", True)
    preset(shared, f"{prefix}qwen:4b", f"{prefix}marker")
    settled(shared, connection, 4)
    assert set(ollama.memory) == {"qwen:4b"}


def test_where_both_spellings_are_offered_each_is_in_use_for_itself(shared):
    with serving(Server("twin", "twin:latest")) as router:
        connection, prefix = connect(shared, router, flavour="llama.cpp")
        preset(shared, None, f"{prefix}twin:latest", is_active=False)
        preset(shared, f"{prefix}twin", f"{prefix}on-twin")
        assert settled(shared, connection, 1) == [("load", "loaded")]
        assert router.memory == {"twin": "loaded"}
        toggle(shared, f"{prefix}twin:latest", True)
        assert settled(shared, connection, 2)[1] == ("load", "loaded")
        toggle(shared, f"{prefix}twin:latest", False)
        assert settled(shared, connection, 3)[2] == ("unload", "unloaded")
        assert router.memory == {"twin": "loaded"}, "the preset on the other one keeps no more than that"


def test_a_preset_whose_name_is_offered_has_no_use_of_its_base(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}late", is_active=False)
    with serving(Server("late")) as other:
        late = shared.connect(f"{connection['name']} late", other.url, "ollama", prefix_id=prefix[:-1])
        other.memory["late"] = ollama.memory["llama:8b"] = "loaded"
        answer = shared.admin.post("/api/models/unload", json={"model": f"{prefix}late"})
        assert answer.status_code == 200, answer.text
        assert (other.memory, ollama.memory) == ({}, {"llama:8b": "loaded"}), "the name is the base model's"
        ollama.memory.clear()
        rows = {
            "models": [{"id": f"{prefix}late", "name": "late", "base_model_id": f"{prefix}llama:8b", "is_active": True}]
        }
        assert shared.admin.post("/api/v1/models/import", json=rows).json()["results"][0]["status"] == "updated"
        preset(shared, f"{prefix}qwen:4b", f"{prefix}marker")  # what was toggled before it is done when this is
        assert settled(shared, connection, 1) == [("load", "loaded")]
        assert set(ollama.memory) == {"qwen:4b"}
        shared.admin.delete(f"/api/v1/connections/{late['id']}")


def test_a_declared_preset_does_not_stand_before_one_of_the_very_name(ollama, data_dir, tmp_path):
    file = tmp_path / "yard.yaml"
    file.write_text('models: [{id: "mine:latest", base_model_id: "llama:8b"}]')
    with run_yard(data_dir, {"OLLAMA_BASE_URL": ollama.url}, ("--config", str(file))) as yard:
        preset(yard, "qwen:4b", "mine", is_active=False)
        for name, base in (("mine", "qwen:4b"), ("mine:latest", "llama:8b")):
            job = yard.admin.post("/api/models/load", json={"model": name})
            assert (job.status_code, job.json().get("model_id")) == (202, base), job.text


def act(yard, action, names, **fields):
    answer = yard.admin.post("/api/v1/models/bulk", json={"ids": names, "action": action, **fields})
    assert [item["status"] for item in answer.json()["results"]] == ["updated"] * len(names), answer.text


def test_a_row_that_an_act_on_base_models_makes_loads_none_of_them(shared, ollama):
    ollama.models += [f"m{number}:1b" for number in range(8)]
    connection, prefix = connect(shared, ollama)
    bases = [prefix + name for name in ollama.models if name != "nomic:latest"]
    act(shared, "tag", bases[:3], tags=["x"])
    act(shared, "hide", bases[3:6])
    act(shared, "share", bases[6:9], access_control=None)
    answer = shared.admin.post("/api/v1/models/model/access/update", json={"id": bases[9], "access_control": None})
    assert answer.status_code == 200, answer.text
    preset(shared, f"{prefix}nomic:latest", f"{prefix}marker")  # what was activated before it is loaded with it
    assert settled(shared, connection, 1) == [("load", "loaded")]
    assert set(ollama.memory) == {"nomic:latest"}


def test_switching_base_models_off_by_one_act_unloads_those_in_memory(shared, ollama):
    connection, prefix = connect(shared, ollama)
    ollama.memory["llama:8b"] = "loaded"  # a call has brought it there
    act(shared, "disable", [f"{prefix}llama:8b", f"{prefix}qwen:4b"])
    assert settled(shared, connection, 1) == [("unload", "unloaded")]
    assert (ollama.memory, ollama.counts()) == ({}, {"loads": 0, "unloads": 1})


def test_a_base_that_is_switched_off_while_a_preset_of_it_comes_is_unloaded(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, None, f"{prefix}llama:8b")
    settled(shared, connection, 1)
    base = f"{prefix}llama:8b"
    items = [{"id": base, "name": "off", "is_active": False}, {"id": f"{base}-p", "name": "p", "base_model_id": base}]
    answer = shared.admin.post("/api/v1/models/import", json=items)
    assert [item["status"] for item in answer.json()["results"]] == ["updated", "created"], answer.text
    assert settled(shared, connection, 2)[1] == ("unload", "unloaded")
    assert ollama.memory == {}


def test_a_model_that_only_embeds_is_loaded_by_an_embedding(shared, ollama):
    ollama.only_embeds = {"nomic:latest"}
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}nomic", f"{prefix}searcher")  # `:latest` is forgiven here, too
    assert settled(shared, connection, 1) == [("load", "loaded")]
    assert [path for path, _ in ollama.asked] == ["/api/generate", "/api/embed"]
    toggle(shared, f"{prefix}searcher", False)
    assert settled(shared, connection, 2)[1] == ("unload", "unloaded")


def test_a_connection_may_stay_out_of_it(shared, ollama):
    connection, prefix = connect(shared, ollama, loads=False)
    preset(shared, f"{prefix}llama:8b", f"{prefix}quiet")
    toggle(shared, f"{prefix}quiet", False)
    toggle(shared, f"{prefix}quiet", True)
    answer = shared.admin.post("/api/models/load", json={"model": f"{prefix}qwen:4b"})
    assert answer.status_code == 202, "a person may ask all the same"
    assert settled(shared, connection, 1) == [("load", "loaded")]
    assert set(ollama.memory) == {"qwen:4b"}


def test_one_host_loads_the_one_with_the_highest_priority_and_all_unload(shared, ollama):
    with serving(Server("llama:8b")) as other:
        low, prefix = connect(shared, ollama, priority=1)
        high = shared.connect(f"{low['name']} too", other.url, "ollama", prefix_id=prefix[:-1], priority=5)
        preset(shared, f"{prefix}llama:8b", f"{prefix}spread")
        assert settled(shared, high, 1) == [("load", "loaded")]
        assert jobs(shared, low) == []
        ollama.memory["llama:8b"] = "loaded"  # a call has brought it there
        toggle(shared, f"{prefix}spread", False)
        assert settled(shared, low, 1) == [("unload", "unloaded")]
        assert settled(shared, high, 2)[1] == ("unload", "unloaded")
        assert ollama.memory == other.memory == {}


def test_a_load_that_fails_says_why_and_not_the_key(shared, ollama):
    ollama.broken = f"model requires more system memory; key was {SECRET}\n\x1b[31m" + "x" * 10_000
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}fat")
    assert settled(shared, connection, 1) == [("load", "failed")]
    job = jobs(shared, connection)[0]
    assert "more system memory" in job["reason"]
    assert SECRET not in job["reason"]
    assert "\x1b" not in job["reason"]
    assert len(job["reason"]) < 400
    assert state(shared.admin, f"{prefix}fat")["reason"] == job["reason"]
    with shared.client(USER_KEY) as user:
        assert state(user, f"{prefix}llama:8b") is None


def test_users_see_the_state_of_what_they_may_use(shared, ollama):
    connection, prefix = connect(shared, ollama)
    only = {"read": {"user_ids": ["file-user@example.com"], "group_ids": []}}
    preset(shared, f"{prefix}llama:8b", f"{prefix}theirs", access_control=only)
    settled(shared, connection, 1)
    with shared.client(USER_KEY) as user, shared.client(OTHER_KEY) as other:
        mine = user.get("/api/v1/models/state").json()["items"]
        assert state(other, f"{prefix}theirs") is None
        assert state(other, f"{prefix}llama:8b") is None
        for client in (user, other):
            assert client.get("/api/v1/jobs").status_code == 403
            for path in ("/api/models/unload", "/api/models/load", "/ollama/api/unload"):
                assert client.post(path, json={"model": f"{prefix}llama:8b"}).status_code == 403
    assert not any(item["model_id"] == f"{prefix}llama:8b" for item in mine)
    with shared.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.get("/api/v1/jobs").status_code == 403
    with shared.client(None) as stranger:
        assert stranger.get("/api/v1/models/state").status_code == 401
        assert stranger.post("/api/models/unload", json={"model": "x"}).status_code == 401


def test_deactivating_while_it_loads_unloads_it_afterwards(shared, ollama):
    connection, prefix = connect(shared, ollama)
    ollama.holds = True
    preset(shared, f"{prefix}llama:8b", f"{prefix}hasty")
    eventually(lambda: ollama.counts()["loads"] == 1)
    assert state(shared.admin, f"{prefix}llama:8b")["state"] == "loading"
    toggle(shared, f"{prefix}hasty", False)
    eventually(lambda: state(shared.admin, f"{prefix}llama:8b")["state"] == "unloading")
    assert ollama.counts()["unloads"] == 0, "it waits for the load to end"
    ollama.stuck.set()
    assert settled(shared, connection, 2) == [("load", "loaded"), ("unload", "unloaded")]
    assert ollama.memory == {}


def test_the_newest_wish_wins_over_those_that_wait(shared, ollama):
    connection, prefix = connect(shared, ollama)
    ollama.holds = True
    preset(shared, f"{prefix}llama:8b", f"{prefix}wavering")
    eventually(lambda: ollama.counts()["loads"] == 1)
    for active in (False, True, False, True, False):
        toggle(shared, f"{prefix}wavering", active)
    eventually(lambda: state(shared.admin, f"{prefix}llama:8b")["state"] == "unloading")
    ollama.stuck.set()
    eventually(lambda: all(job["state"] in FINISHED for job in jobs(shared, connection)))
    assert ollama.memory == {}
    assert ollama.counts() == {"loads": 1, "unloads": 1}
    assert state(shared.admin, f"{prefix}llama:8b")["state"] == "unloaded"


def test_a_thousand_activations_are_bounded(shared):
    with serving(Server(*(f"m{number}:1b" for number in range(1000)))) as server:
        server.load_seconds = 0.01
        connection, prefix = connect(shared, server)
        rows = [
            {
                "id": f"{prefix}a{n}",
                "name": "a",
                "base_model_id": f"{prefix}m{n}:1b",
                "params": {},
                "meta": {},
                "is_active": True,
            }
            for n in range(1000)
        ]
        assert shared.admin.post("/api/v1/models/import", json={"models": rows}).status_code == 200
        eventually(lambda: len(jobs(shared, connection)) >= 1000 - 200, 120)
        eventually(lambda: all(job["state"] in FINISHED for job in jobs(shared, connection)), 120)
        found = [job["state"] for job in jobs(shared, connection)]
        assert server.most_at_once <= 2
        assert 50 <= found.count("loaded") <= 110
        refused = next(job for job in jobs(shared, connection) if job["state"] == "failed")
        assert "Too many" in refused["reason"]
        assert shared.admin.get("/health").status_code == 200


def test_unload_by_hand_waits_until_it_is_done_and_is_in_the_audit_log(shared, ollama):
    connection, prefix = connect(shared, ollama)
    preset(shared, f"{prefix}llama:8b", f"{prefix}by-hand")
    settled(shared, connection, 1)
    answer = shared.admin.post("/api/models/unload", json={"model": f"{prefix}by-hand"})
    assert (answer.status_code, answer.json()) == (200, {"status": True})
    assert ollama.memory == {}
    answer = shared.admin.post("/api/models/load", json={"model": f"{prefix}by-hand"})
    assert answer.status_code == 202
    assert answer.json()["state"] == "loading"
    assert answer.json()["model_id"] == f"{prefix}llama:8b"
    settled(shared, connection, 3)
    for form in ({"model": f"{prefix}llama:8b"}, {"name": f"{prefix}llama:8b", "more": 1}):
        answer = shared.admin.post("/ollama/api/unload", json=form)
        assert (answer.status_code, answer.json()) == (200, {"status": True})
    assert shared.admin.post("/ollama/api/unload", json={}).status_code == 422
    found = shared.admin.get("/api/v1/audit", params={"entity_id": f"{prefix}llama:8b"}).json()["items"]
    assert [entry["action"] for entry in found] == [
        "model.unloaded",
        "model.unloaded",
        "model.loaded",
        "model.unloaded",
    ]
    assert found[0]["user_id"] == shared.admin.get("/api/v1/auths/").json()["id"]


@pytest.mark.parametrize("model", ["nothing", "a/b:c", "%", "\u00e9" * 256, "' OR 1=1 --", "x" * 512])
def test_a_model_that_nobody_offers_is_not_found(shared, model):
    for path in ("/api/models/unload", "/api/models/load", "/ollama/api/unload"):
        assert shared.admin.post(path, json={"model": model}).status_code == 404


@pytest.mark.parametrize("form", [{}, {"model": ""}, {"model": 1}, {"model": "x" * 513}, [], "x", None])
def test_a_malformed_wish_is_told(shared, form):
    for path in ("/api/models/unload", "/api/models/load", "/ollama/api/unload"):
        assert shared.admin.post(path, json=form).status_code == 422


def test_a_backend_that_fails_to_unload_is_told_as_502(shared, ollama):
    connection, prefix = connect(shared, ollama)
    ollama.memory["llama:8b"] = "loaded"
    ollama.broken = "it is stuck"
    answer = shared.admin.post("/api/models/unload", json={"model": f"{prefix}llama:8b"})
    assert answer.status_code == 502
    assert "it is stuck" in answer.json()["detail"]
    assert settled(shared, connection, 1) == [("unload", "failed")]
    found = shared.admin.get("/api/v1/audit", params={"entity_id": f"{prefix}llama:8b"}).json()["items"]
    assert found == [], "what was not done is not in the log"


def test_a_backend_that_is_gone_is_told_as_502(shared):
    gone = Server("llama:8b")
    with reserved_port() as port:
        gone.url = f"http://127.0.0.1:{port}"
        connection, prefix = connect(shared, gone, model_ids=["llama:8b"])
        answer = shared.admin.post("/api/models/unload", json={"model": f"{prefix}llama:8b"})
    assert answer.status_code == 502
    reason = "Connection refused. Is it running?"
    assert answer.json()["detail"] == f"Not unloaded from {connection['name']}: {reason}"
    assert jobs(shared, connection)[0]["reason"] == reason, "its connection and the address stand beside it"
    logged = [line for line in shared.output().splitlines() if "could not be loaded or unloaded" in line]
    assert any(f'"address":"{gone.url}","reason":"{reason}"' in line for line in logged)


def test_a_router_that_tells_its_progress_is_followed(shared):
    with serving(Server("alpha", "bad-model")) as router:
        connection, prefix = connect(shared, router, flavour="llama.cpp")
        preset(shared, f"{prefix}alpha", f"{prefix}first")
        assert settled(shared, connection, 1) == [("load", "loaded")]
        assert router.memory == {"alpha": "loaded"}
        preset(shared, f"{prefix}bad-model", f"{prefix}second")
        assert settled(shared, connection, 2)[1] == ("load", "failed")
        toggle(shared, f"{prefix}first", False)
        assert settled(shared, connection, 3)[2] == ("unload", "unloaded")
        answer = shared.admin.post("/api/models/unload", json={"model": f"{prefix}alpha"})
        assert answer.status_code == 200, "what is not in memory is unloaded"
        assert "alpha" not in router.memory
        router.memory["alpha"] = "loaded"
        shared.admin.post("/api/models/load", json={"model": f"{prefix}alpha"})
        assert settled(shared, connection, 5)[4] == ("load", "loaded"), "what is loaded already is loaded"


def test_a_real_llama_cpp_with_one_model_is_not_said_to_load(shared, engine):
    number = next(numbers)
    connection = shared.connect(f"engine {number}", engine.base_url, flavour="llama.cpp", prefix_id=f"e{number}")
    preset(shared, f"e{number}.tiny-llama", f"e{number}.preset")
    assert settled(shared, connection, 1) == [("load", "not_supported")]
    answer = shared.admin.post("/api/models/unload", json={"model": f"e{number}.preset"})
    assert answer.status_code == 400
    assert "No backend" in answer.json()["detail"]
    assert (
        shared.admin.post(
            "/v1/chat/completions",
            json={
                "model": f"e{number}.preset",
                "messages": [{"role": "user", "content": "hi"}],
                "max_tokens": 3,
            },
        ).status_code
        == 200
    )


def test_a_backend_that_loads_nothing_is_left_alone(shared, upstream):
    number = next(numbers)
    connection = shared.connect(f"cloud {number}", upstream.base_url, prefix_id=f"c{number}")
    preset(shared, f"c{number}.echo", f"c{number}.preset")
    assert shared.admin.post("/api/models/unload", json={"model": f"c{number}.preset"}).status_code == 400
    assert shared.admin.post("/api/models/load", json={"model": f"c{number}.preset"}).status_code == 400
    assert jobs(shared, connection) == []


def test_the_scripted_ollama_loads_and_unloads(shared):
    with run_scripted() as scripted:
        number = next(numbers)
        connection = shared.connect(f"scripted {number}", scripted.root, "ollama", prefix_id=f"s{number}")
        preset(shared, f"s{number}.echo", f"s{number}.preset")
        assert settled(shared, connection, 1) == [("load", "loaded")]
        running = shared.admin.get("/api/ps").json()["models"]
        assert f"s{number}.echo:latest" in [model["model"] for model in running]
        toggle(shared, f"s{number}.preset", False)
        assert settled(shared, connection, 2)[1] == ("unload", "unloaded")
        preset(shared, f"s{number}.error-500", f"s{number}.broken")
        assert settled(shared, connection, 3)[2] == ("load", "failed")


def test_jobs_come_in_pages(shared, ollama):
    _, prefix = connect(shared, ollama)
    for _ in range(3):
        assert shared.admin.post("/api/models/unload", json={"model": f"{prefix}llama:8b"}).status_code == 200
    whole = [job["id"] for job in shared.admin.get("/api/v1/jobs", params={"limit": 1000}).json()["items"]]
    first = shared.admin.get("/api/v1/jobs", params={"limit": 2}).json()
    second = shared.admin.get("/api/v1/jobs", params={"limit": 2, "before": first["next"]}).json()
    assert [job["id"] for job in first["items"] + second["items"]] == whole[:4]
    assert shared.admin.get("/api/v1/jobs", params={"limit": 0}).status_code == 422
    assert shared.admin.get("/api/v1/jobs", params={"before": "x" * 65}).status_code == 422


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_process_left_unfinished_is_said_to_be_interrupted(ollama, data_dir, killed):
    environment = {"OLLAMA_BASE_URL": ollama.url}
    ollama.holds = True
    with run_yard(data_dir, environment) as yard:
        preset(yard, "llama:8b", "helper")
        eventually(lambda: ollama.counts()["loads"] == 1)
        if killed:
            yard.kill()
        else:
            assert yard.terminate() == 0
            assert "Traceback" not in yard.output()
    ollama.holds = False
    ollama.stuck.set()
    with run_yard(data_dir, environment) as yard:
        eventually(lambda: yard.admin.get("/api/v1/jobs").json()["items"][0]["state"] == "failed")
        assert "interrupted" in yard.admin.get("/api/v1/jobs").json()["items"][0]["reason"]
        toggle(yard, "helper", False)
        toggle(yard, "helper", True)
        eventually(lambda: state(yard.admin, "llama:8b")["state"] == "loaded")


def test_a_load_that_takes_too_long_is_given_up(ollama, data_dir):
    ollama.holds = True
    with run_yard(data_dir, {"OLLAMA_BASE_URL": ollama.url, "MODELYARD_LOAD_TIMEOUT": "1"}) as yard:
        preset(yard, "llama:8b", "helper")
        eventually(lambda: (state(yard.admin, "llama:8b") or {"state": ""})["state"] == "failed")
        assert "1 s" in state(yard.admin, "llama:8b")["reason"]


def test_a_load_is_undone_when_another_process_deactivated_meanwhile(ollama, data_dir):
    with run_yard(data_dir, {"OLLAMA_BASE_URL": ollama.url}) as yard:
        ollama.holds = True
        preset(yard, "llama:8b", "helper")
        eventually(lambda: ollama.counts()["loads"] == 1)
        with closing(sqlite3.connect(data_dir / "modelyard.db", timeout=PATIENCE)) as connection, connection:
            connection.execute("UPDATE models SET is_active = 0 WHERE id = 'helper'")
        ollama.stuck.set()
        eventually(lambda: ollama.counts()["unloads"] == 1 and ollama.memory == {})


def test_the_same_on_postgres(ollama, data_dir):
    with run_postgres() as postgres:
        environment = {"OLLAMA_BASE_URL": ollama.url, "DATABASE_URL": postgres.new_database()}
        with run_yard(data_dir, environment, ("--workers", "2")) as yard:
            preset(yard, "llama:8b", "helper")
            eventually(lambda: (state(yard.admin, "llama:8b") or {"state": ""})["state"] == "loaded")
            toggle(yard, "helper", False)
            eventually(lambda: state(yard.admin, "llama:8b")["state"] == "unloaded")
            assert ollama.memory == {}
            assert yard.admin.post("/api/models/unload", json={"model": "helper"}).status_code == 200
            assert len(yard.admin.get("/api/v1/jobs", params={"limit": 2}).json()["items"]) == 2
            assert yard.terminate() == 0
            assert "Traceback" not in yard.output()


def kept(number, state, updated_at):
    fields = dict.fromkeys(("kind", "model_id", "connection_id", "upstream_model", "user_id"), "x")
    job = {
        "id": f"{number:05}",
        "state": state,
        "reason": None,
        "process": "p",
        "created_at": 1,
        "updated_at": updated_at,
    }
    return {**fields, **job}


async def test_old_jobs_are_forgotten_and_those_of_the_dead_are_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "KEPT", 5)
    database = Database(sqlite_url(tmp_path / "yard.db"))
    try:
        await migrate.upgrade(database, migrate.MAIN, None)
        moment = now()
        async with database.write() as connection:
            await queries.add(connection, [kept(0, "loading", moment), kept(1, "unloading", moment - 3600)])
            for number in range(2, 12):
                await queries.add(connection, [kept(number, "loaded", moment)])
        async with database.read() as connection:
            found = {row["id"]: row for row in await queries.page(connection, limit=100, before=None)}
        assert set(found) == {"00000", "00001", *(f"{number:05}" for number in range(7, 12))}
        assert found["00000"]["state"] == "loading"
        assert (found["00001"]["state"], found["00001"]["reason"]) == ("failed", queries.INTERRUPTED)
        async with database.write() as connection:
            await queries.keep_alive(connection, "p", ["00000", "00001"])
        async with database.read() as connection:
            found = {row["id"]: row["state"] for row in await queries.page(connection, limit=100, before=None)}
        assert (found["00000"], found["00001"]) == ("loading", "unloading"), "its process is alive after all"
    finally:
        await database.close()
