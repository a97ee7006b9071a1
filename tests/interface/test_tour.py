"""The tour of docs/interface.md: every page of a server that is in use, wide and narrow, light and dark. axe finds nothing
serious on any, none is wider than its screen, and the pictures are those that the document shows."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import MIDDLE, NARROW, PICTURES, ROOT, WIDE, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.showcase import showcase
from tests.servers import free_port
from tests.yard import Yard

PRESET = "support/first-line"


def first(yard: Yard, path: str, field: str = "id") -> str:
    return str(yard.admin.get(path).json()["items"][0][field])


def someone(yard: Yard) -> str:
    return first(yard, "/api/v1/users/?query=research")


# Name of the picture, and where it is taken.
PAGES = {
    "overview": lambda yard: "/overview",
    "playground": lambda yard: "/playground?models=cloud.echo,cloud.lorem",
    "models": lambda yard: "/models",
    "base-models": lambda yard: "/models?tab=base",
    "editor": lambda yard: f"/models/edit?id={quote(PRESET)}",
    "history": lambda yard: f"/models/history?id={quote('code/review')}",
    "import": lambda yard: "/models/import",
    "deleted": lambda yard: "/models/deleted",
    "connections": lambda yard: "/connections",
    "connection": lambda yard: f"/connections?id={first(yard, '/api/v1/connections')}",
    "keys": lambda yard: "/keys",
    "people": lambda yard: "/people",
    "groups": lambda yard: "/people/groups",
    "permissions": lambda yard: (
        f"/people/permissions?view=access&user={someone(yard)}&model={quote('research/reader')}"
    ),
    "defaults": lambda yard: "/people/permissions",
    "audit": lambda yard: "/audit",
    "change": lambda yard: f"/audit?id={first(yard, '/api/v1/audit?action=model.updated', 'position')}",
    "settings": lambda yard: "/settings",
    "as-code": lambda yard: "/yard",
    "reference": lambda yard: "/reference",
    "account": lambda yard: "/account",
}
# What each shows once all is there.
SHOWN = {
    "overview": "studio.thinking", "playground": "to first token", "models": "First line support",
    "base-models": "cloud.echo", "editor": "Saved", "history": "Same change, same review", "import": "Choose a file",
    "deleted": "No deleted models", "connections": "Attic", "connection": "Timeouts", "keys": "nightly report",
    "people": "research@example.com", "groups": "Night shift", "permissions": "Allowed — ", "defaults": "Sharing",
    "audit": "nightly report", "change": "Temperature", "settings": "Default models", "as-code": "yard.schema.json",
    "reference": "Revoke key", "account": "This one", "revisions": "State before",
}  # fmt: skip
LOOKS = {
    "": (WIDE, "light"),
    "-dark": (WIDE, "dark"),
    "-middle": (MIDDLE, "light"),
    "-narrow": (NARROW, "light"),
    "-narrow-dark": (NARROW, "dark"),
}


@pytest.fixture(scope="module")
def yard(engine, upstream, tmp_path_factory) -> Iterator[Yard]:
    with showcase(engine, upstream, tmp_path_factory.mktemp("tour")) as running:
        running.wait_for_calls(5)
        yield running


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_fit_to_be_seen(browser, yard, look):
    size, theme = LOOKS[look]
    wrong: list[str] = []
    with opened(browser, yard.url, size=size, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        for name, address in PAGES.items():
            page.goto(address(yard))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            if name == "playground":
                ask(page)
            settled(page, name)
            picture(page, f"tour-{name}{look}")
            wrong += [f"{name}: {fault}" for fault in faults(page)]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wrong.append(f"{name}: wider than the screen")
    assert not wrong, "\n".join(wrong)


# Not those of models, which begin with a box to select each by.
LISTS = ("connections", "keys", "people", "groups", "audit", "revisions")
BEGINNINGS = """() => ["h1", "table th"].map(one => {
    const found = document.createTreeWalker(document.querySelector(`main ${one}`), NodeFilter.SHOW_TEXT);
    while (!found.nextNode().data.trim());
    const text = document.createRange();
    text.selectNodeContents(found.currentNode);
    return Math.round(text.getBoundingClientRect().left);
})"""


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_lists_begin_below_the_title_and_controls_are_of_one_height(browser, yard, size):
    addresses = {**PAGES, "revisions": lambda yard: "/yard?view=revisions"}
    document = yard.admin.get("/api/v1/yard").text.replace("temperature: 0.2", "temperature: 0.3")
    applied = yard.admin.post("/api/v1/yard/apply", json={"document": document, "keep": True})
    assert applied.status_code == 200, applied.text
    with opened(browser, yard.url, size=size) as page:
        sign_in(page, EMAIL, PASSWORD)
        for name in LISTS:
            page.goto(addresses[name](yard))
            settled(page, name)
            expect(page.get_by_role("table")).to_be_visible()
            title, column = page.evaluate(BEGINNINGS)
            assert title == column, name
            seen = "[...document.querySelectorAll('main .control')].filter(one => one.checkVisibility())"
            heights = f"{seen}.map(one => one.offsetHeight)"
            assert set(page.evaluate(heights)) <= {32}, name
        picture(page, f"lists-{size[0]}")


def test_every_page_is_usable_with_half_of_the_backends_dead(browser, yard):
    for name in ("Barn", "Cellar"):
        yard.connect(name, f"http://127.0.0.1:{free_port()}/v1", prefix_id=name.lower())
    with opened(browser, yard.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/overview")
        expect(page.get_by_text("3 of 6 connections are down.")).to_be_visible()
        for name, address in PAGES.items():
            page.goto(address(yard))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            if name == "playground":
                ask(page)
            settled(page, name)
            expect(page.get_by_role("alert"), name).to_have_count(0)


def ask(page: Page) -> None:
    """Both models at once; each has its figures below its answer."""
    question = (
        "## What is a base model?\n\n- It comes from a **connection**.\n- A *preset* builds on it.\n\n`modelyard chat`"
    )
    box = page.get_by_role("textbox").last
    box.fill(question)
    box.press("Enter")
    expect(page.get_by_text("to first token").first).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.locator("article").get_by_role("heading", name="What is a base model?")).to_be_visible()


def settled(page: Page, name: str) -> None:
    """All is there, and nothing is loading any more."""
    expect(page.locator("body")).to_contain_text(SHOWN[name])
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def test_the_document_shows_pictures_that_the_tour_makes():
    text = (ROOT / "docs/interface.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    shown = set(re.findall(r"\((?:docs/)?pictures/([\w-]+)\.png\)", text))
    made = {f"tour-{name}{look}" for name in PAGES for look in LOOKS}
    assert shown
    assert shown <= made
    assert {path.stem for path in (ROOT / "docs/pictures").glob("*.png")} == shown, f"copy them from {PICTURES}"
