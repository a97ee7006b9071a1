"""Starting, watching and ending the processes of a run. Linux only: it reads /proc."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GATEWAY_CORE = 0
LOAD_CORE = 1
# Found out once: the benchmark binds itself to a core later, which would change the answer.
PINNED = (
    shutil.which("taskset") is not None
    and hasattr(os, "sched_getaffinity")
    and {GATEWAY_CORE, LOAD_CORE} <= os.sched_getaffinity(0)
)
_TICKS = os.sysconf("SC_CLK_TCK")
# Set by whoever runs the benchmark, these would change what a gateway does or send loopback calls elsewhere.
_UNWANTED = (
    *("MODELYARD_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "LOCALAI_", "ENABLE_", "DATABASE_URL"),
    *("LITELLM_", "BENCH_", "UVICORN_", "WEB_CONCURRENCY"),
)


class Failed(Exception):
    """One measurement could not be made; its message goes into the report, the others go on."""


@dataclass(frozen=True)
class Process:
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])[-600:] or "(no output)"

    def family(self) -> list[int]:
        """The process and all its descendants."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            fields = _stat(int(entry.name)) if entry.name.isdigit() else None
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_seconds(self) -> float:
        """User plus system time, of descendants too, those that have ended included."""
        total = 0
        for pid in self.family():
            fields = _stat(pid)
            if fields is not None:
                total += sum(int(field) for field in fields[11:15])
        return total / _TICKS

    def rss_megabytes(self) -> float:
        kilobytes = 0
        for pid in self.family():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return kilobytes / 1024


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on (the second may hold spaces), or nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command, bound to one core where the machine allows it."""
    return ["taskset", "-c", str(core), *command] if PINNED else list(command)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_UNWANTED) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(command: Sequence[str], core: int, log: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """Run a command in its own process group, and end that group, whatever happens."""
    with log.open("ab") as output:
        popen = subprocess.Popen(
            pinned(core, command),
            cwd=ROOT,
            env=clean_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(popen, log)
    finally:
        _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> None:
    """Ask, wait, insist. The group is ours: it was made for this process, and its id is the process's."""
    if popen.poll() is None:
        popen.terminate()
    try:
        popen.wait(15)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(popen.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    popen.wait()


def wait_until_healthy(process: Process, port: int, path: str, seconds: float) -> float:
    """Seconds from now until GET path is 200; called right after the process was started."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if process.popen.poll() is not None:
            raise Failed(f"ended with {process.popen.returncode} while starting: {process.log_tail()}")
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return time.perf_counter() - began
            finally:
                connection.close()
        except (OSError, HTTPException):
            pass
        time.sleep(0.005)
    raise Failed(f"not healthy within {seconds:.0f} s: {process.log_tail()}")
