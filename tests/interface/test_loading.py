"""Every page while the server has not answered yet: its title, a skeleton that says so, and no error; then its content."""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.interface.browser import FIRST_QUESTIONS, faults, opened, picture, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.yard import Yard

MODEL = "team/preset"


@pytest.fixture(scope="module")
def yard(house: Yard) -> Yard:
    """The house with a preset, which has a version and an entry in the log."""
    form = {"id": MODEL, "name": "Preset", "base_model_id": "tiny-llama"}
    assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    return house


def pages(yard: Yard) -> Iterator[tuple[str, str, str, str]]:
    """Name, address, title while it is loading, and a text that is there once it is not."""
    connection = yard.admin.get("/api/v1/connections").json()["items"][0]["id"]
    (person,) = yard.admin.get("/api/v1/users/", params={"query": EMAIL}).json()["users"]
    entry = yard.admin.get("/api/v1/audit?action=model.created").json()["items"][0]["position"]
    model = quote(MODEL, safe="")
    yield "overview", "/overview", "Overview", "Preset"
    yield "playground", "/playground", "Playground", "Speed and token counts appear"
    yield "models", "/models", "Models", "tiny-llama"
    yield "base-models", "/models?tab=base", "Models", "tiny-llama"
    yield "deleted", "/models/deleted", "", ""
    yield "editor", f"/models/edit?id={model}", MODEL, "System prompt"
    yield "history", f"/models/history?id={model}", "", "built-in administrator"
    yield "connections", "/connections", "Connections", "environment"
    yield "connection", f"/connections?id={connection}", "Connections", "environment"
    yield "keys", "/keys", "Keys", "MODELYARD_ADMIN_API_KEY"
    yield "people", "/people", "People", EMAIL
    yield "person", f"/people?id={person['id']}", "People", EMAIL
    yield "groups", "/people/groups", "", "No groups yet"
    yield "permissions", "/people/permissions", "", "Sharing"
    yield "audit", "/audit", "Audit", "Created"
    yield "entry", f"/audit?id={entry}", "Audit", MODEL
    yield "settings", "/settings", "Settings", "Default models"
    yield "as-code", "/yard", "As code", "yard.schema.json"
    yield "revisions", "/yard?view=revisions", "As code", "No revisions yet"
    yield "reference", "/reference", "API", "Revoke key"
    yield "account", "/account", "Account", "127.0.0.1"
    yield "welcome", "/welcome", "", "tiny-llama"


class Gate:
    """Holds back what a page asks, but for who is there, until it is opened."""

    def __init__(self, page: Page) -> None:
        self.held: list[Route] = []
        self.closed = False
        page.route("**/api/**", self.asked)

    def asked(self, route: Route) -> None:
        if self.closed and urlsplit(route.request.url).path not in FIRST_QUESTIONS:
            self.held.append(route)
        else:
            route.continue_()

    def close(self) -> None:
        self.closed = True

    def open(self) -> None:
        self.closed = False
        while self.held:
            self.held.pop(0).continue_()


def test_every_page_says_that_it_is_loading(browser, yard):
    wrong: list[str] = []
    with opened(browser, yard.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        gate = Gate(page)
        for name, address, title, content in pages(yard):
            page.goto("about:blank")  # nothing of the page before is asked any more
            gate.close()
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_contain_text(title)
            loading = page.get_by_role("status", name="Loading")
            expect(loading.first).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
            wrong += [f"{name}: {fault}" for fault in faults(page)]
            picture(page, f"loading-{name}")
            gate.open()
            expect(loading).to_have_count(0)
            expect(page.locator("body")).to_contain_text(content)
            expect(page.get_by_role("alert")).to_have_count(0)
    assert not wrong, "\n".join(wrong)
