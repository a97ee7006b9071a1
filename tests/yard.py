"""A Modelyard server for tests, started as a user starts it: the command line, its own process, a real socket."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.servers import PATIENCE

ADMIN_KEY = "admin-key-of-the-tests-0123456789abcdef"
START_SECONDS = 120.0
GREETING = re.compile(rb"Modelyard serves on http://\S+:(\d+)\S*\n")
# Nothing of the machine's own settings reaches a server under test.
KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "VIRTUAL_ENV", "TMPDIR", "PYTHONPATH")


class Yard:
    """A running server. `admin` is a client with the built-in administrator's key."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, data_dir: Path, log: Path) -> None:
        self.process = process
        self.url = url
        self.base_url = url + "/v1"
        self.data_dir = data_dir
        self.log = log
        self.admin = self.client(ADMIN_KEY)

    def client(self, key: str | None) -> httpx2.Client:
        """An HTTP client that sends this key, for /v1 and /api/v1 alike."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE)

    def output(self) -> str:
        """Everything the server has printed and logged."""
        return self.log.read_text(errors="replace")

    def make_key(self, **form: Any) -> str:
        """A key made through the API; its text."""
        answer = self.admin.post("/api/v1/keys", json={"name": "test", **form})
        assert answer.status_code == 200, answer.text
        key: str = answer.json()["key"]
        return key

    def connect(self, name: str, base_url: str, kind: str = "openai", **fields: Any) -> dict[str, Any]:
        """A connection made through the API."""
        answer = self.admin.post(
            "/api/v1/connections", json={"name": name, "kind": kind, "base_url": base_url, **fields}
        )
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def usage(self, group_by: str = "model", **query: str) -> dict[str, dict[str, Any]]:
        """The usage report by the value of its dimension."""
        answer = self.admin.get("/api/v1/usage", params={"group_by": group_by, **query})
        assert answer.status_code == 200, answer.text
        return {item[group_by]: item for item in answer.json()["items"]}

    def wait_for_calls(self, count: int, seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
        """The usage by status once the ledger holds that many calls (it is written a moment after a call)."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.usage("status")
            if sum(item["calls"] for item in found.values()) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def terminate(self, seconds: float = PATIENCE) -> int:
        """SIGTERM, then the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def run_yard(
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    arguments: tuple[str, ...] = (),
    *,
    port: int = 0,
    wait: bool = True,
) -> Iterator[Yard]:
    """`modelyard serve` on a data directory. `environment` is added to a clean one with the admin key above.

    The server takes a port that is free and tells which: one that was looked for before might be taken again by then.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir.with_name(data_dir.name + ".log")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    env = {**kept, "MODELYARD_ADMIN_API_KEY": ADMIN_KEY, **(environment or {})}
    env = {name: value for name, value in env.items() if value}
    command = [sys.executable, "-m", "modelyard", "serve", "--port", str(port), "--data-dir", str(data_dir), *arguments]
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=data_dir
        )
    try:
        yard = Yard(process, f"http://127.0.0.1:{_greeted(process, log, begin)}", data_dir, log)
        try:
            if wait:
                wait_until_ready(yard)
            yield yard
        finally:
            yard.admin.close()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)


def _greeted(process: "subprocess.Popen[bytes]", log: Path, begin: int) -> int:
    """The port that the server tells as soon as it listens, in what follows the first `begin` bytes of the log."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if found := GREETING.search(log.read_bytes(), begin):
            return int(found[1])
        if ended:
            break
        time.sleep(0.01)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")


def wait_until_ready(yard: Yard) -> None:
    """Until /ready says so, or the process has ended (its output is in the error)."""
    deadline = time.monotonic() + START_SECONDS
    with httpx2.Client(timeout=5) as client:
        while time.monotonic() < deadline:
            if yard.process.poll() is not None:
                break
            try:
                if client.get(yard.url + "/ready").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the server did not become ready:\n{yard.output()}")


def setup_token(yard: Yard) -> str:
    """The token of the setup link that the server printed last."""
    found = re.findall(r"/setup\?token=([\w-]+)", yard.output())
    assert found, yard.output()
    return str(found[-1])
