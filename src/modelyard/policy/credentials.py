"""Which credential a request carries, and whether it may be believed. The one place for every door."""

from collections.abc import Iterable
from typing import NamedTuple

SESSION_COOKIE = "modelyard_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# A key is under 100 characters; the bound keeps a megabyte of header from being hashed.
MAX_TOKEN_LENGTH = 512
# Of a key that an operator sets: what others cannot guess.
MIN_KEY_LENGTH = 32


class Presented(NamedTuple):
    """What a request shows to be let in. `ambient` is true for a cookie, which a browser sends by itself."""

    token: str
    ambient: bool


def presented(headers: Iterable[tuple[bytes, bytes]]) -> Presented | None:
    """The credential among raw ASGI headers: `Authorization: Bearer`, `x-api-key`, `api-key`, else the session cookie."""
    bearer = x_api_key = api_key = cookie = None
    for name, value in headers:
        if name == b"authorization":
            bearer = value
        elif name == b"x-api-key":
            x_api_key = value
        elif name == b"api-key":
            api_key = value
        elif name == b"cookie":
            cookie = value
    if bearer is not None:
        scheme, _, token = bearer.partition(b" ")
        if scheme.lower() == b"bearer" and token.strip():
            return _of(token.strip(), ambient=False)
    key = (x_api_key or b"").strip() or (api_key or b"").strip()
    if key:
        return _of(key, ambient=False)
    if cookie is not None:
        return _from_cookie(cookie)
    return None


def _of(token: bytes, *, ambient: bool) -> Presented | None:
    return Presented(token.decode("latin-1"), ambient) if len(token) <= MAX_TOKEN_LENGTH else None


def _from_cookie(value: bytes) -> Presented | None:
    """Our cookie among those of every application on this host; theirs may hold anything."""
    for pair in value.split(b";"):
        name, _, token = pair.strip().partition(b"=")
        if name == SESSION_COOKIE.encode() and token:
            return _of(token, ambient=True)
    return None


def forged(method: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True when a request with an ambient credential may have been made by another site's page (CSRF).

    Modern browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`; a changing request
    that says neither is refused.
    """
    if method in SAFE_METHODS:
        return False
    found = {name: value for name, value in headers if name in (b"sec-fetch-site", b"origin", b"host")}
    site = found.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = found.get(b"origin")
    return origin is None or origin.partition(b"://")[2] != found.get(b"host")


def sendable_key(value: str) -> str:
    """An API key that a caller can send in a header as it is. Raises ValueError."""
    if not value.isascii() or not value.isprintable() or value != value.strip() or len(value) > MAX_TOKEN_LENGTH:
        raise ValueError(
            f"a header cannot carry it: use at most {MAX_TOKEN_LENGTH} ASCII characters, without spaces around them"
        )
    return value
