"""From HTTP to calls of models and back: the door of every operation of every dialect. Holds no rule of its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from modelyard.api.body import ClientLeft, read_body
from modelyard.api.front import Door
from modelyard.api.reply import ClientWatch, Receive, Scope, Send, deliver, refusal
from modelyard.canonical.snapshot import Principal, Published
from modelyard.core import ids, log, raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.multipart import Form, NotAForm, read_form
from modelyard.core.raw import Fields
from modelyard.core.seal import Seal
from modelyard.dialects.dialect import Dialect, Operation
from modelyard.gateway.call import Call, Reply
from modelyard.gateway.gate import authenticate
from modelyard.gateway.pipeline import Pipeline
from modelyard.policy.credentials import forged, presented

_log = log.get(__name__)

DRY_RUN = b"x-modelyard-dry-run"
STRICT = b"x-modelyard-strict"
YES = (b"true", b"1")

# What a target is told of the caller's headers, all together.
MOST_FORWARDED_BYTES = 8 * 1024
FORM = b"multipart/form-data"


class Calls:
    """Makes doors. `door` is one operation's; every one of them takes a request to the one pipeline."""

    def __init__(self, pipeline: Pipeline, published: Published, seal: Seal, max_body_bytes: int) -> None:
        self._pipeline = pipeline
        self._published = published
        self._seal = seal
        self._max_body_bytes = max_body_bytes

    def door(self, dialect: Dialect, operation: Operation) -> Door:
        """The door of one operation: one call of a model, from its bytes to its last byte out."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            received = time.monotonic()
            call_id = ids.call_id()
            watch = None
            try:
                try:
                    only(scope, "POST")
                    digest = self._known(scope)
                    body = await read_body(scope, receive, self._max_body_bytes)
                    task = asyncio.current_task()
                    assert task is not None
                    watch = ClientWatch(receive, task)
                    form, fields = _read(scope, body)
                    reply = await self._pipeline.run(
                        Call(
                            id=call_id,
                            dialect=dialect,
                            operation=operation,
                            fields=fields,
                            head=operation.read_head(fields),
                            size=len(body),
                            digest=digest,
                            received=received,
                            created=int(time.time()),
                            dry_run=_says_yes(scope, DRY_RUN),
                            strict=_says_yes(scope, STRICT),
                            form=form,
                            forwarded=_forwarded(scope, dialect, form),
                        )
                    )
                except Problem as problem:
                    reply = refusal(problem, dialect, call_id)
                except ClientLeft:
                    return
                except Exception as error:  # noqa: BLE001 - a fault of ours is told in the dialect's shape, its details only to the log
                    _log.exception("a call failed inside the gateway", call=call_id, error=type(error).__name__)
                    reply = refusal(_fault(call_id), dialect, call_id)
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

        return call

    def principal(self, scope: Scope, dialect: Dialect) -> Principal:
        """Who asks. Raises Problem when nobody is known by that credential, or not for that dialect."""
        return authenticate(self._published.snapshot, self._digest(scope), time.time(), dialect.name)

    def _known(self, scope: Scope) -> bytes | None:
        """The digest of a credential that we know: a stranger's body is not even read."""
        digest = self._digest(scope)
        authenticate(self._published.snapshot, digest, time.time())
        return digest

    def _digest(self, scope: Scope) -> bytes | None:
        shown = presented(scope["headers"])
        if shown is None:
            return None
        if shown.ambient and forged(scope["method"], scope["headers"]):
            raise Problem(Kind.FORBIDDEN, "This request came from another site's page and was refused.")
        return self._seal.digest(shown.token)


def only(scope: Scope, method: str) -> None:
    """Refuse every other method; HEAD goes with GET."""
    if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
        raise Problem(Kind.METHOD_NOT_ALLOWED, f"Use {method} for {scope['path'][:200]}.")


async def answered(send: Send, dialect: Dialect, make: Callable[[str], Awaitable[Reply]]) -> None:
    """Send what `make` (given our id of the call) answers, or its Problem in the dialect: for what calls no model.

    Raises ClientLeft when the client went away while it was still sending.
    """
    started = time.monotonic()
    call_id = ids.call_id()
    try:
        reply = await make(call_id)
        overhead = (time.monotonic() - started) * 1000
        reply.headers += [(b"x-request-id", call_id.encode()), (b"x-modelyard-overhead-ms", b"%.2f" % overhead)]
    except Problem as problem:
        reply = refusal(problem, dialect, call_id)
    except ClientLeft:
        raise
    except Exception as error:  # noqa: BLE001 - as for calls of models: told in the dialect's shape
        _log.exception("a question failed inside the gateway", call=call_id, error=type(error).__name__)
        reply = refusal(_fault(call_id), dialect, call_id)
    await deliver(reply, send)


def _says_yes(scope: Scope, header: bytes) -> bool:
    return any(name == header and value.strip().lower() in YES for name, value in scope["headers"])


def _read(scope: Scope, body: bytes) -> tuple[Form | None, Fields]:
    """The top-level fields of a JSON object or of a form."""
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    try:
        if content_type[: len(FORM)].lower() == FORM:
            form = read_form(content_type.decode("latin-1"), body)
            return form, form.fields
        return None, raw.split(body)
    except raw.NotJson as error:
        raise Problem(Kind.INVALID_REQUEST, f"The request body is not a JSON object: {error}.") from None
    except NotAForm as error:
        raise Problem(Kind.INVALID_REQUEST, f"The request body is not a form: {error}") from None


def _forwarded(scope: Scope, dialect: Dialect, form: Form | None) -> tuple[tuple[str, str], ...]:
    """What a target of the same dialect must see of the caller's headers."""
    if form is not None:
        return (("content-type", form.content_type),)
    if not dialect.forwarded:
        return ()
    found = [(name, value) for name, value in scope["headers"] if name in dialect.forwarded]
    if sum(len(value) for _, value in found) > MOST_FORWARDED_BYTES:
        names = ", ".join(sorted({name.decode() for name, _ in found}))
        raise Problem(Kind.INVALID_REQUEST, f"The headers {names} are longer than {MOST_FORWARDED_BYTES} bytes.")
    return tuple((name.decode(), value.decode("latin-1")) for name, value in found)


def _fault(call_id: str) -> Problem:
    return Problem(
        Kind.INTERNAL,
        f"Modelyard failed to handle this call. The operator finds the reason in the log under {call_id}.",
    )
