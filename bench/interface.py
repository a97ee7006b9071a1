"""The web interface in Debian's Chromium: how soon a page answers a key, and what scrolling and streaming cost it."""

import gzip
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, Response, sync_playwright

from bench.chromium import SCROLL, TRACED, launch, tasks_of
from bench.processes import GATEWAY_CORE, LOAD_CORE, PINNED, Failed, free_port, started, wait_until_healthy
from bench.sections import PageWork, Plan, Results, Visit, say
from bench.tables import median, number, table

EMAIL = "bench@example.com"
START_SECONDS = 30.0
DEADLINE_MS = 60_000
ADDRESSES = ("/overview", "/models", "/playground")  # where a person lands, or goes first
LISTED = 5_000
PANES = 4
TOKENS, TOKENS_PER_SECOND = 300, 50
LONG_TASK_MS = 50
SCROLLING = f"scrolling {LISTED:,} models"
STREAMING = f"{PANES} answers at {TOKENS_PER_SECOND} tokens/s"

# From the first frame that shows the page's title, a key is pressed; the page answers it with the list of its keys.
WATCH = """(() => {
  let pressed = -Infinity;
  const look = () => {
    const now = performance.now();
    if (document.querySelector("main h1")) window.shown ??= now;
    if (document.querySelector("[role=dialog]")) return void (window.answered = now);
    if (window.shown !== undefined && now - pressed > 100) {
      pressed = now;
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""


@dataclass(frozen=True)
class Site:
    """A running server, and an administrator's session."""

    url: str
    session: str


def interface(plan: Plan, results: Results) -> None:
    """First visits, a list of 5,000 models that is scrolled, four models that answer at once."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as name,
            _server(Path(name), plan) as site,
            _on_every_core(),
            sync_playwright() as playwright,
        ):
            browser = launch(playwright)
            try:
                _measure(plan, results, browser, site)
            finally:
                browser.close()
    except Error as problem:
        raise Failed(f"the browser: {problem.message.splitlines()[0]}") from problem


def _measure(plan: Plan, results: Results, browser: Browser, site: Site) -> None:
    for turn in range(plan.rounds):
        for address in ADDRESSES:
            results.visits.append(_visit(browser, site, address))
            say(f"interface {turn + 1}/{plan.rounds} {results.visits[-1]}")
    for turn in range(plan.rounds):
        for measure in (_scrolled, _streamed):
            results.page_work.append(measure(browser, site))
            say(f"interface {turn + 1}/{plan.rounds} {results.page_work[-1]}")


def _visit(browser: Browser, site: Site, address: str) -> Visit:
    # Two visits: what the key loads is no part of the first one's scripts.
    scripts: list[Response] = []
    with _page(browser, site) as page:
        page.on("response", lambda answer: scripts.append(answer) if answer.url.endswith(".js") else None)
        page.goto(address)
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        size = sum(len(gzip.compress(script.body(), 9)) for script in scripts)
    with _page(browser, site) as page:
        page.add_init_script(WATCH)
        page.goto(address, wait_until="commit")
        page.get_by_role("dialog").wait_for()
        shown, answered = page.evaluate("[window.shown, window.answered]")
    return Visit(address, size / 1000, shown, answered)


def _scrolled(browser: Browser, site: Site) -> PageWork:
    with _page(browser, site) as page:
        page.goto("/models")
        page.get_by_role("link", name="Model 0000", exact=True).wait_for()
        with _watched(browser, page, SCROLLING) as found:
            page.evaluate(SCROLL)
            page.get_by_role("link", name=f"Model {LISTED - 1}", exact=True).wait_for()
    return found[0]


def _streamed(browser: Browser, site: Site) -> PageWork:
    with _page(browser, site) as page:
        page.goto("/playground?models=" + ",".join(f"pace-{index}" for index in range(PANES)))
        box = page.get_by_label("Message", exact=True).last
        box.fill("all four")
        with _watched(browser, page, STREAMING) as found:
            box.press("Enter")
            page.get_by_text("The answer is complete.").nth(PANES - 1).wait_for(state="attached")
        paces = [float(text) for text in page.locator("[data-figure=pace] span:first-child").all_inner_texts()]
        if len(paces) != PANES or min(paces) < TOKENS_PER_SECOND * 0.8:
            raise Failed(f"the answers came at {paces} tokens/s: what the page did at that pace means nothing")
    return found[0]


@contextmanager
def _watched(browser: Browser, page: Page, name: str) -> Iterator[list[PageWork]]:
    """Fills the list when it ends: with what Chromium's own trace says of the tasks of the page's main thread."""
    browser.start_tracing(page=page, categories=TRACED)
    began = time.monotonic()
    found: list[PageWork] = []
    yield found
    seconds = time.monotonic() - began
    tasks = tasks_of(browser.stop_tracing())
    if len(tasks) < seconds:
        raise Failed(f"{name}: a trace of {len(tasks)} tasks means nothing")
    over = sum(task.clock > LONG_TASK_MS for task in tasks)
    longest, longest_cpu = max(task.clock for task in tasks), max(task.cpu for task in tasks)
    found.append(PageWork(name, longest, longest_cpu, over, sum(task.cpu for task in tasks) / 1000 / seconds))


@contextmanager
def _page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of the administrator, in a profile of its own."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(DEADLINE_MS)
    context.add_cookies([{"name": "modelyard_session", "value": site.session, "url": site.url}])
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def _on_every_core() -> Iterator[None]:
    """The run itself stays on one core, but a person's browser has them all, whatever else is on them."""
    if not PINNED:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {GATEWAY_CORE, LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _server(folder: Path, plan: Plan) -> Iterator[Site]:
    """A server in front of the scripted upstream, with the models that are listed and those that answer."""
    port, backend, password = free_port(), free_port(), secrets.token_urlsafe(20)
    scripted = [sys.executable, "-m", "modelyard.upstream.scripted", "--port", str(backend)]
    serve = [plan.modelyard, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder / "data")]
    environment = {"MODELYARD_ADMIN_EMAIL": EMAIL, "MODELYARD_ADMIN_PASSWORD": password, "ENABLE_OLLAMA_API": "false"}
    with (
        started(scripted, LOAD_CORE, folder / "upstream.log", {}) as upstream,
        started(serve, GATEWAY_CORE, folder / "log", environment) as process,
    ):
        wait_until_healthy(upstream, backend, "/v1/models", START_SECONDS)
        wait_until_healthy(process, port, "/ready", START_SECONDS)
        url = f"http://127.0.0.1:{port}"
        session = str(_asked(url, "", "/api/v1/auths/signin", {"email": EMAIL, "password": password})["token"])
        connection = {
            "name": "paced",
            "kind": "openai",
            "base_url": f"http://127.0.0.1:{backend}/v1",
            "model_ids": ["lorem"],
            "headers": {"x-script-events": str(TOKENS)},
        }
        _asked(url, session, "/api/v1/connections", connection)
        _asked(url, session, "/api/v1/models/import", [*_listed(), *_paced()])
        yield Site(url, session)


