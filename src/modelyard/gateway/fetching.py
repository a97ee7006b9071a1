"""Fetching what a request names by its address, for backends that cannot: pictures and documents, guarded.

A caller chooses the address, so it must not lead into this machine or its network: the name is looked up once, every
address it has must be public, and the connection goes to exactly that address. Redirects are not followed. What a
refusal says is the same for a host that is inside and for one that is not there.
"""

import asyncio
import base64
import ipaddress
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelyard.canonical.chat import Media
from modelyard.canonical.endpoint import Endpoint, Timeouts, parse_base_url
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import Client

NOT_FETCHED = "not_fetched"

MAX_FETCHES = 20  # Addresses of one request.
MAX_URL = 8 * 1024  # Characters.
MAX_BYTES = 20 * 1024 * 1024  # Of one medium.
MOST_BYTES = 32 * 1024 * 1024  # Of all media of one request, unless the server says otherwise.
MAX_AT_ONCE = 16  # Fetches of the whole process.
MAX_LOOK_UPS = 2  # Of callers' names at once: the threads that look names up are few, and backends need them too.
LOOK_UP_SECONDS = 5.0
WHOLE_SECONDS = 30.0
TIMEOUTS = Timeouts(connect=5.0, first_byte=20.0, idle=10.0)

HEADERS = (
    ("accept", "image/*, application/pdf, text/plain, audio/*"),
    ("accept-encoding", "identity"),
    ("connection", "close"),
)
TYPES = ("image/", "audio/", "application/pdf", "text/plain")


@dataclass(slots=True)
class Left:
    """The bytes that one request may still fetch. Under the lock one body is read at a time: the rest wait unread."""

    size: int
    lock: asyncio.Lock


@dataclass(frozen=True, slots=True)
class Place:
    """One address, taken apart. `target` is path and query exactly as the caller wrote them: they may be signed."""

    url: str
    scheme: str
    host: str
    port: int
    target: str


