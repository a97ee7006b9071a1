"""Debian's Chromium, as the benchmark and the tests drive it, and what its trace says of a page's work."""

import json
from typing import NamedTuple

from playwright.sync_api import Browser, Playwright

EXECUTABLE = "/usr/bin/chromium"
# Nothing of the browser's own goes out to the network.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
TRACED = ["toplevel", "__metadata"]  # for `Browser.start_tracing`

# Scrolls a long page slowly, then fast, then to and fro, then to the end.
SCROLL = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const bottom = () => document.documentElement.scrollHeight;
  for (let step = 0; step < 120; step++) { scrollBy(0, 300); await frame(); }
  for (let step = 0; step < 120; step++) { scrollBy(0, 2000); await frame(); }
  for (let jump = 1; jump <= 10; jump++) {
    scrollTo(0, (bottom() * ((jump * 7) % 10)) / 10);
    for (let wait = 0; wait < 20; wait++) await frame();
  }
  scrollTo(0, bottom());
}"""


class Task(NamedTuple):
    """A task of a page's main thread, in milliseconds: by the clock, and what the processor gave it."""

    clock: float
    cpu: float


def launch(playwright: Playwright) -> Browser:
    """Chromium from Debian's package."""
    return playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)


def tasks_of(trace: bytes) -> list[Task]:
    """Every task of the main threads of the traced pages."""
    events = json.loads(trace)["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        Task(event["dur"] / 1000, event["tdur"] / 1000)
        for event in events
        if (event["pid"], event["tid"]) in threads and event["name"].endswith("::RunTask") and "tdur" in event
    ]