def _listed() -> Iterator[dict[str, object]]:
    for index in range(LISTED):
        meta = {"tags": [f"tag{index % 30}", "all"], "description": "x" * 200}
        name = f"Model {index:04}"
        yield {"id": f"team/{index:04}", "name": name, "base_model_id": "lorem", "meta": meta, "params": {}}


def _paced() -> Iterator[dict[str, object]]:
    # Named so that they stand behind the others in the list.
    for index in range(PANES):
        yield {"id": f"pace-{index}", "name": f"Pace {index}", "base_model_id": "lorem", "meta": {}, "params": {}}


def _asked(url: str, session: str, path: str, body: object) -> Any:
    headers = {"content-type": "application/json", "authorization": f"Bearer {session}"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except OSError as problem:
        raise Failed(f"POST {path}: {problem}") from problem


# Of the report.


def largest_visit(results: Results) -> float | None:
    return max((visit.scripts_kilobytes for visit in results.visits), default=None)


def slowest_page(results: Results) -> float | None:
    """The median of the rounds, of the page where it is the largest."""
    medians = (statistics.median(visit.answered_ms for visit in visits) for visits in _by_address(results).values())
    return max(medians, default=None)


def longest_task(results: Results, name: str) -> float | None:
    """The median of the rounds' longest tasks."""
    return median(work.longest_ms for work in results.page_work if work.name == name)


def _by_address(results: Results) -> dict[str, list[Visit]]:
    found: dict[str, list[Visit]] = {}
    for visit in results.visits:
        found.setdefault(visit.address, []).append(visit)
    return found


def section(results: Results, plan: Plan) -> list[str]:
    """The part of the report; nothing when nothing was measured."""
    visits = [
        [
            f"`{address}`",
            number(median(visit.scripts_kilobytes for visit in rounds), 0),
            number(median(visit.shown_ms for visit in rounds), 0),
            number(median(visit.answered_ms for visit in rounds), 0),
            number(max(visit.answered_ms for visit in rounds), 0),
        ]
        for address, rounds in _by_address(results).items()
    ]
    work = [
        [
            name,
            number(median(one.longest_ms for one in rounds), 0),
            number(median(one.longest_cpu_ms for one in rounds), 0),
            ", ".join(str(one.over) for one in rounds),
            f"{statistics.median(one.busy for one in rounds):.0%}",
        ]
        for name in (SCROLLING, STREAMING)
        if (rounds := [one for one in results.page_work if one.name == name])
    ]
    if not visits and not work:
        return []
    of_visits = ["First visit", "scripts, kB (gzip)", "shown, ms", "answers a key, ms", "slowest, ms"]
    of_work = ["Work", "longest task, ms", "by processor time, ms", f"tasks over {LONG_TASK_MS} ms per round", "busy"]
    return [
        *("## Web interface", "", *table(of_visits, visits), ""),
        *("Chromium with an empty profile and the whole machine, from the start of the navigation.", ""),
        *(*table(of_work, work), "", "Tasks of the page's main thread, from Chromium's trace."),
    ]
