"""An Ollama server that answers with what a real one answered (tests/corpus/ollama), and a server of files beside it.

The name of a model chooses the exchange: a chat with `tool` is answered by chat-tools-single-whole or -stream, whichever
was asked for (CHATS), one with `exactly-chat-length-whole` by just that recording.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.conformance.files import PDF, PNG

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"

# The exchanges by the name of a model: what a whole answer is taken from, and what a stream is.
CHATS: dict[str, tuple[str, str]] = {
    "speak": ("chat-whole", "chat-stream"),
    "length": ("chat-length-whole", "chat-length-stream"),
    "stop-string": ("chat-stop-string-whole", "chat-stop-string-stream"),
    "tool": ("chat-tools-single-whole", "chat-tools-single-stream"),
    "two-tools": ("chat-tools-after-text-parallel-whole", "chat-tools-after-text-parallel-stream"),
    "native-tools": ("chat-native-tools-whole", "chat-native-tools-stream"),
    "think": ("chat-thinking-default-whole", "chat-thinking-true-stream"),
    "think-tool": ("chat-thinking-then-tool-whole", "chat-thinking-then-tool-stream"),
    "json": ("chat-format-schema", "chat-format-schema-stream"),
    "logprobs": ("chat-logprobs-whole", "chat-logprobs-stream"),
    "odd-characters": ("chat-odd-characters-whole", "chat-odd-characters-stream"),
    "died": ("chat-error-by-parser-whole", "chat-error-in-stream-runner-died"),
    "given-up": ("chat-repetition-aborted-whole", "chat-repetition-aborted-stream"),
    "cannot-think": ("chat-thinking-unsupported", "chat-thinking-unsupported"),
    "busy": ("chat-server-busy", "chat-server-busy"),
}
EXACTLY = "exactly-"
EMBEDDER = "embedder"
FILES = {"/pixel.png": ("image/png", PNG), "/report.pdf": ("application/pdf", PDF)}


def exchange(case: str) -> dict[str, Any]:
    """One recorded exchange."""
    read: dict[str, Any] = json.loads((CORPUS / f"{case}.json").read_text(encoding="utf-8"))
    return read


def recordings(path: str) -> list[str]:
    """The names of all recordings of requests to this path."""
    names = sorted(file.stem for file in CORPUS.glob("*.json"))
    return [name for name in names if exchange(name)["request"]["path"] == path]


class Recorded:
    """The running server. `base_url` is Ollama's root, and that of the files; `requests` are the last bodies."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self.requests: deque[dict[str, Any]] = deque(maxlen=100)
        self.fetched: deque[str] = deque(maxlen=100)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        """(status, content type, body) for one request."""
        self.requests.append(body)
        case = _case(path, body)
        if case is None:
            return 404, "application/json", json.dumps({"error": f"model '{body.get('model')}' not found"}).encode()
        told = exchange(case)
        return told["status"], told["content_type"], told["body"].encode()


def _case(path: str, body: dict[str, Any]) -> str | None:
    model = str(body.get("model", "")).removesuffix(":latest")
    if path == "/api/chat" and model.startswith(EXACTLY):
        return model.removeprefix(EXACTLY)
    if path == "/api/chat" and model in CHATS:
        return CHATS[model][body.get("stream") is not False]
    if path == "/api/embed" and model == EMBEDDER:
        given = body.get("input")
        return "embed-batch" if isinstance(given, list) and len(given) > 1 else "embed-single"
    return None


@contextmanager
def run_recorded() -> Iterator[Recorded]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one packet, or the reader waits 40 ms for the second

        def do_GET(self) -> None:
            if self.path == "/api/tags":
                exactly = [f"{EXACTLY}{name}" for name in recordings("/api/chat")]
                rows = [{"name": name, "model": name} for name in (*CHATS, EMBEDDER, *exactly)]
                self._send(200, "application/json; charset=utf-8", json.dumps({"models": rows}).encode())
            elif self.path in FILES:
                recorded.fetched.append(self.path)
                self._send(200, *FILES[self.path])
            else:
                self._send(404, "text/plain", b"404 page not found")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))))
            self._send(*recorded.answer(self.path, body))

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorded = Recorded(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield recorded
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
