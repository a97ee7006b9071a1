"""A backend whose streams begin at once and go on when the test says so."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "held"
# Of each stream, what comes before it is held.
FIRST = 3


class Held:
    """A running one. `go_on.set()` lets every stream have the rest of its deltas, and end."""

    def __init__(self, deltas: int) -> None:
        self.deltas = deltas
        self.go_on = threading.Event()
        self.base_url = ""

    def events(self) -> Iterator[bytes]:
        """One stream, event by event."""
        for number in range(self.deltas):
            if number == FIRST:
                self.go_on.wait()
            yield _event({"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
        yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield _event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": self.deltas}})
        yield b"data: [DONE]\n\n"


def _event(more: dict[str, Any]) -> bytes:
    chunk = {"id": "chatcmpl-held", "object": "chat.completion.chunk", "created": 1, "model": MODEL, **more}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


@contextmanager
def run_held(deltas: int) -> Iterator[Held]:
    """A backend whose streams have so many deltas."""
    held = Held(deltas)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                for event in held.events():
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True  # its caller has left

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    held.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield held
    finally:
        held.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
