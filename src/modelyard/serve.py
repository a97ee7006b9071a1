"""Runs the server: one process, or several that share a listening socket and end with their parent."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from modelyard.api.protocol import HttpProtocol
from modelyard.app import Modelyard
from modelyard.control.discovery import find_local
from modelyard.control.people.service import ensure_administrator
from modelyard.control.setup import service as setup
from modelyard.control.transaction import Changes, unserved
from modelyard.core import log
from modelyard.settings import Settings, SettingsError
from modelyard.stores import open_stores
from modelyard.upstream.client import Client
from modelyard.upstream.http1 import Http1Client

_log = log.get(__name__)

BACKLOG = 2048
RESPAWN_SECONDS = 1.0
WORKER_FLAG = "--worker"


def run(settings: Settings, environment: dict[str, str], make_client: Callable[[], Client] = Http1Client) -> None:
    """Serve until SIGTERM or SIGINT, then let running calls end. Raises SettingsError, MigrationFailed.

    `make_client` lets the benchmark put another client behind the seam.
    """
    with _listen(settings) as listener:  # first: a start by mistake fails here, before it changes anything
        link = _run(_prepare(settings))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listener.getsockname()[1]}{settings.base_path}"
        _greet(address, link)
        if settings.workers == 1:
            _run(_serve(settings, listener, make_client, None, 0))
        else:
            Supervisor(settings, listener, environment).run()


def run_worker(settings: Settings, arguments: Sequence[str]) -> None:
    """One of several workers: `arguments` are its number, the listening socket's and the life line's descriptors."""
    number, socket_descriptor, life_line = (int(argument) for argument in arguments)
    with socket.socket(fileno=socket_descriptor) as listener:
        _run(_serve(settings, listener, Http1Client, life_line, number))


async def _prepare(settings: Settings) -> str | None:
    """Migrate, and see to the first administrator. The setup token when there is none yet."""
    stores = open_stores(settings)
    try:
        await stores.migrate()
        changes = Changes(stores.database, stores.seal.chain_keys[0], unserved)
        if settings.admin_email and settings.admin_password:
            await ensure_administrator(changes, email=settings.admin_email, password=settings.admin_password)
        if not await setup.needed(stores.database) or settings.admin_api_key is not None:
            return None
        if not settings.is_loopback and not settings.setup_link:
            raise SettingsError(
                f"MODELYARD_HOST: {settings.host} can be reached from outside and there is no administrator yet. "
                "Start once on 127.0.0.1 and use the printed link, or set MODELYARD_ADMIN_EMAIL and "
                "MODELYARD_ADMIN_PASSWORD, or ask for the link with --setup-link. Example: MODELYARD_HOST=127.0.0.1"
            )
        return await setup.new_link(changes, stores.seal)
    finally:
        await stores.close()


def _listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises SettingsError when the address cannot be used."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        if not isinstance(error, OSError) or isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(
                f"MODELYARD_HOST: {settings.host} is not an address of this machine ({reason}). "
                "Example: MODELYARD_HOST=127.0.0.1"
            ) from None
        raise SettingsError(
            f"MODELYARD_PORT: {settings.host}:{settings.port} cannot be used ({reason}). Example: MODELYARD_PORT=8485"
        ) from None
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def _greet(address: str, link: str | None) -> None:
    """What a person reads in the terminal. On standard output, apart from the log."""
    sys.stdout.write(f"\n  Modelyard serves on {address}\n")
    if link is not None:
        sys.stdout.write(f"\n  Make the administrator (this link works once):\n  {address}/setup?token={link}\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


class _Server(uvicorn.Server):
    """uvicorn, but a signal ends it with exit code 0 instead of being raised again afterwards."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _serve(
    settings: Settings,
    listener: socket.socket,
    make_client: Callable[[], Client],
    life_line: int | None,
    number: int,
) -> None:
    """Serve on a socket until told to end. `life_line` is a pipe that breaks when the parent is gone."""
    modelyard = Modelyard(open_stores(settings), make_client(), number, settings.workers)
    await modelyard.start()
    app: Any = modelyard.front
    if settings.trusted_proxies:
        app = ProxyHeadersMiddleware(app, trusted_hosts=settings.trusted_proxies)
    server = _Server(
        uvicorn.Config(
            app,
            loop="none",
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=settings.drain_seconds,
            backlog=BACKLOG,
        )
    )
    if life_line is not None:
        asyncio.get_running_loop().add_reader(life_line, _end, server, life_line)
    look = asyncio.get_running_loop().create_task(_offer_local(modelyard)) if number == 0 else None
    try:
        await server.serve(sockets=[listener])
    finally:
        if look is not None:
            look.cancel()
        await modelyard.stop()


def _end(server: uvicorn.Server, life_line: int) -> None:
    """The parent is gone: end as on SIGTERM."""
    asyncio.get_running_loop().remove_reader(life_line)
    server.should_exit = True


async def _offer_local(modelyard: Modelyard) -> None:
    """Look for backends on this machine and say how they are added. Nothing is added silently."""
    client = Http1Client()
    try:
        for row in await find_local(client, modelyard.connected_urls()):
            sys.stdout.write(
                f"  {row.name} answers at {row.base_url} and is not connected. It offers: {_some(row.model_ids)}. To add it:\n"
                f"    modelyard connections add {row.name} --kind {row.kind} --flavour {row.flavour} "
                f"--base-url {row.base_url}\n"
            )
        sys.stdout.flush()
    finally:
        await client.close()


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "no model"


class Supervisor:
    """Keeps several workers running. It holds one end of a pipe whose other end they watch: with it they end."""

    def __init__(self, settings: Settings, listener: socket.socket, environment: dict[str, str]) -> None:
        self._settings = settings
        self._listener = listener
        self._environment = environment
        self._ending = False
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then the workers end in their own time. Exits 0."""
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: self._end())
        read_end, write_end = os.pipe()
        os.set_inheritable(read_end, True)
        try:
            while not self._ending:
                for number in range(self._settings.workers):
                    self._keep(number, read_end)
                self._pause(RESPAWN_SECONDS / 5)
            self._listener.close()  # else what connects now would wait for nobody
            self._end()  # again, for a worker that was being started when the signal came
            for worker in self._workers.values():
                worker.wait()
        finally:
            os.close(write_end)
            os.close(read_end)

    def _keep(self, number: int, life_line: int) -> None:
        worker = self._workers.get(number)
        if self._ending or (worker is not None and worker.poll() is None):
            return
        if worker is not None:
            _log.error("a worker ended and is started again", worker=number, exit_code=worker.returncode)
            self._pause(RESPAWN_SECONDS)
        descriptor = self._listener.fileno()
        command = [sys.executable, "-m", "modelyard", WORKER_FLAG, str(number), str(descriptor), str(life_line)]
        self._workers[number] = subprocess.Popen(  # noqa: S603 - our own command line, numbers only
            command, pass_fds=(descriptor, life_line), env=self._environment
        )

    def _pause(self, seconds: float) -> None:
        """Sleep, but not on when the end has begun: a signal does not wake a sleeper for good."""
        until = time.monotonic() + seconds
        while not self._ending and time.monotonic() < until:
            time.sleep(0.1)

    def _end(self) -> None:
        self._ending = True
        for worker in self._workers.values():
            if worker.poll() is None:
                worker.terminate()


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on uvloop where it exists."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
