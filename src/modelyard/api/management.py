"""The management API at /api/v1: one FastAPI app, authenticated in front of it, denied by default."""

import asyncio
import math
import re
import time
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from modelyard import __version__
from modelyard.api.body import ClientLeft, read_body
from modelyard.api.reply import Message, Receive, Scope, Send
from modelyard.canonical.endpoint import Timeouts
from modelyard.control.audit.routes import routes as audit
from modelyard.control.catalogue.bulk_routes import routes as bulk
from modelyard.control.catalogue.history_routes import routes as history
from modelyard.control.catalogue.listing_routes import routes as lists
from modelyard.control.catalogue.routes import routes as catalogue
from modelyard.control.connections.routes import router as connections
from modelyard.control.context import Control
from modelyard.control.groups.routes import routes as groups
from modelyard.control.keys.routes import routes as keys
from modelyard.control.lifecycle.routes import doors as memory_doors
from modelyard.control.lifecycle.routes import routes as lifecycle
from modelyard.control.modelfile.routes import routes as modelfiles
from modelyard.control.people.routes import routes as people
from modelyard.control.people.session_routes import routes as sessions
from modelyard.control.people.user_routes import routes as users
from modelyard.control.provider_config.routes import router as provider_config
from modelyard.control.settings.routes import routes as settings
from modelyard.control.setup.routes import routes as setup
from modelyard.control.usage.routes import routes as usage
from modelyard.control.yard.routes import routes as yard
from modelyard.core import ids, log
from modelyard.core.errors import Kind, Problem
from modelyard.db.outage import is_outage
from modelyard.gateway.gate import authenticate
from modelyard.policy.credentials import forged, presented

_log = log.get(__name__)

ROOT = "/api/v1"
OPENAPI = ROOT + "/openapi.json"
SIGN_OUT = ROOT + "/auths/signout"

# What is read of a request to one of the paths below: a form with an address and a password.
MAX_OPEN_BODY_BYTES = 64 * 1024
# Of any other form, but for those that carry models, documents or lists of them.
MAX_FORM_BYTES = 512 * 1024
LARGE = tuple(
    ROOT + path
    for path in (
        "/models/create", "/models/model/update", "/models/model/access/update", "/models/import", "/models/sync",
        "/yard/", "/evaluations/", "/connections",
    )
)  # fmt: skip
MAX_FAULTS = 20

# Of every answer that says nothing else itself.
DEFAULT_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

# Reached without a credential. A new route is not among them unless it is written here (a test holds every other to it).
OPEN = frozenset({ROOT + "/auths/signin", ROOT + "/auths/signup", ROOT + "/setup", OPENAPI})


class Fault(BaseModel):
    """What went wrong: a sentence, or for a malformed request a list of faults with their places."""

    detail: str | list[dict[str, Any]]


# What any route may answer instead, with the reason in `detail`.
FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Fault, "description": description}
    for status, description in (
        (400, "Not possible as asked"),
        (401, "No credential, or a wrong one"),
        (403, "Not allowed"),
        (404, "Not there, or not visible to the caller"),
        (405, "No such method"),
        (409, "Taken, stale or declared elsewhere"),
        (413, "Too large"),
        (422, "Malformed"),
        (431, "The request head is too large"),
        (429, "Too many attempts"),
        (502, "A backend failed"),
        (503, "The database is away, or too many sign in at once"),
    )
}


def build(timeouts: Timeouts) -> FastAPI:
    """The management app with all its routes."""
    app = FastAPI(
        title="Modelyard",
        version=__version__,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        responses=FAULTS,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    root = APIRouter(prefix=ROOT)
    for routes in (
        setup, people, sessions, users, groups, keys, connections(timeouts), lists,
        catalogue, history, bulk, modelfiles, usage, audit, settings, lifecycle, yard,
    ):  # fmt: skip
        root.include_router(routes)
    app.include_router(root)
    app.include_router(memory_doors)
    app.include_router(provider_config(timeouts))
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _fault)
    return app


