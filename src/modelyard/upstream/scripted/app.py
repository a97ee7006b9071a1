"""The ASGI app of the scripted upstream: finds form and script, remembers what it was sent, and plays the answer."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from modelyard.upstream.scripted import listings, multipart, ollama
from modelyard.upstream.scripted.chat import CHAT
from modelyard.upstream.scripted.endpoints import FORMS
from modelyard.upstream.scripted.form import Call, Fault, Form, Reply, Script, encode
from modelyard.upstream.scripted.play import Cut, Message, Receive, Send, play, reply
from modelyard.upstream.scripted.scripts import SCRIPTS, no_model

MOST_EVENTS = 1_000_000
MOST_DELAY_MS = 3_600_000
KEPT_LOADED = 300  # seconds
SHOW = Form(
    name="ollama.show",
    read=ollama.read_chat,
    whole=lambda call, answer: Reply(200, b""),
    error=ollama.error,
    fault=ollama.fault,
)


class _Refused(Exception):
    """The request is wrong; the reply says how."""

    def __init__(self, form: Form, fault: Fault) -> None:
        super().__init__(fault.message)
        self.reply = Reply(fault.status, form.error(fault))


class ScriptedUpstream:
    """The ASGI app. `remember` is how many of the last requests it keeps, each with up to `remember_bytes` of its body."""

    def __init__(self, *, remember: int = 100, remember_bytes: int = 64 * 1024) -> None:
        self._remember_bytes = remember_bytes
        self._served = 0
        self._streams_in_progress = 0
        self._calls: Counter[str] = Counter()
        self._paths: Counter[str] = Counter()
        self._client_left: Counter[str] = Counter()
        self._last_left: deque[dict[str, Any]] = deque(maxlen=1000)
        self._requests: deque[dict[str, Any]] = deque(maxlen=remember)
        self._loaded: dict[str, tuple[float, int]] = {}

    def state(self) -> dict[str, Any]:
        """What `GET /__script__/state` tells. `requests` has those that chose a script, `paths` counts all."""
        return {
            "calls": dict(self._calls),
            "paths": dict(self._paths),
            "streams_in_progress": self._streams_in_progress,
            "client_left": dict(self._client_left),
            "last_left": list(self._last_left),
            "requests": list(self._requests),
        }

    def reset(self) -> None:
        """Forget all but the streams in progress."""
        for seen in (self._calls, self._paths, self._client_left, self._last_left, self._requests, self._loaded):
            seen.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn's lifespan, which is optional
        body = await _body(receive)
        if body is None:
            return
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        form = FORMS.get(path) if method == "POST" else None
        try:
            if form is None:
                await reply(
                    send, self._tell(method, path, scope.get("query_string", b"").decode("latin-1"), headers, body)
                )
                return
            self._paths[f"POST {path}"] += 1
            name, call = self._read(form, headers, body)
            self._note(name, path, headers, body)
            if form.name.startswith("ollama."):
                self._load(name, call.body)
            await self._run(name, call, receive, send)
        except _Refused as refused:
            await reply(send, refused.reply)

    def _tell(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to a request that no script has a part in."""
        if (method, path) == ("GET", "/__script__/state"):
            return Reply(200, encode(self.state()))
        if (method, path) == ("POST", "/__script__/reset"):
            self.reset()
            return Reply(200, b"{}")
        self._paths[f"{method} {path}"] += 1
        told: dict[str, Callable[[], Reply]] = {
            "GET /v1/models": lambda: self._models(query, headers),
            "GET /api/tags": listings.tags,
            "GET /api/version": listings.version,
            "GET /api/ps": self._running,
            "POST /api/show": lambda: listings.show(_choose(SHOW, _fields(SHOW, headers, body))[0]),
        }
        if tell := told.get(f"{method} {path}"):
            return tell()
        if path.startswith("/api/"):
            return Reply(404, b"404 page not found", "text/plain")
        raise _Refused(CHAT, Fault(status=404, message=f"Unknown request URL: {method} {path}.", code="unknown_url"))

    def _models(self, query: str, headers: dict[str, str]) -> Reply:
        return listings.anthropic_models(query) if "anthropic-version" in headers else listings.openai_models()

    def _running(self) -> Reply:
        now = time.time()
        return listings.running({name: how for name, how in self._loaded.items() if how[0] > now})

    def _read(self, form: Form, headers: dict[str, str], body: bytes) -> tuple[str, Call]:
        """The name of the script, and the call. Raises _Refused."""
        fields = _fields(form, headers, body)
        name, script, parameters = _choose(form, fields)
        if fault := form.wrong(fields, headers):
            raise _Refused(form, fault)
        self._served += 1
        authorization = headers.get("authorization", "")
        stream = fields.get("stream", form.streams)
        call = Call(
            form=form,
            script=script,
            body=fields,
            asked=form.read(fields),
            identifier=f"scripted{self._served:06d}",
            created=int(time.time()),
            credential=authorization.removeprefix("Bearer ") or headers.get("x-api-key", ""),
            events=_number(form, "events", parameters, headers, script.events, MOST_EVENTS),
            delay=_number(form, "delay_ms", parameters, headers, script.delay_ms, MOST_DELAY_MS) / 1000,
            stream=stream is True and form.events is not None,
        )
        return name, call

    def _note(self, name: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self._calls[name] += 1
        kept = body[: self._remember_bytes].decode("utf-8", "replace")
        self._requests.append(
            {"model": name, "path": path, "headers": headers, "body": kept, "body_bytes": len(body), "at": time.time()}
        )

    def _load(self, name: str, body: dict[str, Any]) -> None:
        """Ollama keeps a model for a while, or lets it go at once."""
        self._loaded.pop(name, None)
        if ollama.keeps(body):
            options = body.get("options")
            context = options.get("num_ctx") if isinstance(options, dict) else None
            size = context if isinstance(context, int) else listings.CONTEXT
            self._loaded[name] = (time.time() + KEPT_LOADED, size)

    async def _run(self, name: str, call: Call, receive: Receive, send: Send) -> None:
        """Play the script until it ends or the client leaves, whichever comes first."""
        playing = asyncio.ensure_future(play(call, send))
        left = asyncio.ensure_future(_disconnected(receive))
        self._streams_in_progress += call.stream
        try:
            await asyncio.wait((playing, left), return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                self._client_left[name] += 1
                self._last_left.append({"model": name, "at": time.time()})
            elif isinstance(playing.exception(), Cut):
                await _close_connection(receive, left)
            else:
                playing.result()
        except asyncio.CancelledError:
            # The server is shutting down. Going quietly spares the reader a traceback per open stream.
            await _close_connection(receive, left)
        finally:
            self._streams_in_progress -= call.stream
            for task in (playing, left):
                task.cancel()
            await asyncio.gather(playing, left, return_exceptions=True)


def _fields(form: Form, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The body as an object. Raises _Refused."""
    content_type = headers.get("content-type", "")
    try:
        fields = (
            multipart.fields(content_type, body)
            if content_type.startswith("multipart/form-data")
            else msgspec.json.decode(body)
        )
    except (ValueError, RecursionError) as error:
        raise _Refused(form, Fault(status=400, message=f"The body is not JSON: {error}")) from error
    if not isinstance(fields, dict):
        raise _Refused(form, Fault(status=400, message="The body is no JSON object."))
    return fields


def _choose(form: Form, fields: dict[str, Any]) -> tuple[str, Script, dict[str, str]]:
    """The script's name, the script, and the parameters in the model's name. Raises _Refused."""
    model = fields.get("model") or form.default_model
    if not model or not isinstance(model, str):
        raise _Refused(form, Fault(status=400, message="you must provide a model parameter", param="model"))
    name, _, query = model.removesuffix(":latest").partition("?")  # Ollama's names have a tag
    name = name.removesuffix(":latest")
    script = SCRIPTS.get(name)
    if script is None:
        raise _Refused(form, no_model(name))
    return name, script, dict(parse_qsl(query))


def _number(form: Form, name: str, parameters: dict[str, str], headers: dict[str, str], default: int, most: int) -> int:
    text = parameters.get(name) or headers.get(f"x-script-{name.replace('_', '-')}")
    if text is None:
        return default
    if not text.isdecimal() or int(text) > most:
        message = f"{name} must be a whole number up to {most}, and is {text!r}."
        raise _Refused(form, Fault(status=400, message=message, param="model"))
    return int(text)


async def _body(receive: Receive) -> bytes | None:
    """The body of the request; None if the client left before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close_connection(receive: Receive, left: asyncio.Future[None]) -> None:
    """Close the connection under an answer that is not complete.

    ASGI has no word for it. uvicorn does it for an app that raises or returns early, but logs an error, and before the
    head it answers with status 500. So reach for the transport, which the object behind `receive` has, and return only
    once uvicorn knows that the connection is gone: then it has nothing to complain about.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the scripted upstream must be served by uvicorn itself, with no middleware around it")
    transport.close()
    await left
