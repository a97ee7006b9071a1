"""The OpenAI doors: `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/models`."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from modelyard.api.body import ClientLeft, read_body
from modelyard.api.reply import ClientWatch, Receive, Scope, Send, deliver, refusal
from modelyard.canonical.snapshot import Published
from modelyard.core import ids, log, raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.dialects.openai import OPENAI
from modelyard.gateway.call import JSON_TYPE, Call, Reply
from modelyard.gateway.gate import authenticate, authorise, find
from modelyard.gateway.pipeline import Pipeline
from modelyard.policy.access import usable
from modelyard.policy.credentials import forged, presented

_log = log.get(__name__)

PREFIX = "/v1/"
MODELS = "/v1/models"
REFRESH = b"refresh=true"  # asks every backend first; for administrators, because it makes them all work
DRY_RUN = (b"x-modelyard-dry-run", b"true")


class OpenAIDoors:
    """Turns HTTP into calls and replies into HTTP. Holds no rule of its own."""

    def __init__(
        self,
        pipeline: Pipeline,
        published: Published,
        seal: Seal,
        max_body_bytes: int,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._pipeline = pipeline
        self._published = published
        self._seal = seal
        self._max_body_bytes = max_body_bytes
        self._refresh = refresh
        self.operations = {"/v1" + path: operation for operation, path in OPENAI.operations.items()}

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call of a model, from its bytes to its last byte out."""
        received = time.monotonic()
        call_id = ids.call_id()
        watch = None
        try:
            try:
                self._only(scope, "POST")
                digest = self._known(scope)
                body = await read_body(scope, receive, self._max_body_bytes)
                task = asyncio.current_task()
                assert task is not None
                watch = ClientWatch(receive, task)
                reply = await self._pipeline.run(self._read(scope, digest, body, call_id, received))
            except Problem as problem:
                reply = refusal(problem, OPENAI, call_id)
            except ClientLeft:
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours is told in the dialect's shape, its details only to the log
                _log.exception("a call failed inside the gateway", call=call_id, error=type(error).__name__)
                reply = refusal(_fault(call_id), OPENAI, call_id)
            await deliver(reply, send)
        except asyncio.CancelledError:
            if watch is None or not watch.left:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # the client is gone: there is nobody to answer, and nothing has failed
        finally:
            if watch is not None:
                watch.stop()

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models`, `GET /v1/models/{id}`, and 404 for every other path below /v1."""
        started = time.monotonic()
        call_id = ids.call_id()
        try:
            reply = await self._listing(scope, call_id)
            overhead = (time.monotonic() - started) * 1000
            reply.headers.append((b"x-modelyard-overhead-ms", b"%.2f" % overhead))
        except Problem as problem:
            reply = refusal(problem, OPENAI, call_id)
        await deliver(reply, send)

    async def _listing(self, scope: Scope, call_id: str) -> Reply:
        path: str = scope["path"].rstrip("/")
        if path != MODELS and not path.startswith(MODELS + "/"):
            raise Problem(
                Kind.NOT_FOUND,
                f"There is nothing at {scope['path'][:200]}. The API is described at /api/v1/openapi.json.",
            )
        self._only(scope, "GET")
        snapshot = self._published.snapshot
        principal = authenticate(snapshot, self._digest(scope), time.time(), OPENAI.name)
        if path == MODELS and principal.manages and scope["query_string"] == REFRESH:
            await self._refresh()
            snapshot = self._published.snapshot
        if path == MODELS:
            body = (
                b'{"object":"list","data":[' + b",".join([model.entry for model in usable(principal, snapshot)]) + b"]}"
            )
        else:
            name = path.removeprefix(MODELS + "/")
            body = authorise(principal, find(snapshot, name), snapshot, name).entry
        return Reply(status=200, headers=[JSON_TYPE, (b"x-request-id", call_id.encode())], body=body)

    def _known(self, scope: Scope) -> bytes | None:
        """The digest of a credential that we know: a stranger's body is not even read."""
        digest = self._digest(scope)
        authenticate(self._published.snapshot, digest, time.time())
        return digest

    def _read(self, scope: Scope, digest: bytes | None, body: bytes, call_id: str, received: float) -> Call:
        operation = self.operations[scope["path"]]
        try:
            fields = raw.split(body)
            head = OPENAI.read_head(operation, fields)
        except raw.NotJson as error:
            raise Problem(Kind.INVALID_REQUEST, f"The request body is not a JSON object: {error}.") from None
        return Call(
            id=call_id,
            dialect=OPENAI,
            operation=operation,
            fields=fields,
            head=head,
            size=len(body),
            digest=digest,
            received=received,
            dry_run=DRY_RUN in scope["headers"],
        )

    def _digest(self, scope: Scope) -> bytes | None:
        shown = presented(scope["headers"])
        if shown is None:
            return None
        if shown.ambient and forged(scope["method"], scope["headers"]):
            raise Problem(Kind.FORBIDDEN, "This request came from another site's page and was refused.")
        return self._seal.digest(shown.token)

    @staticmethod
    def _only(scope: Scope, method: str) -> None:
        if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
            raise Problem(Kind.METHOD_NOT_ALLOWED, f"Use {method} for {scope['path'][:200]}.")


def _fault(call_id: str) -> Problem:
    return Problem(
        Kind.INTERNAL,
        f"Modelyard failed to handle this call. The operator finds the reason in the log under {call_id}.",
    )