class Management:
    """What every management request passes: body limit, who is asking, and an answer even when we fail."""

    def __init__(self, app: FastAPI, control: Control, max_body_bytes: int) -> None:
        self._app = app
        self._control = control
        self._max_body_bytes = max_body_bytes
        self._preparing: asyncio.Future[Any] | None = None

    async def _prepared(self) -> None:
        """FastAPI puts its routes and its document together at the first request, which would hold every stream for half a
        second: done in a thread, and not before somebody manages, because it takes memory too."""
        if self._preparing is None:
            self._preparing = asyncio.ensure_future(asyncio.to_thread(self._app.openapi))
        await asyncio.shield(self._preparing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = ids.call_id()
        scope["modelyard.control"] = self._control
        scope["modelyard.request_id"] = request_id
        begun = False

        async def with_request_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = message["headers"]
                told = {name for name, _ in given}
                kept = [header for header in DEFAULT_HEADERS if header[0] not in told]
                message["headers"] = [*given, (b"x-request-id", request_id.encode()), *kept]
            await send(message)

        try:
            try:
                self._admit(scope)
                body = await read_body(scope, receive, self._most_of(scope["path"].removeprefix(scope["root_path"])))
                _refuse_nul(scope, body)
                scope["headers"] = _as_json(scope["headers"])
            except Problem as problem:
                await _answer(problem)(scope, receive, with_request_id)
                return
            except ClientLeft:
                return
            await self._prepared()
            await self._app(scope, _replay(body, receive), with_request_id)
        except Exception as error:  # noqa: BLE001 - FastAPI has answered 500 already unless the answer had not begun
            _log.exception("a management request failed", request=request_id, error=type(error).__name__)
            if not begun:
                fault = Problem(Kind.INTERNAL, f"Modelyard failed; the log has the reason under {request_id}.")
                await _answer(fault)(scope, receive, with_request_id)

    def _most_of(self, path: str) -> int:
        """How many bytes of body a path takes: checking a form costs time for each of its fields."""
        if path in OPEN:
            return MAX_OPEN_BODY_BYTES
        return self._max_body_bytes if path.startswith(LARGE) else min(MAX_FORM_BYTES, self._max_body_bytes)

    def _admit(self, scope: Scope) -> None:
        """Who is asking. Raises Problem for a bad credential, and for none at all unless the path is an open one."""
        shown = presented(scope["headers"])
        path = scope["path"].removeprefix(scope["root_path"])
        if shown is None or path in OPEN:
            if path not in OPEN:
                raise Problem(Kind.UNAUTHENTICATED, "Sign in, or send an API key as `Authorization: Bearer sk-my-...`.")
            return
        if shown.ambient and forged(scope["method"], scope["headers"]):
            raise Problem(Kind.FORBIDDEN, "This request came from another site's page and was refused.")
        digest = self._control.seal.digest(shown.token)
        snapshot = self._control.published.snapshot
        known = snapshot.credentials.get(digest)
        if path == SIGN_OUT and known is not None and known.credential_kind == "session":
            scope["modelyard.principal"] = known  # also one that waits for approval may end its own session
            return
        scope["modelyard.principal"] = authenticate(snapshot, digest, time.time())


def _as_json(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """This API speaks JSON only, whatever `curl -d` calls it. Forged requests are kept out by their origin, not by this."""
    return [header for header in headers if header[0] != b"content-type"] + [(b"content-type", b"application/json")]


# A NUL spelled in JSON; with an odd number of backslashes before the one of its own it is text.
_NUL = re.compile(rb"(?<!\\)\\+u0000")


def _refuse_nul(scope: Scope, body: bytes) -> None:
    """No text of ours holds a NUL: PostgreSQL cannot store it, and C code behind us may stop at it."""
    # The plain searches come first: a pattern takes 60 ms for a megabyte, and holds every stream that long.
    spelled = b"\\u0000" in body and any(match[0].count(b"\\") % 2 for match in _NUL.finditer(body))
    if spelled or b"\x00" in body or b"%00" in scope["query_string"] or "\x00" in scope["path"]:
        raise Problem(Kind.MALFORMED, "The request holds a NUL character.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever comes next."""
    pending = [body]

    async def messages() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return messages


def _answer(problem: Problem) -> JSONResponse:
    headers = {} if problem.retry_after is None else {"retry-after": str(max(1, math.ceil(problem.retry_after)))}
    return JSONResponse({"detail": problem.message}, status_code=problem.kind.status, headers=headers)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _answer(error)


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    """The database is away, or we have failed: details go to the log only (`Management` writes them)."""
    request_id = request.scope["modelyard.request_id"]
    if is_outage(error):
        return _answer(Problem(Kind.UNAVAILABLE, "The database cannot be reached at the moment. Nothing was changed."))
    return _answer(Problem(Kind.INTERNAL, f"Modelyard failed; the log has the reason under {request_id}."))


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """Each fault with its place, the first MAX_FAULTS of them. The value itself is left out: it may be a password."""
    assert isinstance(error, RequestValidationError)
    faults: list[dict[str, Any]] = [
        {"loc": fault["loc"], "msg": fault["msg"], "type": fault["type"]} for fault in error.errors()[:MAX_FAULTS]
    ]
    return JSONResponse({"detail": faults}, status_code=Kind.MALFORMED.status)
