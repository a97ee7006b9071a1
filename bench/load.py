"""Requests per second and latencies: wrk, one thread, a fixed number of connections, a fixed time."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, Failed, pinned

HOW_TO_INSTALL = "wrk is missing: install it with `apt install wrk` (Debian, Ubuntu) or from your system's packages"
# wrk prints for people; this makes it print for us as well. Times are in microseconds.
_DONE = """
function done(summary, latency, requests)
  io.write(string.format(
    'BENCH {"requests":%d,"microseconds":%d,"p50":%f,"p99":%f,"maximum":%f,"status":%d,"socket":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    maximum_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def available() -> bool:
    return shutil.which("wrk") is not None


def run(
    url: str, headers: Mapping[str, str], folder: Path, *, connections: int, seconds: int, body: bytes | None
) -> Load:
    """One measurement; fails when any answer was not a success, as a fast refusal is no result."""
    script = folder / "wrk.lua"
    lines = [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items()]
    if body is not None:
        lines += ['wrk.method = "POST"', 'wrk.headers["content-type"] = "application/json"']
        lines += [f"wrk.body = {_lua(body.decode())}"]
    script.write_text("\n".join(lines) + "\n" + _DONE)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), url]
    try:
        done = subprocess.run(
            pinned(LOAD_CORE, command), capture_output=True, text=True, timeout=seconds + 60, check=False
        )
    except subprocess.TimeoutExpired as problem:
        raise Failed("wrk did not end in time") from problem
    found = [line for line in done.stdout.splitlines() if line.startswith("BENCH ")]
    if not found:
        raise Failed(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    values = json.loads(found[0].removeprefix("BENCH "))
    if values["status"] or values["socket"] or not values["requests"]:
        counts = f"{values['status']} refused, {values['socket']} broken or late of {values['requests']}"
        raise Failed(f"{connections} connections: {counts}")
    return Load(
        requests=values["requests"],
        seconds=values["microseconds"] / 1e6,
        p50_ms=values["p50"] / 1e3,
        p99_ms=values["p99"] / 1e3,
        maximum_ms=values["maximum"] / 1e3,
    )


def _lua(text: str) -> str:
    return json.dumps(text)  # JSON's strings are Lua's as long as they are ASCII, which these are
