"""What an attacker would write into every field, and a backend that is theirs: its model names, answers and errors attack."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RAN = "window.__ran = true"
# Each would set window.__ran, in one way or another, if it were taken for more than text.
CORPUS = (
    f"<script>{RAN}</script>",
    f'<img src=x onerror="{RAN}">',
    f"<svg onload='{RAN}'><script>{RAN}</script></svg>",
    f'"><img src=x onerror={RAN}>',
    f"'-{RAN}-'",
    f"javascript:{RAN}",
    f"[a link](javascript:{RAN})",
    f'![a picture](x" onerror="{RAN})',
    f'<a href="javascript:{RAN}">press</a>',
    '<iframe srcdoc="<script>parent.__ran = true</script>"></iframe>',
    f"<details open ontoggle='{RAN}'>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={RAN}>",
    f"{{{{constructor.constructor('{RAN}')()}}}}",
    f"${{{RAN}}}",
    f"data:text/html,<script>{RAN}</script>",
    f'<object data="data:text/html,<script>{RAN}</script>"></object>',
    f"<style>@import 'data:text/css,*{{background:url(javascript:{RAN})}}';</style>",
    f"<base href='http://elsewhere.example/'><form action='javascript:{RAN}'><button>x</button></form>",
    f"```html\n<script>{RAN}</script>\n```",
    f"<!--><script>{RAN}</script>-->",
)  # fmt: skip
ALL = "\n\n".join(CORPUS)
SHORT = CORPUS[1]  # where a field takes few characters
OVERRIDES = "\u202egnirts esrever\u202c"  # turns the direction of what follows
LONG = "A" * 200


class _Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        models = [SHORT, OVERRIDES, "talks", "thinks", "fails"]
        self._json(
            200, {"object": "list", "data": [{"id": name, "object": "model", "owned_by": SHORT} for name in models]}
        )

    def do_POST(self) -> None:
        form = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if form["model"] == "fails":
            self._json(400, {"error": {"message": ALL, "type": SHORT, "code": SHORT}})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        deltas: list[dict[str, object]] = [{"content": text + "\n\n"} for text in CORPUS]
        if form["model"] == "thinks":
            deltas = [{"reasoning_content": ALL}, *deltas]
            call = {
                "index": 0,
                "id": SHORT,
                "type": "function",
                "function": {"name": SHORT, "arguments": json.dumps({SHORT: ALL})},
            }
            deltas.append({"tool_calls": [call]})
        for delta in deltas:
            self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, fields: dict[str, object]) -> None:
        event = {"id": SHORT, "object": "chat.completion.chunk", "created": 1, "model": SHORT, **fields}
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def _json(self, status: int, fields: dict[str, object]) -> None:
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def hostile_backend() -> Iterator[str]:
    """The base URL of a backend for which every text is an attack. Models `talks`, `thinks` and `fails` say which."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Backend)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
