"""`GET /api/models`: the catalogue as clients discover it, from the snapshot. No backend is asked while a caller waits."""

import asyncio
import operator
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import blake2b
from urllib.parse import parse_qs

from modelyard.api.calls import Calls, only
from modelyard.api.entries import Place, base_entry
from modelyard.api.lists import Listed, Lists, Turn, whole
from modelyard.api.reply import Receive, Scope, Send
from modelyard.canonical.records import ConnectionRow, Offer
from modelyard.canonical.snapshot import Published
from modelyard.control.snapshot.compile import offered_names, visible_name
from modelyard.core import ids, log, raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.openai import OPENAI
from modelyard.policy.display_names import OLLAMA

_log = log.get(__name__)

PIECE = 100
MAX_QUERY = 1000
MAX_TAGS = 100  # of an If-None-Match

HEADERS = (
    (b"content-type", b"application/json"),
    # A list is one caller's. A client may keep it, and asks each time whether it still holds.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"authorization, x-api-key, api-key, cookie"),
    (b"x-content-type-options", b"nosniff"),
)


class CatalogueDoors:
    """The merged list for any approved user, and what the backends offer, as it is, for administrators.

    `connections` are all in force, `offers` what each of them lists; `refresh` asks them all again.
    """

    def __init__(
        self,
        calls: Calls,
        published: Published,
        connections: Callable[[], Iterable[ConnectionRow]],
        offers: Callable[[], Mapping[str, Offer]],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._calls = calls
        self._connections = connections
        self._offers = offers
        self._refresh = refresh
        self._lists = Lists(published)
        self._offered = Offered()

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/models`: what the caller may use. `?refresh=true` asks every backend first, for administrators."""

        async def make() -> Listed:
            only(scope, "GET")
            principal = self._calls.principal(scope, OPENAI)
            if principal.manages and _says_refresh(scope):
                await self._refresh()
            return await self._lists.listed(principal, _known(scope))

        await _answered(send, make)

    async def base(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /api/models/base`: what the backends offer, nothing laid over it, nothing left out."""

        async def make() -> Listed:
            only(scope, "GET")
            principal = self._calls.principal(scope, OPENAI)
            if not principal.manages:
                raise Problem(
                    Kind.FORBIDDEN, "Only an administrator may do this, with a key that is not limited to some models."
                )
            if _says_refresh(scope):
                await self._refresh()
            listed = await self._offered.listed(list(self._connections()), self._offers())
            return Listed(None, listed.etag) if listed.etag in _known(scope) else listed

        await _answered(send, make)


class Offered:
    """The list of what the backends offer, made once for each state of connections and their lists."""

    def __init__(self) -> None:
        self._building = asyncio.Lock()
        self._made_of: tuple[list[ConnectionRow], list[object]] | None = None
        self._listed = Listed(None, b"")

    async def listed(self, rows: list[ConnectionRow], offers: Mapping[str, Offer]) -> Listed:
        """The whole list with its ETag. A name that several connections offer is the first one's."""
        lists = [offers.get(row.id, Offer()).models for row in rows]
        async with self._building:
            made_of = self._made_of
            same = made_of is not None and made_of[0] == rows and all(map(operator.is_, made_of[1], lists))
            if not same:
                body = await _written(rows, offers)
                self._listed = Listed(body, b'"%s"' % blake2b(body, digest_size=16).hexdigest().encode())
                self._made_of = rows, list(lists)
            return self._listed


async def _written(rows: Iterable[ConnectionRow], offers: Mapping[str, Offer]) -> bytes:
    turn = Turn()
    found: dict[str, tuple[Mapping[str, object], Place, list[int]]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        index = counts.get(row.kind, 0)
        counts[row.kind] = index + 1
        if not row.enable:
            continue
        offer = offers.get(row.id, Offer())
        told = {str(model["id"]): model for model in offer.models}
        place = Place(row.kind, row.connection_type, row.tags, index)
        for name in offered_names(row, offer):
            found.setdefault(visible_name(row, name), (told.get(name, {}), place, []))[2].append(index)
        await turn.over()
    entries = []
    for number, (name, (about, place, indexes)) in enumerate(found.items()):
        entries.append(raw.encode(base_entry(name, about, place, indexes if place.kind == OLLAMA else ())))
        if number % PIECE == 0:
            await turn.over()
    return whole(entries)


def _says_refresh(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"][:MAX_QUERY].decode("latin-1"))
    return query.get("refresh", [""])[-1].lower() in ("true", "1")


def _known(scope: Scope) -> frozenset[bytes]:
    """The ETags that the client holds. Ours are quoted and strong; a proxy may have made them weak."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return frozenset(tag.strip().removeprefix(b"W/") for tag in value.split(b",", MAX_TAGS))
    return frozenset()


async def _answered(send: Send, make: Callable[[], Awaitable[Listed]]) -> None:
    """Send the list, 304 when the client has it, or a Problem in the form of the management API."""
    started = time.monotonic()
    request_id = ids.call_id()
    headers = [*HEADERS, (b"x-request-id", request_id.encode())]
    try:
        body, etag = await make()
        status = 200 if body is not None else 304
        overhead = (time.monotonic() - started) * 1000
        headers += [(b"etag", etag), (b"x-modelyard-overhead-ms", b"%.2f" % overhead)]
    except Problem as problem:
        status, body = problem.kind.status, raw.encode({"detail": problem.message})
    except Exception as error:  # noqa: BLE001 - details go to the log only, as for every other door
        _log.exception("a list of models failed", request=request_id, error=type(error).__name__)
        detail = f"Modelyard failed; the log has the reason under {request_id}."
        status, body = 500, raw.encode({"detail": detail})
    if body is not None:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body or b""})
