"""The measurements. Each goes round by round over the variants, so that a slow minute hits all of them alike."""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench import load, streams
from bench.governed import Governed, check
from bench.processes import GATEWAY_CORE, Failed, Process, clean_environment, pinned
from bench.variants import MODELYARD, Gateway, Variant, call, running, upstream

CONNECTIONS = 32
_Value = TypeVar("_Value")
SETTLE_SECONDS = 2.0
WARM_UP_SECONDS = 2
# Of the measurements that vary little from round to round, or take long.
MOST_STREAM_ROUNDS = 2
MOST_OTHER_ROUNDS = 3
MOST_MODEL_SECONDS = 2
MODELS = 5_000
MODELS_PATH = "/v1/models"
OVERHEAD_HEADER = "x-modelyard-overhead-ms"
GROWTH_CALLS = 200_000
GROWTH_WARM_UP = 20_000
GROWTH_SECONDS = 900.0
DELTAS = 20_000
DELTA_ROUNDS = 5
# Three dialects, each into each, those of a dialect into itself included.
PAIRS = 9
DELTA_SECONDS = 300.0
# Its callers are measured too, beside the nine pairs of dialects: it has the most to write.
RESPONSES = "openai.responses"


@dataclass(frozen=True)
class Requests:
    one: load.Load
    many: load.Load
    cpu_microseconds: float
    rss_idle: float
    rss_after: float
    governed: Governed | None = None


@dataclass(frozen=True)
class Ladder:
    best: streams.Rung | None
    stopped: streams.Rung | None


@dataclass(frozen=True)
class Start:
    seconds: float
    rss_idle: float


@dataclass(frozen=True)
class ModelList:
    models: int
    kilobytes: float
    client_p50_ms: float
    client_p99_ms: float
    overhead_p50_ms: float | None


@dataclass(frozen=True)
class Growth:
    calls: int
    before: float
    after: float


@dataclass(frozen=True)
class Hub:
    many: load.Load
    cpu_microseconds: float
    governed: Governed | None


@dataclass(frozen=True)
class Delta:
    """What one text delta costs from the backend's bytes to the caller's, in microseconds of CPU."""

    backend: str  # ids of operations
    caller: str
    best: float
    median: float


@dataclass(frozen=True)
class Timed:
    """Calls of one kind, one after another, as the caller sees them."""

    name: str
    calls: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Visit:
    """A browser that was never here goes to a page of the interface. Times since the start of the navigation."""

    address: str
    scripts_kilobytes: float  # compressed by gzip
    shown_ms: float  # the page's title is there
    answered_ms: float  # a key that was pressed then has been answered


@dataclass(frozen=True)
class PageWork:
    """What the main thread of a page did meanwhile."""

    name: str
    longest_ms: float  # a task by the clock
    longest_cpu_ms: float  # a task by what it took of the processor
    over: int  # tasks over 50 ms by the clock
    busy: float  # part of the time


@dataclass
class Plan:
    """What was asked for. `hub` are the variants of the translation hub's own measurements."""

    variants: list[Variant]
    hub: list[Variant]
    rounds: int
    seconds: int
    calls: int
    modelyard: str


