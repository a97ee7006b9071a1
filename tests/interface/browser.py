"""Debian's Chromium, driven by Playwright: pages that fail a test when they throw, break the security policy, or ask for
what is not there; pictures of them; and axe's opinion."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui/node_modules/axe-core/axe.min.js"
# Where pictures go: a folder that is looked at, not kept.
PICTURES = Path(os.environ.get("MODELYARD_PICTURES", ROOT / "build/pictures"))

# For what must come. It costs nothing when all is well, and a machine that does much else needs it.
DEADLINE_MS = 60_000
# Of the processor's time, what else runs on the machine not counted. The aim is 50 ms, and what it is `bench interface` tells;
# a machine that is ten times slower is no fault of a page, one that stands still is.
MOST_TASK_MS = 500
# What a page asks first; the refusal tells it that nobody is signed in.
FIRST_QUESTIONS = ("/api/v1/auths/", "/api/v1/config")

WIDE, MIDDLE, NARROW = (1440, 900), (1024, 768), (360, 740)


@contextmanager
def opened(
    browser: Browser, url: str, *, size: tuple[int, int] = WIDE, theme: str = "light", expected: tuple[str, ...] = ()
) -> Iterator[Page]:
    """A page of a fresh profile. At its end it must not have thrown, nor broken the policy, nor logged an error; errors
    that a test causes on purpose (a refused request) are named in `expected` by a part of their text or address."""
    context: BrowserContext = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=theme,  # type: ignore[arg-type]  # a literal, given as text by parametrised tests
        reduced_motion="reduce",
    )
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"thrown: {error}"))
    page.on(
        "console",
        lambda message: (
            found.append(f"logged: {message.text} {message.location.get('url', '')}")
            if message.type == "error"
            else None
        ),
    )
    try:
        yield page
    finally:
        if not page.is_closed():
            page.unroute_all(
                behavior="ignoreErrors"
            )  # a request that comes while the page goes has nobody to answer it
        context.close()
    # A browser logs every refused request; the page itself has to handle it, which the test then looks at.
    unexpected = [text for text in found if not any(part in text for part in (*FIRST_QUESTIONS, *expected))]
    assert not unexpected, unexpected


def signed_in(page: Page, email: str, password: str) -> None:
    """A session for a page that is opened next, without the form and the page behind it."""
    answer = page.context.request.post("/api/v1/auths/signin", data={"email": email, "password": password})
    assert answer.ok, answer.text()


def sign_in(page: Page, email: str, password: str) -> None:
    """Through the form, as a person does."""
    page.goto("/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#content").wait_for()


def signed_out(page: Page) -> None:
    """Waits for the page that signing out, or losing the account, leads to: a new document, whose form stays."""
    page.wait_for_url(re.compile(r"^http://[^/]+/$"))
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def press_together(page: Page, keys: str) -> None:
    """Keys of which the second counts only within a second of the first: as one step, however long the machine takes from
    one key to the next."""
    page.evaluate(
        """(keys) => {
            for (const key of keys)
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        }""",
        keys,
    )


def assert_fits(page: Page) -> None:
    """Nothing of the page is wider than its screen. A change of the screen's size takes a moment to be drawn."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.wait_for_function(
        "width => innerWidth === width && document.documentElement.scrollWidth <= innerWidth", arg=width
    )


def picture(page: Page, name: str, *, whole: bool = False) -> Path:
    """A screenshot in PICTURES."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole, animations="disabled")
    return path


def faults(page: Page) -> list[str]:
    """What axe finds serious or critical on the page as it is now, one line each."""
    page.evaluate(AXE.read_text("utf-8"))
    result: dict[str, Any] = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{fault['id']} ({fault['impact']}): {json.dumps([node['html'][:200] for node in fault['nodes'][:3]])}"
        for fault in result["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
