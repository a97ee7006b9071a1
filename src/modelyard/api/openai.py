"""What lies below `/v1` beside the calls of models: the list of models, and stored responses.

The list is told in Anthropic's form to a client that sends `anthropic-version`: both ecosystems use the same path.
"""

from collections.abc import Awaitable, Callable

from modelyard.api.calls import Calls, answered, only
from modelyard.api.front import Door
from modelyard.api.reply import Receive, Scope, Send
from modelyard.canonical.snapshot import Published
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.anthropic import ANTHROPIC, listing
from modelyard.dialects.dialect import Dialect
from modelyard.dialects.openai import OPENAI
from modelyard.gateway.call import JSON_TYPE, Reply
from modelyard.gateway.gate import authorise, find
from modelyard.gateway.stored import StoredResponses
from modelyard.policy.access import usable

PREFIX = "/v1/"
MODELS = "/v1/models"
RESPONSES = "/v1/responses"
REFRESH = b"refresh=true"  # asks every backend first; for administrators, because it makes them all work


class OpenAIDoors:
    """Lists for both dialects that live below `/v1`, and 404 for every other path there."""

    def __init__(
        self, calls: Calls, published: Published, stored: StoredResponses, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._calls = calls
        self._published = published
        self._stored = stored
        self._refresh = refresh

    async def rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models`, `GET /v1/models/{id}`, `GET` and `DELETE /v1/responses/{id}`."""
        path: str = scope["path"].rstrip("/")
        dialect = dialect_of(scope)

        async def make(call_id: str) -> Reply:
            if path == MODELS or path.startswith(MODELS + "/"):
                return await self._models(scope, path, dialect)
            if path.startswith(RESPONSES + "/"):
                return await self._response(scope, path.removeprefix(RESPONSES + "/"))
            raise Problem(
                Kind.NOT_FOUND,
                f"There is nothing at {scope['path'][:200]}. The API is described at /api/v1/openapi.json.",
            )

        await answered(send, dialect, make)

    async def passthrough(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any other path below `/openai/`: whoever could name one would spend a connection's key on it, unaccounted."""

        async def make(call_id: str) -> Reply:
            self._calls.principal(scope, OPENAI)
            raise Problem(
                Kind.FORBIDDEN,
                f"Nothing is passed on to a backend by its path ({scope['path'][:200]}). Use the paths below /v1.",
            )

        await answered(send, OPENAI, make)

    async def _models(self, scope: Scope, path: str, dialect: Dialect) -> Reply:
        only(scope, "GET")
        principal = self._calls.principal(scope, dialect)
        if path == MODELS and principal.manages and scope["query_string"] == REFRESH:
            await self._refresh()
        snapshot = self._published.snapshot
        if path != MODELS:
            name = path.removeprefix(MODELS + "/")
            model = authorise(principal, find(snapshot, name), snapshot, name)
            body = model.entry if dialect is OPENAI else listing.write_model(model.id, model.name, model.created)
        elif dialect is OPENAI:
            entries = b",".join([model.entry for model in usable(principal, snapshot)])
            body = b'{"object":"list","data":[' + entries + b"]}"
        else:
            rows = [(model.id, model.name, model.created) for model in usable(principal, snapshot)]
            body = listing.write_models(rows, scope["query_string"])
        return Reply(status=200, headers=[JSON_TYPE], body=body)

    async def _response(self, scope: Scope, response_id: str) -> Reply:
        """A stored response, read or removed by whose it is."""
        principal = self._calls.principal(scope, OPENAI)
        if scope["method"] == "DELETE":
            await self._stored.forget(principal.user_id, response_id)
            gone = {"id": response_id, "object": "response", "deleted": True}
            return Reply(status=200, headers=[JSON_TYPE], body=raw.encode(gone))
        only(scope, "GET")
        body = await self._stored.read(principal.user_id, response_id)
        return Reply(status=200, headers=[JSON_TYPE], body=body)


def numbered(door: Door, other: Door) -> Door:
    """`door` for a path that ends with a number, `other` for the rest."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        last = scope["path"].rpartition("/")[2]
        await (door if last.isascii() and last.isdigit() else other)(scope, receive, send)

    return through


def dialect_of(scope: Scope) -> Dialect:
    """Which of the two dialects below `/v1` a client speaks that calls no model."""
    return ANTHROPIC if any(name == b"anthropic-version" for name, _ in scope["headers"]) else OPENAI
