"""Fetching what a request names by its address, for backends that cannot: pictures and documents, guarded.

A caller chooses the address, so it must not lead into this machine or its network: the name is looked up once, every
address it has must be public, and the connection goes to exactly that address. Redirects are not followed.
"""

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from modelyard.canonical.chat import Media
from modelyard.canonical.endpoint import Endpoint, Timeouts, parse_base_url
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import Client

MAX_FETCHES = 20
MAX_BYTES = 20 * 1024 * 1024
WHOLE_SECONDS = 30.0
TIMEOUTS = Timeouts(connect=5.0, first_byte=20.0, idle=10.0)

HEADERS = (
    ("accept", "image/*, application/pdf, text/plain, audio/*"),
    ("accept-encoding", "identity"),
    ("connection", "close"),
)
TYPES = ("image/", "audio/", "application/pdf", "text/plain")


class Fetcher:
    """Fetches media for calls. `private_hosts` may be fetched from although they are not public; None fetches nothing."""

    def __init__(self, client: Client, private_hosts: frozenset[str] | None) -> None:
        self._client = client
        self._private_hosts = private_hosts

    async def fill(self, media: Sequence[Media]) -> None:
        """Replace the address of each by its content. Raises Problem INVALID_REQUEST, telling which and why."""
        if self._private_hosts is None:
            raise _refused(
                media[0].url or "",
                "this server does not fetch addresses (MODELYARD_FETCH_URLS is off): send the content as base64",
            )
        if len(media) > MAX_FETCHES:
            raise _refused(media[0].url or "", f"a request may name at most {MAX_FETCHES} addresses")
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                await asyncio.gather(*(self._fill(medium) for medium in media))
        except TimeoutError:
            raise _refused(media[0].url or "", f"it was not there within {WHOLE_SECONDS:g} s") from None

    async def _fill(self, medium: Media) -> None:
        assert medium.url is not None
        url = medium.url
        media_type, content = await self._fetch(url)
        medium.media_type = media_type
        medium.url = None
        medium.data = base64.b64encode(content).decode("ascii")

    async def _fetch(self, url: str) -> tuple[str, bytes]:
        endpoint, path = await self._endpoint(url)
        try:
            answer = await self._client.send(endpoint, "GET", path, HEADERS, b"", stream=False)
            try:
                if answer.status != 200:
                    raise _refused(url, f"it answered with status {answer.status}")
                media_type = (answer.header("content-type") or "").partition(";")[0].strip().lower()
                if not media_type.startswith(TYPES):
                    raise _refused(url, "it is neither a picture, a recording, a PDF nor plain text")
                return media_type, await answer.read(MAX_BYTES)
            finally:
                answer.abort()
        except Problem as problem:
            raise problem if problem.kind is Kind.INVALID_REQUEST else _refused(url, problem.message) from None
        except ValueError:
            raise _refused(url, "it is not an address that can be asked") from None

    async def _endpoint(self, url: str) -> tuple[Endpoint, str]:
        """Where to connect, with the address pinned, and the path with its query."""
        try:
            parts = urlsplit(url)
            scheme, host, port, path = parse_base_url(parts._replace(query="", fragment="").geturl())
        except ValueError as error:
            raise _refused(url, str(error).partition(" (got")[0]) from None
        address = await self._public_address(url, host, port)
        target = (path or "/") + (f"?{parts.query}" if parts.query else "")
        return Endpoint(scheme=scheme, host=host, port=port, address=address, timeouts=TIMEOUTS), target

    async def _public_address(self, url: str, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _refused(url, "its host name could not be resolved") from None
        addresses = [str(entry[4][0]) for entry in found]
        assert self._private_hosts is not None
        if not addresses or (
            host.lower() not in self._private_hosts and not all(is_public(address) for address in addresses)
        ):
            raise _refused(url, "its host is not a public one")
        return addresses[0]


def is_public(address: str) -> bool:
    """True for an address on the open internet: not this machine, not its network, not a cloud's metadata service."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    if inner is not None:
        parsed = inner
    return parsed.is_global and not parsed.is_multicast and not _is_nat64(parsed)


def _is_nat64(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """64:ff9b::/96 leads to an IPv4 address that may be a private one."""
    return isinstance(address, ipaddress.IPv6Address) and address in ipaddress.IPv6Network("64:ff9b::/96")


def _refused(url: str, why: str) -> Problem:
    return Problem(Kind.INVALID_REQUEST, f"The address {url[:200]} could not be fetched: {why}.", param="url")
