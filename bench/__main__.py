"""`python -m bench`: measure, and print the table or write it to a file."""

import argparse
import os
import resource
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import load, sections
from bench.catalogue import catalogue
from bench.interface import interface
from bench.processes import LOAD_CORE, PINNED, ROOT, Failed
from bench.report import markdown
from bench.sections import Plan, Results, say
from bench.variants import HUB_VARIANTS, VARIANTS

SECTIONS: dict[str, Callable[[Plan, Results], None]] = {
    "requests": sections.requests,
    "latency": sections.requests,  # the same measurement, read differently
    "streams": sections.concurrent_streams,
    "start": sections.starts,
    "models": sections.model_lists,
    "growth": sections.growth,
    "hub": sections.hub,
    "hub-streams": sections.translated_streams,
    "delta": sections.translated_deltas,
    "catalogue": catalogue,
    "interface": interface,
}
# These measure the hub's variants, or none at all.
OF_THE_HUB = {"hub", "hub-streams", "delta", "catalogue", "interface"}


def main() -> int:
    arguments = _arguments()
    if sys.platform != "linux":
        print("bench reads /proc: it runs on Linux only", file=sys.stderr)
        return 2
    if not load.available():
        print(load.HOW_TO_INSTALL, file=sys.stderr)
        return 2
    _prepare()
    began = time.monotonic()
    chosen = [
        variant
        for variant in (*VARIANTS, *HUB_VARIANTS)
        if (not arguments.variants or variant.name in arguments.variants)
        and not (arguments.skip_peers and variant.peer is not None)
    ]
    variants = [variant for variant in chosen if variant in VARIANTS and not OF_THE_HUB.issuperset(arguments.only)]
    hub = [variant for variant in chosen if variant in HUB_VARIANTS]
    plan = Plan(variants, hub, arguments.rounds, arguments.seconds, arguments.calls, arguments.modelyard)
    results = Results()
    # A dictionary, because two names may mean one measurement.
    for measure in dict.fromkeys(SECTIONS[name] for name in arguments.only):
        try:
            measure(plan, results)
        except Failed as problem:
            results.problems[f"{measure.__name__}: {problem}"] = None
            say(f"{measure.__name__}: FAILED: {problem}")
    text = markdown(results, plan, _command(), time.monotonic() - began)
    if arguments.write is None:
        print(text)
    else:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(text)
        say(f"written to {arguments.write}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Modelyard side by side with others.")
    parser.add_argument("--quick", action="store_true", help="requests and latency only, no peers, 2 rounds of 2 s")
    parser.add_argument("--only", type=_names(list(SECTIONS)), help=", ".join(SECTIONS))
    parser.add_argument(
        "--variants", type=_names([v.name for v in (*VARIANTS, *HUB_VARIANTS)]), help="names, separated by commas"
    )
    parser.add_argument("--skip-peers", action="store_true", help="leave out LiteLLM and Portkey")
    parser.add_argument("--rounds", type=_positive, help="5 (2 with --quick)")
    parser.add_argument("--seconds", type=_positive, help="of each measurement of requests: 4 (2 with --quick)")
    parser.add_argument(
        "--calls", type=_positive, default=sections.GROWTH_CALLS, help="of the memory growth measurement"
    )
    beside = shutil.which("modelyard", path=str(Path(sys.executable).parent)) or "modelyard"
    parser.add_argument(
        "--modelyard", default=beside, help="the executable to measure (the other clients: this Python's)"
    )
    parser.add_argument("--write", type=Path, help="the Markdown file to write instead of printing")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.only = arguments.only or (["requests", "latency"] if quick else list(SECTIONS))
    arguments.rounds = arguments.rounds or (2 if quick else 5)
    arguments.seconds = arguments.seconds or (2 if quick else 4)
    arguments.skip_peers = arguments.skip_peers or quick
    return arguments


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _names(known: list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = [part.strip() for part in text.split(",") if part.strip()]
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return found

    return names


def _command() -> str:
    """The command as one would type it in the repository, whoever ran it from wherever."""
    executable = Path(sys.executable)
    shown = executable.relative_to(ROOT) if executable.is_relative_to(ROOT) else Path(executable.name)
    return shlex.join([str(shown), "-m", "bench", *sys.argv[1:]])


def _prepare() -> None:
    # A thousand streams are two thousand sockets in the gateway; children inherit the limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65_536), hard))
    if PINNED:
        # Polling for health must not take time from the gateway that is starting.
        os.sched_setaffinity(0, {LOAD_CORE})
    # Being terminated must run the `finally`s that end what was started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


if __name__ == "__main__":
    sys.exit(main())
