"""Servers for tests, each in a process of its own: `with run_scripted() as upstream: ... upstream.base_url`."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tests.engine import Engine

# For what must come, in seconds: a slow machine takes its time, and one that is in order loses none.
PATIENCE = 60.0


def free_port() -> int:
    """A loopback port that is free now. Prefer port 0 where a server can tell which port it got."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Scripted:
    """A running scripted upstream. `base_url` ends in /v1."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.root = base_url.removesuffix("/v1")

    def state(self) -> dict[str, Any]:
        """Calls, streams in progress, clients that left, the last requests: see ScriptedUpstream.state."""
        return self._control("GET", "/__script__/state")

    def reset(self) -> None:
        self._control("POST", "/__script__/reset")

    def _control(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(self.root + path, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            state: dict[str, Any] = json.load(answer)
            return state


@contextmanager
def run_scripted(port: int = 0) -> Iterator[Scripted]:
    """The scripted upstream (modelyard.upstream.scripted)."""
    command = [sys.executable, "-m", "modelyard.upstream.scripted", "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # comes once it listens; empty if it died
        if not line.startswith("scripted upstream on "):
            raise RuntimeError(f"the scripted upstream did not start: {line!r}")
        yield Scripted(line.split()[-1])
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)  # closes the pipe, too


def run_engine(port: int = 0) -> AbstractContextManager[Engine]:
    """llama.cpp with a tiny random model (tests/engine.py)."""
    return Engine(port)
