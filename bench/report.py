"""The results as Markdown: medians over the rounds, and ratios taken within each round."""

# ruff: noqa: RUF001 -- the report is for people: a multiplication sign and a dash are what is meant

import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import governed, peers, streams
from bench.processes import PINNED, Failed
from bench.sections import (
    CONNECTIONS,
    GROWTH_CALLS,
    MODELS,
    MOST_OTHER_ROUNDS,
    MOST_STREAM_ROUNDS,
    SETTLE_SECONDS,
    Plan,
    Requests,
    Results,
)
from bench.variants import MODELYARD

BARE, DIRECT, PORTKEY, LITELLM = "bare", "direct", "portkey", "litellm"
NOTHING = "–"


@dataclass(frozen=True)
class Target:
    text: str
    limit: float
    unit: str
    figure: float | None
    # Most figures must stay under their limit; rates must be over it.
    at_least: bool = False
    digits: int = 2

    def row(self) -> list[str]:
        sign = "≥" if self.at_least else "≤"
        wanted = f"{sign} {self.limit:g} {self.unit}".strip()
        if self.figure is None:
            return [self.text, wanted, NOTHING, "not measured"]
        reached = self.figure >= self.limit if self.at_least else self.figure <= self.limit
        return [self.text, wanted, f"{self.figure:.{self.digits}f} {self.unit}".strip(), "yes" if reached else "**no**"]


def markdown(results: Results, plan: Plan, command: str, seconds: float) -> str:
    lines = [f"# Benchmarks on {_processor()}", "", *_circumstances(plan, command, seconds), ""]
    targets = _targets(results)
    if any(target.figure is not None for target in targets):
        lines += ["## Must reach", "", *_table(["Target", "Wanted", "Measured", "Reached"], [t.row() for t in targets])]
        lines += ["", f"Modelyard is `{MODELYARD}` here: its own upstream client, one worker, everything on.", ""]
    for section in (_requests, _latency, _streams, _starts, _models, _growth):
        part = section(results, plan)
        lines += [*part, ""] if part else []
    if results.problems:
        lines += ["## Problems", "", *(f"- {problem}" for problem in results.problems), ""]
    return "\n".join(lines).rstrip() + "\n"


# Where and how.


def _circumstances(plan: Plan, command: str, seconds: float) -> list[str]:
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


def _processor() -> str:
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
        for package, version in peers.clients().items():
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


# Figures.


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def _paired(results: Results, name: str, other: str, figure: Callable[[Requests, Requests], float]) -> float | None:
    """The median of a figure computed from two variants in the same round."""
    ours, theirs = results.requests.get(name, {}), results.requests.get(other, {})
    return _median(figure(ours[number], theirs[number]) for number in ours if number in theirs)


def _rate_ratio(results: Results, name: str, other: str) -> float | None:
    return _paired(results, name, other, lambda ours, theirs: ours.many.per_second / theirs.many.per_second)


def _targets(results: Results) -> list[Target]:
    ladders = results.streams.get(MODELYARD, {}).values()
    largest = [ladder.best.streams if ladder.best is not None else 0 for ladder in ladders]
    starts = results.starts.get(MODELYARD, {}).values()
    lists = results.models.get(MODELYARD, {}).values()
    told = [each.overhead_p50_ms for each in lists if each.overhead_p50_ms is not None]
    # A shorter run proves nothing about this target.
    grown = results.growth.get(MODELYARD, {}).values()
    seen = [each.client_p50_ms for each in lists]
    where = "its own clock" if told else "at the client"
    return [
        Target("Requests/s against bare", 0.75, "×", _rate_ratio(results, MODELYARD, BARE), at_least=True),
        Target("Requests/s against Portkey", 4, "×", _rate_ratio(results, MODELYARD, PORTKEY), at_least=True),
        Target("Requests/s against LiteLLM", 50, "×", _rate_ratio(results, MODELYARD, LITELLM), True, 1),
        Target(
            "Added p50 at 1 connection over bare",
            0.2,
            "ms",
            _paired(results, MODELYARD, BARE, lambda ours, theirs: ours.one.p50_ms - theirs.one.p50_ms),
            digits=3,
        ),
        Target(
            f"p99 at {CONNECTIONS} connections against bare's",
            1.5,
            "×",
            _paired(results, MODELYARD, BARE, lambda ours, theirs: ours.many.p99_ms / theirs.many.p99_ms),
        ),
        Target("Concurrent streams", 500, "", statistics.median_low(largest) if largest else None, True, 0),
        Target("Idle memory", 120, "MB", _median(_idle(results)), digits=0),
        Target("First 200 of /health", 2.5, "s", _median(start.seconds for start in starts)),
        Target(f"GET /v1/models with {MODELS:,} models, p50 ({where})", 2, "ms", _median(told or seen)),
        Target(
            f"Memory growth over {GROWTH_CALLS:,} calls",
            10,
            "MB",
            _median(each.after - each.before for each in grown if each.calls >= GROWTH_CALLS),
            digits=1,
        ),
    ]