@dataclass
class Results:
    """By variant, then by round."""

    requests: dict[str, dict[int, Requests]] = field(default_factory=dict)
    streams: dict[str, dict[int, Ladder]] = field(default_factory=dict)
    starts: dict[str, dict[int, Start]] = field(default_factory=dict)
    models: dict[str, dict[int, ModelList]] = field(default_factory=dict)
    growth: dict[str, dict[int, Growth]] = field(default_factory=dict)
    hub: dict[str, dict[int, Hub]] = field(default_factory=dict)
    hub_streams: dict[str, dict[int, Ladder]] = field(default_factory=dict)
    deltas: list[Delta] = field(default_factory=list)
    catalogue: list[Timed] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    page_work: list[PageWork] = field(default_factory=list)
    # What could not be measured, and why; each once, in the order met.
    problems: dict[str, None] = field(default_factory=dict)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _each(
    plan: Plan,
    results: Results,
    section: str,
    rounds: int,
    variants: list[Variant],
    measure: Callable[[Variant], _Value],
) -> dict[str, dict[int, _Value]]:
    """Every variant once per round, every other round backwards; one that fails is noted and left out from then on."""
    found: dict[str, dict[int, _Value]] = {}
    failed: set[str] = set()
    for number in range(rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            if variant.name in failed:
                continue
            try:
                value = measure(variant)
            except Failed as problem:
                failed.add(variant.name)
                results.problems[f"{section}, {variant.name}: {problem}"] = None
                say(f"{section} {number + 1}/{rounds} {variant.name}: FAILED: {problem}")
                continue
            found.setdefault(variant.name, {})[number] = value
            say(f"{section} {number + 1}/{rounds} {variant.name}: {value}")
    return found


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


def requests(plan: Plan, results: Results) -> None:
    """Requests per second, latencies, CPU per request, memory before and after; then whether each call is recorded."""
    with _folder() as folder, upstream(folder) as address:

        def measure(variant: Variant) -> Requests:
            with running(variant, address, plan.modelyard) as gateway:
                if variant.launch is not None:
                    time.sleep(SETTLE_SECONDS)
                idle = gateway.process.rss_megabytes()
                warm = _load(gateway, folder, CONNECTIONS, WARM_UP_SECONDS)
                one = _load(gateway, folder, 1, plan.seconds)
                before = gateway.process.cpu_seconds()
                many = _load(gateway, folder, CONNECTIONS, plan.seconds)
                used = gateway.process.cpu_seconds() - before
                rss_after = gateway.process.rss_megabytes()
                # Each of the three loads may have been cut off on each of its connections, and one call proved the gateway.
                loaded, cut = warm.requests + one.requests + many.requests, 2 * CONNECTIONS + 1 + 1
                checked = _governed(results, variant, gateway, loaded, cut)
                return Requests(one, many, 1e6 * used / many.requests, idle, rss_after, checked)

        results.requests = _each(plan, results, "requests", plan.rounds, plan.variants, measure)


def _governed(results: Results, variant: Variant, gateway: Gateway, loaded: int, cut: int) -> Governed | None:
    if gateway.ledger is None:
        return None
    checked = check(gateway.ledger, gateway.url, gateway.headers, gateway.body, loaded=loaded, cut=cut)
    if not checked.exact:
        results.problems[f"the ledger of {variant.name} is not exact: {checked}"] = None
    return checked


def _load(gateway: Gateway, folder: Path, connections: int, seconds: int) -> load.Load:
    return load.run(gateway.url, gateway.headers, folder, connections=connections, seconds=seconds, body=gateway.body)


def hub(plan: Plan, results: Results) -> None:
    """Requests per second and CPU per request of a call with tools, passed on and translated."""
    with _folder() as folder, upstream(folder) as address:

        def measure(variant: Variant) -> Hub:
            with running(variant, address, plan.modelyard) as gateway:
                warm = _load(gateway, folder, CONNECTIONS, WARM_UP_SECONDS)
                before = gateway.process.cpu_seconds()
                many = _load(gateway, folder, CONNECTIONS, plan.seconds)
                used = gateway.process.cpu_seconds() - before
                loaded, cut = warm.requests + many.requests, 2 * CONNECTIONS + 1
                checked = _governed(results, variant, gateway, loaded, cut)
                return Hub(many, 1e6 * used / many.requests, checked)

        results.hub = _each(plan, results, "hub", plan.rounds, plan.hub, measure)


def concurrent_streams(plan: Plan, results: Results) -> None:
    """The largest number of concurrent streams that all go well, climbing until one rung fails twice."""
    results.streams = _ladders(plan, results, "streams", plan.variants)


def translated_streams(plan: Plan, results: Results) -> None:
    """The same of streams that the hub translates."""
    results.hub_streams = _ladders(plan, results, "hub-streams", [each for each in plan.hub if each.ladder])


def _ladders(plan: Plan, results: Results, section: str, variants: list[Variant]) -> dict[str, dict[int, Ladder]]:
    with _folder() as folder, upstream(folder) as address:

        def measure(variant: Variant) -> Ladder:
            best: streams.Rung | None = None
            with running(variant, address, plan.modelyard) as gateway:
                for count in variant.ladder:
                    # The second try is for a hiccup of the machine; all variants have it.
                    rung = streams.run(gateway.url, gateway.headers, count)
                    if rung.reason is not None:
                        say(f"  {variant.name}, {count} streams: {rung.reason}; once more")
                        time.sleep(1)
                        rung = streams.run(gateway.url, gateway.headers, count)
                    if rung.reason is not None:
                        return Ladder(best, rung)
                    best = rung
            return Ladder(best, None)

        rounds = min(plan.rounds, MOST_STREAM_ROUNDS)
        return _each(plan, results, section, rounds, variants, measure)


def starts(plan: Plan, results: Results) -> None:
    """From spawn to the first 200 of the health path, with an empty data directory, and memory a little later."""
    with _folder() as folder, upstream(folder) as address:

        def measure(variant: Variant) -> Start:
            with running(variant, address, plan.modelyard) as gateway:
                time.sleep(SETTLE_SECONDS)
                return Start(gateway.ready_seconds, gateway.process.rss_megabytes())

        variants = [variant for variant in plan.variants if variant.launch is not None and not variant.client_only]
        rounds = min(plan.rounds, MOST_OTHER_ROUNDS)
        results.starts = _each(plan, results, "start", rounds, variants, measure)


def model_lists(plan: Plan, results: Results) -> None:
    """GET /v1/models of an upstream with many, one caller at a time."""
    with _folder() as folder, upstream(folder, MODELS) as address:

        def measure(variant: Variant) -> ModelList:
            with running(variant, address, plan.modelyard) as gateway:
                count, size = _wait_for_models(gateway)
                url = gateway.base + MODELS_PATH
                load.run(url, gateway.headers, folder, connections=1, seconds=1, body=None)
                seconds = min(plan.seconds, MOST_MODEL_SECONDS)
                taken = load.run(url, gateway.headers, folder, connections=1, seconds=seconds, body=None)
                return ModelList(count, size / 1024, taken.p50_ms, taken.p99_ms, _overhead(gateway))

        # Other gateways list what their configuration names, not what the upstream has.
        variants = [variant for variant in plan.variants if variant.peer is None and not variant.client_only]
        rounds = min(plan.rounds, MOST_OTHER_ROUNDS)
        results.models = _each(plan, results, "models", rounds, variants, measure)


def _port(gateway: Gateway) -> int:
    return int(gateway.base.rpartition(":")[2])


def _wait_for_models(gateway: Gateway) -> tuple[int, int]:
    count = 0
    for _ in range(100):
        status, body = call(_port(gateway), "GET", MODELS_PATH, gateway.headers)
        count = len(json.loads(body)["data"]) if status == 200 else 0
        if count >= MODELS:
            return count, len(body)
        time.sleep(0.2)
    raise Failed(f"GET {MODELS_PATH} lists {count} of {MODELS} models after 20 s")


def _overhead(gateway: Gateway) -> float | None:
    """The median of what the gateway itself says it took, when it says so."""
    connection = http.client.HTTPConnection("127.0.0.1", _port(gateway), timeout=30)
    told: list[float] = []
    try:
        for _ in range(200):
            connection.request("GET", MODELS_PATH, headers=gateway.headers)
            answer = connection.getresponse()
            answer.read()
            value = answer.getheader(OVERHEAD_HEADER)
            if value is None:
                return None
            told.append(float(value))
    finally:
        connection.close()
    return statistics.median(told)


def growth(plan: Plan, results: Results) -> None:
    """Memory before and after many calls: what is kept per call shows here."""
    with _folder() as folder, upstream(folder) as address:

        def measure(variant: Variant) -> Growth:
            with running(variant, address, plan.modelyard) as gateway:
                _calls(gateway, folder, GROWTH_WARM_UP)
                before = _settled(gateway.process)
                calls = _calls(gateway, folder, plan.calls)
                return Growth(calls, before, _settled(gateway.process))

        variants = [variant for variant in plan.variants if variant.name == MODELYARD]
        results.growth = _each(plan, results, "growth", 1, variants, measure)


def _calls(gateway: Gateway, folder: Path, count: int) -> int:
    """At least so many calls, in runs of a known length (wrk is bounded by time, not by count)."""
    made = 0
    ends = time.monotonic() + GROWTH_SECONDS
    while made < count:
        if time.monotonic() > ends:
            raise Failed(f"only {made} of {count} calls within {GROWTH_SECONDS:.0f} s")
        made += _load(gateway, folder, CONNECTIONS, 5).requests
    return made


def _settled(process: Process) -> float:
    time.sleep(SETTLE_SECONDS)
    return process.rss_megabytes()


def translated_deltas(plan: Plan, results: Results) -> None:
    """What one translated text delta costs, from each dialect to each: without a server, in a process of its own."""
    command = pinned(GATEWAY_CORE, [sys.executable, "-m", "bench.deltas"])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DELTA_SECONDS, check=False, env=clean_environment({})
        )
    except subprocess.TimeoutExpired as problem:
        raise Failed("the translation of deltas did not end in time") from problem
    if done.returncode != 0:
        raise Failed(f"deltas could not be translated: {done.stderr.strip()[-200:]}")
    for backend, caller, costs, wrong in json.loads(done.stdout):
        if wrong is not None:
            results.problems[f"delta, {backend} for {caller}: {wrong}"] = None
            say(f"delta {backend} for {caller}: FAILED: {wrong}")
            continue
        results.deltas.append(Delta(backend, caller, min(costs), statistics.median(costs)))
        say(f"delta {results.deltas[-1]}")
