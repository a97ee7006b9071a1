"""The results as Markdown: medians over the rounds, and ratios taken within each round."""

# ruff: noqa: RUF001 -- the report is for people: a multiplication sign and a dash are what is meant

import statistics
from collections.abc import Callable, Mapping
from typing import TypeVar

from bench import bodies, governed, interface, large_catalogue, streams
from bench.catalogue import CHANGE, LATER, SEARCH
from bench.circumstances import circumstances, processor
from bench.sections import (
    CONNECTIONS,
    DELTA_ROUNDS,
    DELTAS,
    GROWTH_CALLS,
    MODELS,
    PAIRS,
    RESPONSES,
    SETTLE_SECONDS,
    Hub,
    Ladder,
    Plan,
    Requests,
    Results,
)
from bench.tables import NOTHING, Target, median, number, table
from bench.variants import HUB_ANTHROPIC, MODELYARD, PASSING, Variant

_Sample = TypeVar("_Sample")
BARE, DIRECT, PORTKEY, LITELLM = "bare", "direct", "portkey", "litellm"


def markdown(results: Results, plan: Plan, command: str, seconds: float) -> str:
    lines = [f"# Benchmarks on {processor()}", "", *circumstances(plan, command, seconds), ""]
    targets = _targets(results)
    measured = [target for target in targets if target.figure is not None]  # what went wrong stands under Problems
    if measured:
        lines += ["## Must reach", "", *table(["Target", "Wanted", "Measured", "Reached"], [t.row() for t in measured])]
        lines += ["", f"Modelyard is `{MODELYARD}` here: its own upstream client, one worker, everything on.", ""]
    for section in SECTIONS:
        part = section(results, plan)
        lines += [*part, ""] if part else []
    if results.problems:
        lines += ["## Problems", "", *(f"- {problem}" for problem in results.problems), ""]
    return "\n".join(lines).rstrip() + "\n"


# Figures.


def _paired(
    found: Mapping[str, Mapping[int, _Sample]], name: str, other: str, figure: Callable[[_Sample, _Sample], float]
) -> float | None:
    """The median of a figure computed from two variants in the same round."""
    ours, theirs = found.get(name, {}), found.get(other, {})
    return median(figure(ours[each], theirs[each]) for each in ours if each in theirs)


def _rate_ratio(results: Results, name: str, other: str) -> float | None:
    return _paired(results.requests, name, other, lambda ours, theirs: ours.many.per_second / theirs.many.per_second)


def _targets(results: Results) -> list[Target]:
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
            _paired(results.requests, MODELYARD, BARE, lambda ours, theirs: ours.one.p50_ms - theirs.one.p50_ms),
            digits=3,
        ),
        Target(
            f"p99 at {CONNECTIONS} connections against bare's",
            1.5,
            "×",
            _paired(results.requests, MODELYARD, BARE, lambda ours, theirs: ours.many.p99_ms / theirs.many.p99_ms),
        ),
        Target("Concurrent streams", 500, "", _largest(results.streams, MODELYARD), True, 0),
        Target("Idle memory", 120, "MB", median(_idle(results)), digits=0),
        Target("First 200 of /health", 2.5, "s", median(start.seconds for start in starts)),
        Target(f"GET /v1/models with {MODELS:,} models, p50 ({where})", 2, "ms", median(told or seen)),
        Target(
            f"Memory growth over {GROWTH_CALLS:,} calls",
            10,
            "MB",
            median(each.after - each.before for each in grown if each.calls >= GROWTH_CALLS),
            digits=1,
        ),
        Target(
            "Requests/s of the hub lane (OpenAI in, Anthropic out, tools) against our own pass-through with the same body",
            0.5,
            "×",
            _hub_ratio(results, HUB_ANTHROPIC),
            at_least=True,
        ),
        Target("Concurrent translated streams", 300, "", _largest(results.hub_streams, HUB_ANTHROPIC), True, 0),
        Target(
            "One translated text delta, the worst of the nine pairs of dialects",
            10,
            "µs",
            _worst_delta(results),
        ),
        Target("A page of 10,000 models with search, tag and access, p95", 30, "ms", _p95(results, SEARCH), digits=1),
        Target("`GET /api/models` after the first, p95", 10, "ms", _p95(results, LATER), digits=1),
        Target("A change until it is in force, p95", 150, "ms", _p95(results, CHANGE), digits=0),
        Target(
            "First load of a start page, scripts",
            100,
            "kB",
            interface.largest_visit(results),
            digits=0,
        ),
        Target("A page of the interface until it answers a key", 1000, "ms", interface.slowest_page(results), digits=0),
        Target(
            f"Longest task, {interface.SCROLLING}",
            50,
            "ms",
            interface.longest_task(results, interface.SCROLLING),
            digits=0,
        ),
        Target(
            f"Longest task, {interface.STREAMING}",
            50,
            "ms",
            interface.longest_task(results, interface.STREAMING),
            digits=0,
        ),
    ]


