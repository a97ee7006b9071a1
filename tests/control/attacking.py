"""For attacks: people with keys of every kind, and a server of somebody else that keeps what it is told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from tests.yard import Yard


class People:
    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.clients: list[httpx2.Client] = []

    def make(self, role: str = "user", **fields) -> tuple[str, httpx2.Client]:
        """(id, client with an unbounded key) of a new person."""
        email = f"{role}-{len(self.clients)}-{time.monotonic_ns()}@example.com"
        form = {"email": email, "role": role, **fields}
        user_id = done(self.yard.admin.post("/api/v1/users/", json=form))["id"]
        return user_id, self.with_key(user_id)

    def with_key(self, user_id: str, **fields) -> httpx2.Client:
        """A client with another key of that person."""
        self.clients.append(self.yard.client(self.yard.make_key(user_id=user_id, **fields)))
        return self.clients[-1]


class Stranger:
    """Somebody else's server that lists models. `seen` has the headers of each request."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.listed: list[dict[str, str]] = []
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stranger.seen.append(dict(self.headers))
                body = json.dumps({"object": "list", "data": stranger.listed, "models": [], "version": "1"}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def was_told(self, *secrets: str) -> bool:
        return any(secret in value for headers in self.seen for value in headers.values() for secret in secrets)


@contextmanager
def run_stranger() -> Iterator[Stranger]:
    stranger = Stranger()
    thread = threading.Thread(target=stranger.server.serve_forever)
    thread.start()
    try:
        yield stranger
    finally:
        stranger.server.shutdown()
        thread.join()
        stranger.server.server_close()


def done(answer: httpx2.Response):
    assert answer.status_code == 200, answer.text
    return answer.json()


def chat(client: httpx2.Client, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return client.post("/v1/chat/completions", json=body).status_code


def preset(model_id: str, **fields) -> dict:
    return {"id": model_id, "name": model_id, "base_model_id": "echo", **fields}
