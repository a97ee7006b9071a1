"""Where an upstream is and how it may be reached. Plain data: compiled once with the snapshot, used for every call."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The three named waits of one upstream call, in seconds.

    `connect` bounds name lookup, TCP and TLS. `first_byte` bounds the wait for the first byte of the body of an
    answer that streams, or for the whole of one that does not. `idle` bounds the gap between two chunks of a stream.
    There is no total: a stream that flows is never ended.
    """

    connect: float = 5.0
    first_byte: float = 300.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the certificate of an upstream is checked. `client_cert` is a PEM file that holds certificate and key."""

    verify: bool = True
    ca_file: str | None = None
    client_cert: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One upstream address. `path` has no trailing slash; `headers` go with every request, names in lower case.

    `address` is where to connect when that is settled already, so that nobody looks the host up a second time. Such
    an endpoint is for one call: the client keeps nothing of it, its connection is closed afterwards.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    address: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    tls: Tls = field(default_factory=Tls)

    @property
    def origin(self) -> str:
        """`https://host:port`, without credentials or path: safe to show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


# Names (also those that are not ASCII) and addresses; nothing that another reader of the URL might take otherwise.
_HOST = re.compile(r"[\w.\-]+|[0-9a-f:.]+(%[\w.\-]+)?", re.IGNORECASE)

DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_base_url(url: str) -> tuple[str, str, int, str]:
    """Split a base URL into (scheme, host, port, path).

    Raises ValueError with a sentence for a person when the URL cannot be an upstream's address. The sentence never
    repeats what may be a credential.
    """
    got = _got(url)
    if not url.strip().isprintable() or " " in url.strip():
        raise ValueError(f"it holds a space or a control character{got}")
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # its own words repeat the URL
        raise ValueError(f"its host is not a name or an address{got}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"it must start with http:// or https://, for example http://127.0.0.1:11434{got}")
    if "@" in parts.netloc:
        raise ValueError("it must not hold a user name or password; use api_keys or headers for credentials")
    if not parts.hostname:
        raise ValueError(f"it names no host{got}")
    if parts.query or parts.fragment:
        raise ValueError("it must not have a query or a fragment")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError(f"its host is not a name or an address{got}")
    try:
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is not a number between 1 and 65535{got}")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def with_scheme(url: str) -> str | None:
    """What was probably meant by an address without a scheme; None when it has one, or holds what is not to be repeated."""
    meant = f"http://{url.strip()}"
    if "://" in url or not _got(url):
        return None
    try:
        parse_base_url(meant)
    except ValueError:
        return None
    return meant


def _got(url: str) -> str:
    """The URL for a message. One that may hold a credential, wherever that was put, is not repeated."""
    return "" if any(mark in url for mark in "@?#%") else f" (got {url!r})"


def same_origin(one: str, other: str) -> bool:
    """True when two base URLs lead to the same scheme, host and port, so that a secret of one may go to the other.

    Hosts are compared as they are spelled, but for upper and lower case: `host.` and `host` may be two machines. A URL
    that cannot be an upstream's address is of no origin.
    """
    try:
        return parse_base_url(one)[:3] == parse_base_url(other)[:3]
    except ValueError:
        return False