class Fetcher:
    """Fetches media for calls. `private_hosts` may be fetched from although they are not public; None fetches nothing.

    `most_bytes` bounds the media of one request together; one that is named twice counts twice, as it will be sent
    twice. One per process: the bounds on what runs at once are its own.
    """

    def __init__(self, client: Client, private_hosts: frozenset[str] | None, most_bytes: int = MOST_BYTES) -> None:
        self._client = client
        self._private_hosts = private_hosts
        self._most_bytes = most_bytes
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._look_ups = asyncio.Semaphore(MAX_LOOK_UPS)

    async def fill(self, media: Sequence[Media]) -> None:
        """Replace the address of each by its content: of all, or of none.

        Raises Problem INVALID_REQUEST, telling which and why; at the first that fails the others are ended.
        """
        times = Counter(medium.url or "" for medium in media)
        if not times:
            return
        first = media[0].url or ""
        if self._private_hosts is None:
            raise _refused(
                first, "this server does not fetch addresses (MODELYARD_FETCH_URLS is off): send the content as base64"
            )
        if len(media) > MAX_FETCHES:
            raise _refused(first, f"a request may name at most {MAX_FETCHES} addresses")
        places = [_place(url) for url in times]
        left = Left(self._most_bytes, asyncio.Lock())
        try:
            async with asyncio.timeout(WHOLE_SECONDS), asyncio.TaskGroup() as group:
                hosts = {place.host for place in places}
                found = {host: group.create_task(self._public_address(host)) for host in hosts}
                fetched = {
                    place.url: group.create_task(self._fetch(place, found[place.host], left, times[place.url]))
                    for place in places
                }
        except TimeoutError:
            raise _refused(first, f"it was not there within {WHOLE_SECONDS:g} s") from None
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        for medium in media:
            medium.media_type, medium.data = fetched[medium.url or ""].result()
            medium.url = None

    async def _fetch(self, place: Place, found: "asyncio.Task[str | None]", left: Left, times: int) -> tuple[str, str]:
        """The type and the content, in base64."""
        address = await found
        if address is None:
            raise _refused(place.url, "its host is not a public one, or is not known")
        endpoint = Endpoint(scheme=place.scheme, host=place.host, port=place.port, address=address, timeouts=TIMEOUTS)
        try:
            async with self._at_once:
                answer = await self._client.send(endpoint, "GET", place.target, HEADERS, b"", stream=False)
                try:
                    if answer.status != 200:
                        raise _refused(place.url, f"it answered with status {answer.status}")
                    media_type = (answer.header("content-type") or "").partition(";")[0].strip().lower()
                    if not media_type.startswith(TYPES):
                        raise _refused(place.url, "it is neither a picture, a recording, a PDF nor plain text")
                    async with left.lock:
                        limit = min(MAX_BYTES, left.size // times)
                        content = await answer.read(limit)
                        if len(content) > limit:
                            raise _refused(place.url, "it is too large")
                        left.size -= len(content) * times
                finally:
                    answer.abort()
        except Problem as problem:
            raise problem if problem.kind is Kind.INVALID_REQUEST else _refused(place.url, _why(problem)) from None
        except ValueError:
            raise _refused(place.url, "it is not an address that can be asked") from None
        return media_type, base64.b64encode(content).decode("ascii")

    async def _public_address(self, host: str) -> str | None:
        """Where to connect to; None for a host that is not known, or that has an address which is not public."""
        await self._look_ups.acquire()
        try:
            looking = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except BaseException:
            self._look_ups.release()
            raise
        # Its thread works on when nobody waits any more: until then the place is taken.
        looking.add_done_callback(self._looked_up)
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                addresses = [str(entry[4][0]) for entry in await asyncio.shield(looking)]
        except (OSError, ValueError):  # TimeoutError and UnicodeError are among them.
            return None
        assert self._private_hosts is not None
        known = host.lower() in self._private_hosts or all(map(is_public, addresses))
        return addresses[0] if addresses and known else None

    def _looked_up(self, looking: asyncio.Future[Any]) -> None:
        self._look_ups.release()
        if not looking.cancelled():
            looking.exception()  # Else the event loop would log one that nobody waited for.


def _place(url: str) -> Place:
    if len(url) > MAX_URL:
        raise _refused(url, f"it is longer than {MAX_URL} characters")
    base, mark, query = url.strip().partition("#")[0].partition("?")
    try:
        scheme, host, port, _ = parse_base_url(base)
        path = urlsplit(base).path
    except ValueError as error:
        raise _refused(url, str(error).partition(" (got")[0]) from None
    return Place(url, scheme, host, port, (path or "/") + mark + query)


# Beyond what `is_global` knows, whose tables are as old as the Python that runs.
_INSIDE = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's metadata and more, for its machines alone
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata
)
_IPV6_OPEN = ipaddress.IPv6Network("2000::/3")  # All that is given out; forms that hold an IPv4 address lie outside,
_IPV6_INSIDE = (
    ipaddress.IPv6Network("2001::/32"),  # but for Teredo
    ipaddress.IPv6Network("2002::/16"),  # and 6to4.
    ipaddress.IPv6Network("2001:db8::/32"),
)


def is_public(address: str) -> bool:
    """True for an address on the open internet: not this machine, not its network, not a cloud's metadata service."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if not parsed.is_global or parsed.is_multicast:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _INSIDE)
    return parsed in _IPV6_OPEN and not any(parsed in network for network in _IPV6_INSIDE)


def _why(problem: Problem) -> str:
    """In words of our own: the client's tell addresses."""
    if problem.kind is Kind.UPSTREAM_TIMEOUT:
        return "it did not answer in time"
    if problem.kind is Kind.UPSTREAM_FAILED:
        return "it is too large, or it broke off"
    return "it could not be reached"


def _refused(url: str, why: str) -> Problem:
    message = f"The address {url[:200]} could not be fetched: {why}."
    return Problem(Kind.INVALID_REQUEST, message, param="url", code=NOT_FETCHED)
