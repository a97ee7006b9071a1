"""An upstream that says exactly the bytes it is told and keeps exactly the bytes it was sent."""

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

Play = Callable[[socket.socket], None]
Script = bytes | Play


@dataclass(frozen=True)
class Seen:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Canned:
    """`scripts` maps model names to what is answered: bytes, or a function that has the socket."""

    def __init__(self, scripts: dict[str, Script], port: int) -> None:
        self.scripts = scripts
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.requests: list[Seen] = []

    @property
    def last(self) -> Seen:
        return self.requests[-1]

    def play(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        method, path, _ = lines[0].split(" ")
        if method == "GET":
            rows = [{"id": name, "object": "model"} for name in self.scripts]
            connection.sendall(whole(json.dumps({"object": "list", "data": rows}).encode()))
            return
        self.requests.append(Seen(path, headers, body))
        script = self.scripts[json.loads(body.decode("utf-8", "replace"))["model"]]
        if isinstance(script, bytes):
            connection.sendall(script)
        else:
            script(connection)


def whole(body: bytes, status: int = 200, *headers: str, content_type: str = "application/json") -> bytes:
    """A complete answer."""
    lines = [
        f"HTTP/1.1 {status} Said",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head(content_type: str = "text/event-stream") -> bytes:
    """The head of a chunked answer."""
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    ).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(*parts: bytes, content_type: str = "text/event-stream") -> bytes:
    """A complete chunked answer."""
    return head(content_type) + b"".join(map(chunk, parts)) + b"0\r\n\r\n"


def paced(*parts: bytes, end: bytes = b"0\r\n\r\n") -> Play:
    """A chunked answer whose parts arrive one by one."""

    def play(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head())
        for part in parts:
            time.sleep(0.05)
            connection.sendall(chunk(part))
        time.sleep(0.05)
        connection.sendall(end)

    return play


def error(message: str, status: int = 500, *headers: str, **fields: Any) -> bytes:
    return whole(json.dumps({"error": {"message": message, "type": "x", **fields}}).encode(), status, *headers)


ANSWER = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},\
"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'


@contextmanager
def run_canned(scripts: dict[str, Script]) -> Iterator[Canned]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.server.canned.play(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 512

    with Server(("127.0.0.1", 0), Handler) as server:
        server.canned = Canned(scripts, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.canned
        finally:
            server.shutdown()
            thread.join(5)
