"""The web interface: one page, and the hashed files that it loads. It is a client of the public API like any other.

What `ui/` is built into stands in `static/interface`. The page is the same for every address of the interface; the program
in it decides what to show. No value of a request reaches it, so there is nothing to escape.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from modelyard.api.front import Door
from modelyard.api.reply import Receive, Scope, Send, deliver
from modelyard.gateway.call import Headers, Reply

FOLDER = Path(str(files("modelyard.api").joinpath("static/interface")))
ASSETS = "/assets/"

# Below these a wrong address is a program's, and is answered as one.
FOR_PROGRAMS = ("/api/", "/v1/", "/openai/", "/ollama/", ASSETS)

# `style-src-attr`: places of menus and bars are set on elements; style sheets and scripts come from here alone.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src-elem 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; "
    b"connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)
_SECURITY: Headers = [
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
# The name of a file below /assets/ holds the digest of its content.
_FOREVER = b"public, max-age=31536000, immutable"
_ASK_AGAIN = b"no-cache"
_ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))

_BASE = '<base href="/" />'
_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><base href="/" /><title>Modelyard</title></head>
<body><h1>Modelyard</h1><p>The web interface is not built. In a checkout <code>make install</code> builds it; the API and the
command line work without it.</p></body></html>
"""


class _Asset(NamedTuple):
    """A file of the build. `encodings`: what it is compressed with beside it."""

    path: Path
    kind: bytes
    encodings: tuple[tuple[bytes, Path], ...]


class Interface:
    """Answers browsers. `page` is every address of the interface, `asset` a file of it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        index = folder / "index.html"
        self._page = index.read_text("utf-8") if index.is_file() else _NOT_BUILT
        # Only names that are in this table are ever opened.
        self._assets = {"/" + path.relative_to(folder).as_posix(): _asset(path) for path in _built(folder)}

    @property
    def names(self) -> tuple[str, ...]:
        """The files outside /assets/, such as /theme.js."""
        return tuple(name for name in self._assets if not name.startswith(ASSETS))

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page itself, for any address of the interface."""
        if scope["method"] not in {"GET", "HEAD"}:
            await deliver(_refused(405, "Only GET here."), send)
            return
        base = f'<base href="{escape(scope.get("root_path", ""))}/" />'
        body = self._page.replace(_BASE, base, 1).encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", _ASK_AGAIN),
            (b"vary", b"accept"),
            *_SECURITY,
        ]
        await deliver(Reply(status=200, headers=headers, body=body), send)

    async def asset(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file of the build, compressed as the browser likes it."""
        name = scope["path"]
        asset = self._assets.get(name)
        if asset is None or scope["method"] not in {"GET", "HEAD"}:
            status, told = (404, "There is no such file.") if asset is None else (405, "Only GET here.")
            await deliver(_refused(status, told), send)
            return
        asked = {
            header: value for header, value in scope["headers"] if header in {b"accept-encoding", b"if-none-match"}
        }
        accepted = set(_accepted(asked.get(b"accept-encoding", b"")))
        encoding, path = next((found for found in asset.encodings if found[0] in accepted), (None, asset.path))
        body = await asyncio.to_thread(path.read_bytes)
        etag = b'"' + hashlib.sha256(body).hexdigest()[:24].encode() + b'"'
        headers = [
            (b"content-type", asset.kind),
            (b"cache-control", _FOREVER if name.startswith(ASSETS) else _ASK_AGAIN),
            (b"etag", etag),
            (b"vary", b"accept-encoding"),
            *_SECURITY,
        ]
        if encoding is not None:
            headers.append((b"content-encoding", encoding))
        if etag in asked.get(b"if-none-match", b""):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await deliver(Reply(status=200, headers=headers, body=body), send)

    def or_else(self, rest: Door) -> Door:
        """The page for a browser that goes to any address which is not a program's; `rest` for everything else."""

        async def door(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and _is_navigation(scope):
                await self.page(scope, receive, send)
            else:
                await rest(scope, receive, send)

        return door


def _accepted(value: bytes) -> Iterator[bytes]:
    """The encodings of an Accept-Encoding header that are not refused by `q=0`."""
    for part in value.split(b","):
        name, _, quality = part.partition(b";")
        if quality.replace(b" ", b"") not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}:
            yield name.strip()


def _is_navigation(scope: Scope) -> bool:
    """A person's browser opens an address: it asks for HTML, as programs do not."""
    path = scope["path"].removeprefix(scope["root_path"])
    if scope["method"] not in {"GET", "HEAD"} or path.startswith(FOR_PROGRAMS):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _built(folder: Path) -> list[Path]:
    compressed = {suffix for _, suffix in _ENCODINGS}
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in compressed and path.name != "index.html"
    ]


def _asset(path: Path) -> _Asset:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    beside = ((name, path.with_name(path.name + suffix)) for name, suffix in _ENCODINGS)
    return _Asset(path, f"{kind}{charset}".encode(), tuple(found for found in beside if found[1].is_file()))


def _refused(status: int, told: str) -> Reply:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    return Reply(status=status, headers=headers, body=told.encode())
