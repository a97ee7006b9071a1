"""What the tests of operations share: many calls at once, the ledger read directly, a start that must fail."""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import PATIENCE
from tests.yard import ADMIN_KEY, KEPT, Yard

# `ok` tokens of one call of ASK: the scripted upstream counts words.
ASK = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
ASK_INPUT, ASK_OUTPUT = 3, 3

READ_LEDGER = "SELECT id, status, input, output, estimated, stream, model, http_status, error FROM ledger ORDER BY id"


class Stream:
    """One streamed call: what came of it so far."""

    def __init__(self) -> None:
        self.call_id = ""
        self.status = 0
        self.deltas = 0
        self.done = False
        self.fault: str | None = None
        self.text = b""

    async def run(self, session: aiohttp.ClientSession, url: str, body: Mapping[str, Any]) -> None:
        """Read it to its end, however that is."""
        try:
            async with session.post(url + "/v1/chat/completions", json={**body, "stream": True}) as answer:
                self.call_id = answer.headers.get("x-request-id", "")
                self.status = answer.status
                async for line in answer.content:
                    if line.startswith(b"data: [DONE]"):
                        self.done = True
                    elif line.startswith(b'data: {"id"') and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                        self.deltas += 1
                    elif line.startswith(b"data: "):
                        self.text = line
        except (aiohttp.ClientError, ConnectionError) as error:
            self.fault = repr(error)


@asynccontextmanager
async def session_of(key: str = ADMIN_KEY, *, fresh: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
    """A client for any number of calls at once. `fresh`: each on a TCP connection of its own."""
    connector = aiohttp.TCPConnector(limit=0, force_close=fresh)
    headers = {"authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        yield session


async def ask(session: aiohttp.ClientSession, url: str, body: Mapping[str, Any] = ASK) -> tuple[int, str, Any]:
    """One call that does not stream: (status, call id, answer)."""
    async with session.post(url + "/v1/chat/completions", json=dict(body)) as answer:
        return answer.status, answer.headers.get("x-request-id", ""), await answer.json()


async def until(reached: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something that happens in the same event loop or outside."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.02)


def wait(reached: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """The same without an event loop."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def worker_of(call_id: str) -> str:
    """The process that an id was drawn in (core.ids)."""
    return call_id[-12:]


async def every_worker(
    yard: Yard, workers: int, right: Callable[[list[str]], bool], what: str, key: str = ADMIN_KEY
) -> set[str]:
    """The processes, once so many show the right list of models each ([] for a refused key), on fresh connections."""
    verdicts: dict[str, bool] = {}
    deadline = time.monotonic() + PATIENCE
    async with session_of(key, fresh=True) as session:

        async def look() -> None:
            async with session.get(yard.url + "/v1/models") as answer:
                worker = worker_of(answer.headers["x-request-id"])
                content = await answer.json()
                verdicts[worker] = right([row["id"] for row in content.get("data", [])])

        while len(verdicts) < workers or not all(verdicts.values()):
            assert time.monotonic() < deadline, f"not in every worker: {what} {verdicts}"
            verdicts.clear()
            await asyncio.gather(*(look() for _ in range(40)))
            await asyncio.sleep(0.05)
    return set(verdicts)


def ledger(data_dir: Path) -> list[dict[str, Any]]:
    """Every row of the ledger's own file."""
    with closing(sqlite3.connect(f"file:{data_dir / 'ledger.db'}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(READ_LEDGER)]


def wait_for_rows(data_dir: Path, count: int) -> list[dict[str, Any]]:
    """The ledger once it holds that many calls."""
    deadline = time.monotonic() + PATIENCE
    while len(rows := ledger(data_dir)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A SQLite file that another process keeps for itself."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def reserved_port() -> Iterator[int]:
    """A loopback port on which nobody listens. Whoever is told its number can; the system gives it to nobody else."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do; then both can hold it
        holder.bind(("127.0.0.1", 0))  # without `listen`: a connection is refused
        yield holder.getsockname()[1]


def children_of(process_id: int) -> set[int]:
    """The processes that this one started, from /proc."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process_id and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def alive(process_id: int) -> bool:
    """True while there is such a process, and not only its remains."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def clean_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the machine's own settings."""
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **(environment or {})}


def modelyard(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself, with its output in `stdout`."""
    return subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments], cwd=cwd, env=clean_environment(environment), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False,
    )  # fmt: skip


def refuses(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """`modelyard serve` must not start: exit code 2 and something for a person to read, which is given back."""
    try:
        done = modelyard("serve", "--port", "0", *arguments, cwd=cwd, environment=environment)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"it serves, although it must not:\n{error.stdout}") from None
    assert "Traceback" not in done.stdout, done.stdout[-3000:]
    assert done.returncode == 2, done.stdout
    return done.stdout


def connect_paced(yard: Yard, base_url: str, *, delay_ms: int, events: int) -> str:
    """The scripted upstream's `lorem` at this pace; the model's name. Our headers reach the script, a caller's do not."""
    name = f"paced-{delay_ms}-{events}"
    headers = {"x-script-delay-ms": str(delay_ms), "x-script-events": str(events)}
    yard.connect(name, base_url, prefix_id=name, model_ids=["lorem"], headers=headers)
    return f"{name}.lorem"