def _idle(results: Results) -> list[float]:
    idle = [start.rss_idle for start in results.starts.get(MODELYARD, {}).values()]
    return idle or [sample.rss_idle for sample in results.requests.get(MODELYARD, {}).values()]


# Sections.


def _requests(results: Results, plan: Plan) -> list[str]:
    if not results.requests:
        return []
    heads = ["Variant", f"requests/s @{CONNECTIONS}", "p50 @32, ms", "p99 @32, ms", "p50 @1, ms", "p99 @1, ms"]
    heads += ["CPU/request, µs", "idle, MB", "after load, MB", "× bare", "× Portkey", "× LiteLLM", "ledger exact"]
    rows = []
    for variant in plan.variants:
        samples = list(results.requests.get(variant.name, {}).values())
        if not samples:
            rows.append([variant.name] + [NOTHING] * (len(heads) - 1))
            continue
        rates = [sample.many.per_second for sample in samples]
        row = [variant.name, f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"]
        row += [
            _number(_median(sample.many.p50_ms for sample in samples)),
            _number(_median(sample.many.p99_ms for sample in samples)),
            _number(_median(sample.one.p50_ms for sample in samples), 3),
            _number(_median(sample.one.p99_ms for sample in samples), 3),
        ]
        if variant.launch is None:
            row += [NOTHING] * 3
        else:
            row += [
                _number(_median(sample.cpu_microseconds for sample in samples), 0),
                _number(_median(sample.rss_idle for sample in samples), 0),
                _number(_median(sample.rss_after for sample in samples), 0),
            ]
        row += [_number(_rate_ratio(results, variant.name, other)) for other in (BARE, PORTKEY, LITELLM)]
        checked = [sample.governed.exact for sample in samples if sample.governed is not None]
        row.append(NOTHING if not checked else "yes" if all(checked) else "**no**")
        rows.append(row)
    note = (
        f"Idle memory is taken {SETTLE_SECONDS:g} s after the start. In brackets: slowest and fastest round."
        " `modelyard aiohttp` and `modelyard pyreqwest` have another client behind Modelyard's seam."
        f" Ledger exact: after the load {governed.CONNECTIONS * governed.CALLS_EACH:,} more calls are made and read to"
        " their end; in every round `GET /api/v1/usage` counts exactly those, and of the load no fewer than were"
        " answered nor more than were begun."
    )
    return ["## Requests", "", *_table(heads, rows), "", note]


def _latency(results: Results, plan: Plan) -> list[str]:
    if not results.requests:
        return []
    heads = ["Variant", "added p50 @1 over bare, ms", "added p99 @1 over bare, ms", "added p50 @1 over direct, ms"]
    heads += ["added p99 @1 over direct, ms", "p50 @32 / bare's", "p99 @32 / bare's"]
    figures: tuple[tuple[str, Callable[[Requests, Requests], float], int], ...] = (
        (BARE, lambda ours, theirs: ours.one.p50_ms - theirs.one.p50_ms, 3),
        (BARE, lambda ours, theirs: ours.one.p99_ms - theirs.one.p99_ms, 3),
        (DIRECT, lambda ours, theirs: ours.one.p50_ms - theirs.one.p50_ms, 3),
        (DIRECT, lambda ours, theirs: ours.one.p99_ms - theirs.one.p99_ms, 3),
        (BARE, lambda ours, theirs: ours.many.p50_ms / theirs.many.p50_ms, 2),
        (BARE, lambda ours, theirs: ours.many.p99_ms / theirs.many.p99_ms, 2),
    )
    rows = [
        [variant.name]
        + [_number(_paired(results, variant.name, other, figure), digits) for other, figure, digits in figures]
        for variant in plan.variants
        if variant.launch is not None
    ]
    return ["## Latency", "", *_table(heads, rows)]


def _streams(results: Results, plan: Plan) -> list[str]:
    if not results.streams:
        return []
    heads = ["Variant", "largest good number", "per round", "first frame p50, ms", "first frame p99, ms"]
    heads += ["largest gap, ms", "the next fails by"]
    rows = []
    for variant in plan.variants:
        ladders = list(results.streams.get(variant.name, {}).values())
        if not ladders:
            rows.append([variant.name] + [NOTHING] * (len(heads) - 1))
            continue
        ladders.sort(key=lambda ladder: ladder.best.streams if ladder.best is not None else 0)
        # The middle ladder stands for all; the lower one of two.
        middle = ladders[(len(ladders) - 1) // 2]
        best, stopped = middle.best, middle.stopped
        row = [variant.name, str(best.streams) if best is not None else f"under {variant.ladder[0]}"]
        row.append(", ".join(str(ladder.best.streams if ladder.best is not None else 0) for ladder in ladders))
        row += [f"{value:.0f}" for value in (best.first_p50, best.first_p99, best.gap)] if best else [NOTHING] * 3
        row.append(f"{stopped.streams}: {stopped.reason}" if stopped is not None else "(not tried)")
        rows.append(row)
    note = (
        f"{streams.FRAMES} deltas 20 ms apart per stream, starts spread over {streams.START_SPREAD_SECONDS:g} s. Good:"
        f" no frame lost, no gap over {streams.LARGEST_GAP_SECONDS * 1000:.0f} ms, first frame p99 within"
        f" {streams.LARGEST_FIRST_FRAME_SECONDS * 1000:.0f} ms; a number that fails is tried once more. What `direct`"
        " cannot carry is the limit of upstream and driver, which share a core."
    )
    return ["## Streams", "", *_table(heads, rows), "", note]


def _starts(results: Results, plan: Plan) -> list[str]:
    rows = [
        [
            name,
            _number(_median(start.seconds for start in rounds.values())),
            _number(max(start.seconds for start in rounds.values())),
            _number(_median(start.rss_idle for start in rounds.values()), 0),
        ]
        for name, rounds in results.starts.items()
    ]
    heads = ["Variant", "first healthy answer, s", "slowest, s", "idle, MB"]
    return ["## Start", "", *_table(heads, rows), "", "With an empty data directory."] if rows else []


def _models(results: Results, plan: Plan) -> list[str]:
    rows = [
        [
            name,
            str(min(each.models for each in rounds.values())),
            _number(_median(each.kilobytes for each in rounds.values()), 0),
            _number(_median(each.client_p50_ms for each in rounds.values())),
            _number(_median(each.client_p99_ms for each in rounds.values())),
            _number(_median(each.overhead_p50_ms for each in rounds.values() if each.overhead_p50_ms is not None)),
        ]
        for name, rounds in results.models.items()
    ]
    heads = ["Variant", "models", "answer, kB", "client p50, ms", "client p99, ms", "its own clock p50, ms"]
    return ["## Model list", "", *_table(heads, rows), "", "`GET /v1/models` at 1 connection."] if rows else []


def _growth(results: Results, plan: Plan) -> list[str]:
    rows = [
        [name, f"{each.calls:,}", _number(each.before, 1), _number(each.after, 1), _number(each.after - each.before, 1)]
        for name, rounds in results.growth.items()
        for each in rounds.values()
    ]
    heads = ["Variant", "calls", "before, MB", "after, MB", "growth, MB"]
    return ["## Memory growth", "", *_table(heads, rows)] if rows else []


def _number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    marks = ["---"] + ["---:"] * (len(heads) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows)]
