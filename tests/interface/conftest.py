"""A real browser in front of a real server with a real llama.cpp behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.chromium import launch
from tests.engine import Engine
from tests.interface.browser import DEADLINE_MS, opened, signed_in
from tests.yard import Yard, run_yard

EMAIL = "admin@example.com"
PASSWORD = "correct horse battery staple"
ADMINISTRATOR = {"MODELYARD_ADMIN_EMAIL": EMAIL, "MODELYARD_ADMIN_PASSWORD": PASSWORD}


# They look at many pages one after the other, and each may take its time on a busy machine.
MOST_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(MOST_SECONDS))


# Not for the whole session: while it runs, Playwright keeps an event loop in this thread, beside which tests of other files
# could run none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file; every page has a profile of its own."""
    expect.set_options(timeout=DEADLINE_MS)  # on a busy machine a page may take longer than Playwright's five seconds
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="module")
def house(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A server with an administrator (EMAIL, PASSWORD) and llama.cpp connected from the environment: model `tiny-llama`.
    `house.admin` is a client of its API."""
    environment = {**ADMINISTRATOR, "OPENAI_API_BASE_URL": engine.base_url}
    with run_yard(tmp_path_factory.mktemp("house") / "data", environment) as running:
        yield running


@pytest.fixture
def page(browser: Browser, house: Yard) -> Iterator[Page]:
    """A page of the administrator, signed in and not yet anywhere."""
    with opened(browser, house.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        yield page