def _p95(results: Results, name: str) -> float | None:
    return median(timed.p95_ms for timed in results.catalogue if timed.name == name)


def _worst_delta(results: Results) -> float | None:
    """Of the nine pairs; nothing when one of them could not be measured, as it might be the worst."""
    costs = [each.median for each in results.deltas if each.caller != RESPONSES]
    return max(costs) if len(costs) == PAIRS else None


def _largest(found: Mapping[str, Mapping[int, Ladder]], name: str) -> int | None:
    """The middle one of the rounds' largest good numbers; the lower one of two."""
    largest = [ladder.best.streams if ladder.best is not None else 0 for ladder in found.get(name, {}).values()]
    return statistics.median_low(largest) if largest else None


def _hub_ratio(results: Results, name: str) -> float | None:
    return _paired(results.hub, name, PASSING, lambda ours, theirs: ours.many.per_second / theirs.many.per_second)


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
            number(median(sample.many.p50_ms for sample in samples)),
            number(median(sample.many.p99_ms for sample in samples)),
            number(median(sample.one.p50_ms for sample in samples), 3),
            number(median(sample.one.p99_ms for sample in samples), 3),
        ]
        if variant.launch is None:
            row += [NOTHING] * 3
        else:
            row += [
                number(median(sample.cpu_microseconds for sample in samples), 0),
                number(median(sample.rss_idle for sample in samples), 0),
                number(median(sample.rss_after for sample in samples), 0),
            ]
        row += [number(_rate_ratio(results, variant.name, other)) for other in (BARE, PORTKEY, LITELLM)]
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
    return ["## Requests", "", *table(heads, rows), "", note]


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
        + [number(_paired(results.requests, variant.name, other, figure), digits) for other, figure, digits in figures]
        for variant in plan.variants
        if variant.launch is not None
    ]
    return ["## Latency", "", *table(heads, rows)]


def _ladder_table(variants: list[Variant], found: Mapping[str, Mapping[int, Ladder]]) -> list[str]:
    heads = ["Variant", "largest good number", "per round", "first frame p50, ms", "first frame p99, ms"]
    heads += ["largest gap, ms", "the next fails by"]
    rows = []
    for variant in variants:
        ladders = list(found.get(variant.name, {}).values())
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
    return table(heads, rows)


_GOOD_STREAMS = (
    f"{streams.FRAMES} deltas 20 ms apart per stream, starts spread over {streams.START_SPREAD_SECONDS:g} s. Good:"
    f" no frame lost, no gap over {streams.LARGEST_GAP_SECONDS * 1000:.0f} ms, first frame p99 within"
    f" {streams.LARGEST_FIRST_FRAME_SECONDS * 1000:.0f} ms; a number that fails is tried once more."
)


def _streams(results: Results, plan: Plan) -> list[str]:
    if not results.streams:
        return []
    note = " What `direct` cannot carry is the limit of upstream and driver, which share a core."
    return ["## Streams", "", *_ladder_table(plan.variants, results.streams), "", _GOOD_STREAMS + note]


def _starts(results: Results, plan: Plan) -> list[str]:
    rows = [
        [
            name,
            number(median(start.seconds for start in rounds.values())),
            number(max(start.seconds for start in rounds.values())),
            number(median(start.rss_idle for start in rounds.values()), 0),
        ]
        for name, rounds in results.starts.items()
    ]
    heads = ["Variant", "first healthy answer, s", "slowest, s", "idle, MB"]
    return ["## Start", "", *table(heads, rows), "", "With an empty data directory."] if rows else []


