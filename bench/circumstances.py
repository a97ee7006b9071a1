"""Where and how was measured: the first lines of the report."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from bench import peers
from bench.processes import PINNED, Failed
from bench.sections import MOST_OTHER_ROUNDS, MOST_STREAM_ROUNDS, Plan


def circumstances(plan: Plan, command: str, seconds: float) -> list[str]:
    pinning = "the gateway on core 0, load generator and upstream on core 1"
    return [
        f"- {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, `{command}`, {seconds / 60:.0f} minutes",
        (
            f"- {os.cpu_count()} cores, {_memory()}, Linux {platform.release()}, Python {platform.python_version()};"
            f" load average before the run {_LOAD_BEFORE:.2f}"
        ),
        f"- pinned: {pinning}" if PINNED else "- not pinned to cores: figures are noisier",
        f"- {', '.join(_versions(plan))}",
        (
            f"- Medians over {plan.rounds} rounds of {plan.seconds:g} s ({min(plan.rounds, MOST_STREAM_ROUNDS)} rounds"
            f" of streams, {min(plan.rounds, MOST_OTHER_ROUNDS)} of starts and model lists); each variant is started"
            " afresh in each round, and ratios and differences are taken within a round before their median is."
        ),
    ]


_LOAD_BEFORE = os.getloadavg()[0]


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    return f"{kilobytes / 1024**2:.0f} GiB"


def _versions(plan: Plan) -> Iterable[str]:
    for package in ("modelyard", "uvicorn", "uvloop", "httptools"):
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{package} unknown"
    try:
        # They are installed when first asked for: not for the hub's measurements, which have no part in them.
        for package, version in peers.clients().items() if plan.variants else ():
            yield f"{package} {version}"
    except Failed:
        yield f"{' and '.join(peers.CLIENTS)} missing"
    for variant in plan.variants:
        if variant.peer is not None:
            try:
                yield f"{variant.name} {variant.peer().version}"
            except Failed:
                yield f"{variant.name} missing"
    if shutil.which("wrk") is not None:
        words = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split()
        yield f"wrk {words[1].removeprefix('debian/')}" if len(words) > 1 else "wrk"
