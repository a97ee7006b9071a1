"""Debian's Chromium, driven by Playwright: pages that fail a test when they throw, break the security policy, or ask for
what is not there; pictures of them; and axe's opinion."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui/node_modules/axe-core/axe.min.js"
# Where pictures go: a folder that is looked at, not kept.
PICTURES = Path(os.environ.get("MODELYARD_PICTURES", ROOT / "build/pictures"))

DEADLINE_MS = 20_000
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
