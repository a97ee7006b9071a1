"""What Ollama's clients ask beside calls of models: tags, show, ps, version."""

from collections.abc import Awaitable, Callable, Mapping

from modelyard.api.body import ClientLeft, read_body
from modelyard.api.calls import Calls, answered, only
from modelyard.api.reply import Receive, Scope, Send
from modelyard.canonical.snapshot import Model, Published
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.ollama import OLLAMA, listing
from modelyard.gateway.call import JSON_TYPE, Reply
from modelyard.gateway.gate import authorise, find
from modelyard.policy.access import usable

MAX_BODY_BYTES = 64 * 1024

# The version of Ollama whose API this is: clients look what they may use.
OLLAMA_VERSION = "0.32.15"

# What the hub carries to a backend whose list does not say what its models can: clients offer no tools without it.
HUB_CAPABILITIES = ("completion", "tools")

# What the backends that load and unload models hold in memory, by our name of the model.
Loaded = Callable[[], Awaitable[Mapping[str, Mapping[str, object]]]]


class OllamaDoors:
    """Tells the catalogue in Ollama's words. Presets look like models of its own."""

    def __init__(self, calls: Calls, published: Published, loaded: Loaded) -> None:
        self._calls = calls
        self._published = published
        self._loaded = loaded

    async def tags(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/tags`."""

        async def make(call_id: str) -> Reply:
            only(scope, "GET")
            principal = self._calls.principal(scope, OLLAMA)
            rows = [_row(model) for model in usable(principal, self._published.snapshot)]
            return _json(listing.write_tags(rows))

        await answered(send, OLLAMA, make)

    async def show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/show {model}`. A preset's prompt and parameters are not told: they are its writers' business."""

        async def make(call_id: str) -> Reply:
            only(scope, "POST")
            principal = self._calls.principal(scope, OLLAMA)
            body = await read_body(scope, receive, MAX_BODY_BYTES)
            snapshot = self._published.snapshot
            name = _named(body)
            model = authorise(principal, find(snapshot, name), snapshot, name)
            return _json(listing.write_show(_row(model), () if "capabilities" in model.about else HUB_CAPABILITIES))

        try:
            await answered(send, OLLAMA, make)
        except ClientLeft:
            return

    async def ps(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/ps`: what is loaded now, of what the caller may use."""

        async def make(call_id: str) -> Reply:
            only(scope, "GET")
            principal = self._calls.principal(scope, OLLAMA)
            loaded = await self._loaded()
            rows = [
                _row(model, loaded[model.id])
                for model in usable(principal, self._published.snapshot)
                if model.id in loaded
            ]
            return _json(listing.write_ps(rows))

        await answered(send, OLLAMA, make)

    async def version(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/version`, open as at Ollama: clients ask it to see whether anybody is there."""

        async def make(call_id: str) -> Reply:
            only(scope, "GET")
            return _json(listing.write_version(OLLAMA_VERSION))

        await answered(send, OLLAMA, make)

    async def status(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /ollama/`: somebody is there."""

        async def make(call_id: str) -> Reply:
            only(scope, "GET")
            return _json(b'{"status":true}')

        await answered(send, OLLAMA, make)


def _row(model: Model, loaded: Mapping[str, object] | None = None) -> listing.Row:
    about = model.about if loaded is None else {**model.about, **loaded}
    return listing.Row(id=model.id, name=model.name, created=model.created, about=about)


def _json(body: bytes) -> Reply:
    return Reply(status=200, headers=[JSON_TYPE], body=body)


def _named(body: bytes) -> str:
    """The model that a request names, by either of Ollama's two fields."""
    try:
        fields = raw.split(body)
        named = [raw.value_of(fields[field]) for field in ("model", "name") if field in fields]
    except raw.NotJson as error:
        raise Problem(Kind.INVALID_REQUEST, f"The request body is not a JSON object: {error}.") from None
    # Ollama's command line sends both, the first one empty.
    for name in named:
        if isinstance(name, str) and name:
            return name
    raise Problem(Kind.INVALID_REQUEST, "`model` is missing: it must be the name of a model.", param="model")
