"""What the backends offer: kept when one dies, noticed when it changes, never lost to a neighbour's fault."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.operations.test_start import black_hole, given_up
from tests.operations.tools import reserved_port, wait
from tests.servers import run_scripted
from tests.yard import run_yard


class Backend:
    """A small backend whose list of models is a variable; it answers every chat with `answer`."""

    def __init__(self) -> None:
        self.models: Any = ["one"]
        self.answer: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
        self.base_url = ""

    def list(self) -> bytes:
        if isinstance(self.models, bytes):
            return self.models
        return json.dumps({"object": "list", "data": [{"id": name} for name in self.models]}).encode()


@contextmanager
def run_backend() -> Iterator[Backend]:
    backend = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(backend.list())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._send(json.dumps(backend.answer).encode())

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    backend.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield backend
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def names(yard) -> set[str]:
    return {row["id"] for row in yard.admin.get("/v1/models").json()["data"]}


def connection(yard, name: str) -> dict[str, Any]:
    return next(row for row in yard.admin.get("/api/v1/connections").json()["items"] if row["name"] == name)


def test_the_last_good_list_is_kept_with_its_age_when_a_backend_dies(data_dir):
    with reserved_port() as port, run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}) as yard:
        with run_scripted(port) as backend:
            made = yard.connect("mortal", backend.base_url)
            assert made["error"] is None
            assert "echo" in names(yard)
        wait(lambda: connection(yard, "mortal")["error"], "its death is noticed")
        wait(lambda: connection(yard, "mortal")["models_age"] >= 5, "the list grows old")
        assert "echo" in connection(yard, "mortal")["models"]
        assert "echo" in names(yard)
        with run_scripted(port):
            wait(lambda: connection(yard, "mortal")["error"] is None, "it is back")
            wait(lambda: connection(yard, "mortal")["models_age"] < 5, "and its list is a new one")


def test_new_models_appear_and_old_ones_go(data_dir):
    with run_backend() as backend, run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}) as yard:
        yard.connect("changing", backend.base_url)
        wait(lambda: names(yard) == {"one"}, "the first one")
        backend.models = ["one", "two"]
        wait(lambda: names(yard) == {"one", "two"}, "the new model")
        backend.models = ["two"]
        wait(lambda: names(yard) == {"two"}, "the old one is gone")


def test_zero_means_only_when_asked(data_dir):
    with run_backend() as backend, run_yard(data_dir, {"MODELS_CACHE_TTL": "0"}) as yard:
        yard.connect("changing", backend.base_url)
        backend.models = ["two"]
        time.sleep(1.5)
        assert names(yard) == {"one"}
        rows = yard.admin.get("/api/v1/connections", params={"refresh": "true"}).json()["items"]
        assert rows[0]["models"] == ["two"]
        assert names(yard) == {"two"}


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"[]", b"{}", b"<html>", b'{"data": 5}', b'{"data": [5, null, {"id": 7}, {"id": ""}, {"id": "good"}]}', b"\xff" * 50,
     b"[" * 100_000, b'{"data": [{"id": "nul\\u0000"}, {"id": "line\\nbreak"}, {"id": "slash/a b?c#d"}]}'],
)  # fmt: skip
def test_a_backend_that_lists_nonsense_does_not_disturb_the_others(data_dir, nonsense):
    with run_backend() as bad, run_backend() as good, run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}) as yard:
        bad.models = nonsense
        yard.connect("bad", bad.base_url)
        yard.connect("good", good.base_url)
        good.models = ["one", "two"]
        wait(lambda: {"one", "two"} <= names(yard), "the good one is followed")
        assert yard.admin.get("/api/v1/connections").status_code == 200


def test_a_connection_with_a_broken_certificate_file_does_not_disturb_the_others(data_dir, tmp_path):
    """The file is there but is no PEM, as after a botched renewal. Discovery must go on, and a start must get ready."""
    file = tmp_path / "ca.pem"
    file.write_text("this is no certificate")
    with run_backend() as good:
        with run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}) as yard:
            form = {"name": "bad", "kind": "openai", "base_url": "https://127.0.0.1:9", "tls": {"ca_file": str(file)}}
            answer = yard.admin.post("/api/v1/connections", json=form)
            assert answer.status_code in (200, 422), answer.text
            yard.connect("good", good.base_url)
            good.models = ["one", "two"]
            wait(lambda: {"one", "two"} <= names(yard), "the good one is followed")
        with run_yard(data_dir) as yard:  # ready again
            assert "one" in names(yard)


@pytest.mark.parametrize(
    "url", ["http://a..b", "http://ex ample.com", "http://bücher.example/ü", "http://127.0.0.1:9/a b"]
)
def test_a_connection_with_an_odd_address_does_not_disturb_the_others(data_dir, url):
    with run_backend() as good, run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}) as yard:
        answer = yard.admin.post("/api/v1/connections", json={"name": "odd", "kind": "openai", "base_url": url})
        assert answer.status_code in (200, 422), answer.text
        yard.connect("good", good.base_url)
        good.models = ["one", "two"]
        wait(lambda: {"one", "two"} <= names(yard), "the good one is followed")


def test_a_connection_made_while_a_slow_refresh_runs_keeps_its_models(data_dir):
    """A black-holed neighbour makes each refresh last two seconds; what is made meanwhile must not be forgotten."""
    with black_hole() as hole, run_backend() as backend:
        environment = {"MODELS_CACHE_TTL": "0", "OPENAI_API_BASE_URL": hole.base_url}
        with run_yard(data_dir, environment) as yard:
            with hole.asked() as first:
                wait(lambda: given_up(first), "what a start begins is over")
            with yard.client(None) as other:
                other.headers["authorization"] = yard.admin.headers["authorization"]
                slow = threading.Thread(target=lambda: other.get("/api/v1/connections", params={"refresh": "true"}))
                slow.start()
                with hole.asked():
                    assert yard.connect("meanwhile", backend.base_url)["models"] == ["one"]
                    assert names(yard) == {"one"}
                    slow.join()
            assert names(yard) == {"one"}, "the refresh that began before forgot the new connection"


def test_absurd_usage_of_a_backend_does_not_stop_the_ledger(data_dir):
    with run_backend() as backend, run_yard(data_dir) as yard:
        yard.connect("absurd", backend.base_url)
        ask = {"model": "one", "messages": [{"role": "user", "content": "x"}]}
        usages: list[Any] = [
            {"prompt_tokens": 10**30, "completion_tokens": 1}, {"prompt_tokens": 2**63, "completion_tokens": 2**63},
            {"prompt_tokens": -5, "completion_tokens": -5}, {"prompt_tokens": 1.5}, {"prompt_tokens": "many"}, "none", [],
            {"prompt_tokens": 2**62, "completion_tokens": 2**62}, {"prompt_tokens": 1, "completion_tokens": 1},
        ]  # fmt: skip
        for usage in usages:
            backend.answer["usage"] = usage
            assert yard.admin.post("/v1/chat/completions", json=ask).status_code in (200, 502)
        found = yard.wait_for_calls(len(usages))
        assert sum(row["calls"] for row in found.values()) == len(usages)
        assert all(0 <= row["tokens"] < 2**53 for row in found.values()), found