def _models(results: Results, plan: Plan) -> list[str]:
    rows = [
        [
            name,
            str(min(each.models for each in rounds.values())),
            number(median(each.kilobytes for each in rounds.values()), 0),
            number(median(each.client_p50_ms for each in rounds.values())),
            number(median(each.client_p99_ms for each in rounds.values())),
            number(median(each.overhead_p50_ms for each in rounds.values() if each.overhead_p50_ms is not None)),
        ]
        for name, rounds in results.models.items()
    ]
    heads = ["Variant", "models", "answer, kB", "client p50, ms", "client p99, ms", "its own clock p50, ms"]
    return ["## Model list", "", *table(heads, rows), "", "`GET /v1/models` at 1 connection."] if rows else []


def _growth(results: Results, plan: Plan) -> list[str]:
    rows = [
        [name, f"{each.calls:,}", number(each.before, 1), number(each.after, 1), number(each.after - each.before, 1)]
        for name, rounds in results.growth.items()
        for each in rounds.values()
    ]
    heads = ["Variant", "calls", "before, MB", "after, MB", "growth, MB"]
    return ["## Memory growth", "", *table(heads, rows)] if rows else []


def _hub(results: Results, plan: Plan) -> list[str]:
    if not results.hub:
        return []
    heads = ["Variant", f"requests/s @{CONNECTIONS}", "p50, ms", "p99, ms", "CPU/request, µs"]
    heads += ["× passing", "added CPU over passing, µs", "ledger exact"]
    rows = []
    for variant in plan.hub:
        samples = list(results.hub.get(variant.name, {}).values())
        if not samples:
            rows.append([variant.name] + [NOTHING] * (len(heads) - 1))
            continue
        rates = [sample.many.per_second for sample in samples]
        checked = [sample.governed.exact for sample in samples if sample.governed is not None]
        rows.append(
            [
                variant.name,
                f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
                number(median(sample.many.p50_ms for sample in samples)),
                number(median(sample.many.p99_ms for sample in samples)),
                number(median(sample.cpu_microseconds for sample in samples), 0),
                number(_hub_ratio(results, variant.name)),
                number(_paired(results.hub, variant.name, PASSING, _added_cpu), 0),
                NOTHING if not checked else "yes" if all(checked) else "**no**",
            ]
        )
    note = (
        f"One call of {len(bodies.openai_tools()) / 1000:.1f} kB (a system prompt, a question, four tools), answered"
        " whole with about 1 kB that holds a call of a tool; everything on. `passing`: OpenAI's dialect in and out, so"
        " nothing is translated; `hub anthropic` and `hub ollama`: OpenAI's in, theirs out; `hub in`: Anthropic's in,"
        " OpenAI's out."
    )
    return ["## Translation hub", "", *table(heads, rows), "", note]


def _added_cpu(ours: Hub, theirs: Hub) -> float:
    return ours.cpu_microseconds - theirs.cpu_microseconds


def _hub_streams(results: Results, plan: Plan) -> list[str]:
    if not results.hub_streams:
        return []
    variants = [variant for variant in plan.hub if variant.ladder]
    note = " Frames are found by their number in what the caller gets, in OpenAI's dialect."
    return ["## Translated streams", "", *_ladder_table(variants, results.hub_streams), "", _GOOD_STREAMS + note]


def _deltas(results: Results, plan: Plan) -> list[str]:
    if not results.deltas:
        return []
    rows = [[each.backend, each.caller, number(each.median), number(each.best)] for each in results.deltas]
    note = (
        f"CPU of {DELTAS:,} events of one text delta each, fed one by one, from the backend's bytes to the"
        f" caller's; {DELTA_ROUNDS} times, without a server. The target is that of the nine pairs; callers of"
        f" `{RESPONSES}` are listed as well."
    )
    return ["## One translated delta", "", *table(["Backend", "Caller", "median, µs", "best, µs"], rows), "", note]


def _catalogue(results: Results, plan: Plan) -> list[str]:
    if not results.catalogue:
        return []
    rows = [[each.name, f"{each.calls:,}", number(each.p50_ms), number(each.p95_ms)] for each in results.catalogue]
    note = (
        f"{large_catalogue.MODELS:,} models, {large_catalogue.USERS:,} users, {large_catalogue.GROUPS} groups and"
        f" {large_catalogue.GRANTS:,} grants on SQLite; an ordinary user in {large_catalogue.GROUPS_OF_A_USER} groups unless"
        " it says otherwise, at 1 connection."
    )
    return ["## Large catalogue", "", *table(["Call", "calls", "p50, ms", "p95, ms"], rows), "", note]


SECTIONS = (
    *(_requests, _latency, _streams, _starts, _models, _growth, _hub, _hub_streams, _deltas, _catalogue),
    interface.section,
)
