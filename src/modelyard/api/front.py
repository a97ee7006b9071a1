"""The front of the server: one dict look-up sends a request to its door, before any framework is involved."""

from collections.abc import Awaitable, Callable, Mapping

from modelyard.api.reply import Receive, Scope, Send

MAX_SEEN_HOSTS = 1000

Door = Callable[[Scope, Receive, Send], Awaitable[None]]


class Front:
    """`exact` maps whole paths, `prefixes` path beginnings, in order; everything else goes to `rest` (management, pages).

    `hosts` are the names that this server answers to, None for any: with it a page of another site that re-binds its
    name to this address is refused. `base_path` is what a reverse proxy leaves in front of every path.
    """

    def __init__(
        self,
        exact: Mapping[str, Door],
        prefixes: Mapping[str, Door],
        rest: Door,
        hosts: frozenset[str] | None,
        base_path: str,
    ) -> None:
        self._exact = exact
        self._prefixes = tuple(prefixes.items())
        self._rest = rest
        self._hosts = hosts
        self._seen_hosts: set[bytes] = set()  # raw values that were found good: names times ports, so few
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        if self._hosts is not None and not self._known_host(scope):
            await _refuse_host(send)
            return
        path: str = scope["path"]
        base = self._base_path
        if base and (path == base or path.startswith(base + "/")):
            path = path[len(base) :] or "/"
        scope["root_path"] = base
        door = self._exact.get(path)
        if door is None:
            door = next((door for prefix, door in self._prefixes if path.startswith(prefix)), None)
        if door is None:
            scope["path"] = base + path  # a framework takes the root path off by itself, and needs it for its links
            await self._rest(scope, receive, send)
            return
        scope["path"] = path
        await door(scope, receive, send)

    def _known_host(self, scope: Scope) -> bool:
        assert self._hosts is not None
        for name, value in scope["headers"]:
            if name == b"host":
                if value in self._seen_hosts:
                    return True
                good = host_name(value.decode("latin-1")) in self._hosts
                if good and len(self._seen_hosts) < MAX_SEEN_HOSTS:
                    self._seen_hosts.add(value)
                return good
        return False


def renamed(prefix: str, replacement: str, door: Door) -> Door:
    """The same door for paths that begin with `prefix` in place of `replacement`."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = replacement + scope["path"].removeprefix(prefix)
        await door(scope, receive, send)

    return through


def framed(door: Door) -> Door:
    """A framework's door for single paths: it takes the base path off by itself, and needs it for its links."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = scope["root_path"] + scope["path"]
        await door(scope, receive, send)

    return through


def host_name(host: str) -> str:
    """`Example.com:8484` as `example.com`, `[::1]:8484` as `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _refuse_host(send: Send) -> None:
    body = b'{"detail":"This server does not answer to that host name. Add it to MODELYARD_ALLOWED_HOSTS."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": body})
