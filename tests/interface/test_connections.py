"""Connections: added, tested, changed, switched, deleted; those of the environment are read-only; no secret stays on the page."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.control.attacking import run_stranger
from tests.interface.browser import NARROW, WIDE, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.servers import run_scripted
from tests.yard import Yard, run_yard

SECRET = "sk-canary-of-the-interface-0123456789"
HEADER = "header-canary-of-the-interface-0123"
# Refusals that a test causes on purpose; the browser logs them, the page has to tell them.
REFUSED = ("status of 409", "status of 422")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A server with an administrator and nothing connected."""
    with run_yard(tmp_path_factory.mktemp("plain") / "data", ADMINISTRATOR) as running:
        yield running


@pytest.fixture(autouse=True)
def cleared(house: Yard) -> Iterator[None]:
    """Whatever a test connects is gone after it."""
    yield
    for row in rows(house):
        if row["source"] == "database":
            house.admin.delete(f"/api/v1/connections/{row['id']}")


def rows(yard: Yard) -> list[dict]:
    return yard.admin.get("/api/v1/connections").json()["items"]


def stored(yard: Yard, name: str) -> dict:
    return next(row for row in rows(yard) if row["name"] == name)


def row_of(page: Page, name: str):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def open_section(page: Page, name: str) -> None:
    page.get_by_role("dialog").locator("summary", has_text=name).click()


def nothing_secret(page: Page, *secrets: str) -> None:
    values = page.evaluate("[...document.querySelectorAll('input, textarea')].map((field) => field.value).join('\\n')")
    for secret in secrets:
        assert secret not in page.content()
        assert secret not in values


def test_nothing_is_connected(browser, plain):
    with opened(browser, plain.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/connections")
        expect(page.get_by_text("Nothing is connected yet")).to_be_visible()
        expect(page.get_by_role("link", name="Look on this machine")).to_have_attribute("href", re.compile("/welcome$"))
        picture(page, "connections-empty")
        assert faults(page) == []


def test_a_connection_is_tested_and_made(page, house, engine):
    page.goto("/connections")
    page.get_by_role("button", name="New connection").click()
    drawer = page.get_by_role("dialog")
    expect(page).to_have_url(re.compile(r"\?new=1$"))
    expect(drawer.get_by_role("button", name="Create")).to_be_disabled()
    drawer.get_by_label("Kind").select_option("llama.cpp")
    expect(drawer.get_by_label("Address")).to_have_value("http://127.0.0.1:8080")
    drawer.get_by_label("Address").fill("http://127.0.0.1:9")
    drawer.get_by_role("button", name="Test").click()
    expect(drawer.get_by_text("It does not work")).to_be_visible()
    picture(page, "connections-new-fails")
    drawer.get_by_label("Address").fill(engine.base_url)
    expect(drawer.get_by_text("It does not work")).to_be_hidden()
    drawer.get_by_label("API key 1").fill(SECRET)
    drawer.get_by_role("button", name="Test").click()
    expect(drawer.get_by_role("list", name="Offered models")).to_contain_text("tiny-llama")
    assert len(rows(house)) == 1
    open_section(page, "Model names and filter")
    drawer.get_by_label("Prefix").fill("second")
    open_section(page, "Headers")
    drawer.get_by_role("button", name="Add header").click()
    drawer.get_by_label("Header 1, name").fill("x-team")
    drawer.get_by_label("Header 1, value").fill(HEADER)
    assert faults(page) == []
    picture(page, "connections-new-works")
    drawer.get_by_role("button", name="Create").click()
    expect(drawer).to_be_hidden()
    expect(row_of(page, "llama.cpp")).to_contain_text("Up")
    made = stored(house, "llama.cpp")
    assert (made["flavour"], made["prefix_id"], made["error"]) == ("llama.cpp", "second", None)
    assert made["api_keys"] == ["********6789"]
    assert "second.tiny-llama" in [model["id"] for model in house.admin.get("/v1/models").json()["data"]]
    page.get_by_role("link", name="llama.cpp", exact=True).click()
    expect(page).to_have_url(re.compile(rf"\?id={made['id']}$"))
    expect(page.get_by_role("dialog")).to_contain_text("********6789")
    nothing_secret(page, SECRET, HEADER)
    assert faults(page) == []


def test_a_change_keeps_the_secrets_that_were_not_typed_again(browser, house):
    with run_stranger() as backend, opened(browser, house.url, expected=REFUSED) as page:
        sign_in(page, EMAIL, PASSWORD)
        house.connect("team", backend.url, api_keys=[SECRET, SECRET[::-1]], headers={"x-team": HEADER})
        page.goto(f"/connections?id={stored(house, 'team')['id']}")
        drawer = page.get_by_role("dialog")
        drawer.get_by_label("Name", exact=True).fill("team two")
        drawer.get_by_role("button", name="Remove key 2").click()
        open_section(page, "Timeouts")
        drawer.get_by_label("First byte").fill("120")
        drawer.get_by_label("Idle").fill("")
        open_section(page, "Limits")
        drawer.get_by_label("Requests per minute").fill("30")
        open_section(page, "TLS")
        drawer.get_by_label("CA file").fill("/nowhere.pem")
        drawer.get_by_role("button", name="Save").click()
        expect(drawer.get_by_text("There is no such file on the server")).to_be_visible()
        expect(drawer.get_by_label("First byte")).to_have_value("120")
        drawer.get_by_label("CA file").fill("")
        drawer.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved team two")).to_be_visible()
        expect(drawer.get_by_role("button", name="Save")).to_be_disabled()
        kept = stored(house, "team two")
        assert (len(kept["api_keys"]), list(kept["headers"]), kept["limits"]["rpm"]) == (1, ["x-team"], 30)
        assert kept["timeouts"] == {"connect": 5, "first_byte": 120, "idle": 60}
        backend.seen.clear()
        assert house.admin.post(f"/api/v1/connections/{kept['id']}/verify").json()["ok"]
        assert backend.was_told(SECRET)
        assert backend.was_told(HEADER)
        drawer.get_by_label("Address").fill("http://127.0.0.1:9")
        drawer.get_by_role("button", name="Save").click()
        expect(drawer.get_by_text("give its API keys again")).to_be_visible()
        asked = page.get_by_role("dialog", name="Leave without saving?")
        page.keyboard.press("Escape")
        asked.get_by_role("button", name="Stay").click()
        expect(asked).to_have_count(0)
        expect(drawer.get_by_label("Address")).to_have_value("http://127.0.0.1:9")
        page.keyboard.press("Escape")
        asked.get_by_role("button", name="Leave").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        nothing_secret(page, SECRET, HEADER)


def test_a_name_that_is_taken_is_told_at_the_field(browser, house, engine):
    with opened(browser, house.url, expected=REFUSED) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/connections?new=1")
        drawer = page.get_by_role("dialog")
        drawer.get_by_label("Kind").select_option("vllm")
        drawer.get_by_label("Address").fill(engine.base_url)
        drawer.get_by_label("Name", exact=True).fill("openai")
        drawer.get_by_role("button", name="Create").click()
        expect(drawer.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
        expect(drawer.get_by_text("There is a connection named 'openai' already.")).to_be_visible()
        drawer.get_by_label("Name", exact=True).fill("other")
        drawer.get_by_label("Address").fill("127.0.0.1:8000")
        drawer.get_by_label("Address").blur()
        expect(drawer.get_by_label("Address")).to_have_value("http://127.0.0.1:8000")
        drawer.get_by_label("Address").fill("ftp://127.0.0.1")
        drawer.get_by_role("button", name="Create").click()
        expect(drawer.get_by_text("It must start with http://")).to_be_visible()
        assert faults(page) == []
        picture(page, "connections-fault")


def test_one_of_the_environment_is_shown_and_not_changed(page, house):
    page.goto("/connections")
    row = row_of(page, "openai")
    expect(row).to_contain_text("environment")
    expect(row.get_by_role("switch")).to_be_disabled()
    row.get_by_role("button", name="More actions").click()
    expect(page.get_by_role("menuitem", name="Edit")).to_be_visible()
    expect(page.get_by_role("menuitem")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    page.get_by_role("link", name="openai", exact=True).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("so it is read-only here")).to_be_visible()
    expect(drawer.get_by_label("Address")).to_be_disabled()
    expect(drawer.get_by_role("button", name="Save")).to_have_count(0)
    expect(drawer.get_by_role("button", name="Delete")).to_have_count(0)
    drawer.get_by_role("button", name="Test").click()
    expect(drawer.get_by_text("It works: 1 model")).to_be_visible()
    picture(page, "connections-environment")
    assert faults(page) == []


def test_a_connection_is_switched_off_and_on(page, house, upstream):
    house.connect("switched", upstream.base_url, prefix_id="sw", model_ids=["echo"])
    page.goto("/connections")
    row = row_of(page, "switched")
    row.get_by_role("switch", name="switched on").click()
    expect(row).to_contain_text("Off")
    assert not stored(house, "switched")["enable"]
    row.get_by_role("switch").click()
    expect(row).to_contain_text("Up")
    assert "sw.echo" in [model["id"] for model in house.admin.get("/v1/models").json()["data"]]


def test_a_search_finds_by_name_tag_and_address(page, house, upstream):
    house.connect("gpu", upstream.base_url, tags=["fast"], enable=False)
    page.goto("/connections")
    page.get_by_role("searchbox").fill("fast off")
    expect(page).to_have_url(re.compile("query=fast"))
    expect(row_of(page, "openai")).to_have_count(0)
    expect(row_of(page, "gpu")).to_be_visible()
    page.reload()
    expect(row_of(page, "gpu")).to_be_visible()
    expect(row_of(page, "openai")).to_have_count(0)
    page.get_by_role("searchbox").fill("nowhere")
    expect(page.get_by_text("No connection matches this search.")).to_be_visible()


def test_one_without_secrets_is_deleted_at_once_and_brought_back(page, house, upstream):
    house.connect("local", upstream.base_url, prefix_id="local", model_ids=["echo"], priority=3, tags=["a"])
    form = {"id": "on-local", "name": "on-local", "base_model_id": "local.echo"}
    assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    page.goto("/connections")
    row_of(page, "local").get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_text("Deleted local. 1 preset has lost the base model")).to_be_visible()
    expect(row_of(page, "local")).to_have_count(0)
    assert [row["name"] for row in rows(house)] == ["openai"]
    page.get_by_role("button", name="Undo").click()
    expect(row_of(page, "local")).to_be_visible()
    kept = stored(house, "local")
    assert (kept["priority"], kept["tags"], kept["model_ids"]) == (3, ["a"], ["echo"])
    house.admin.post("/api/v1/models/model/delete", json={"id": "on-local"})


def test_one_with_secrets_is_deleted_after_a_question(page, house, upstream):
    row = house.connect("precious", upstream.base_url, prefix_id="pr", model_ids=["echo"], api_keys=[SECRET])
    page.goto(f"/connections?id={row['id']}")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete “precious”?")
    expect(question).to_contain_text("1 model (pr.echo) stops working. No preset depends on it.")
    expect(question).to_contain_text("cannot be restored")
    picture(page, "connections-delete")
    assert faults(page) == []
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    assert len(rows(house)) == 2
    # What was typed before the question is still not lost without one.
    drawer = page.get_by_role("dialog", name="precious")
    drawer.get_by_label("Name", exact=True).fill("changed")
    drawer.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stay").click()
    drawer.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(row_of(page, "precious")).to_have_count(0)
    expect(page).to_have_url(re.compile("/connections$"))
    assert [row["name"] for row in rows(house)] == ["openai"]


def test_a_dead_backend_is_down_with_its_reason_and_every_page_works(page, house):
    with run_scripted() as dying:
        house.connect("dying", dying.base_url, prefix_id="dying")
    page.goto("/connections")
    page.get_by_role("button", name="Check all").click()
    row = row_of(page, "dying")
    expect(row).to_contain_text("Down")
    # The address has its own column: here stands the cause alone.
    expect(row.get_by_role("paragraph")).to_have_text("Connection refused. Is it running?")
    expect(row_of(page, "openai")).to_contain_text("Up")
    picture(page, "connections-dead")
    assert faults(page) == []
    for path, heading, content in (
        ("/overview", "Overview", "1 of 2 connections is down."),
        ("/welcome", "Where are your models?", "dying"),
        ("/models?tab=base", "Models", "dying.broken-line"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_role("main").get_by_text(content).first).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(0)


def test_a_server_that_fails_is_told_with_a_way_to_try_again(browser, house):
    with opened(browser, house.url, expected=("status of 403",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        broken = {"status": 403, "json": {"detail": "A proxy in between refused this."}}
        page.route("**/api/v1/connections", lambda route: route.fulfill(**broken))
        page.goto("/connections")
        expect(page.get_by_role("alert")).to_contain_text("A proxy in between refused this.")
        picture(page, "connections-error")
        page.unroute("**/api/v1/connections")
        page.get_by_role("button", name="Try again").click()
        expect(row_of(page, "openai")).to_be_visible()


def test_hostile_names_are_text_and_nothing_overflows(browser, house, upstream):
    hostile = "<img src=x onerror=alert(1)> " + "long-" * 14
    house.connect(hostile, upstream.base_url, tags=["<b>tag</b>"], prefix_id="h")
    house.connect("\u0645\u0648\u062f\u064a\u0644", "http://127.0.0.1:9", kind="ollama", tags=["one", "two", "three"])
    for size, theme, name in ((NARROW, "dark", "narrow-dark"), (NARROW, "light", "narrow"), (WIDE, "dark", "dark")):
        with opened(browser, house.url, theme=theme) as page:
            signed_in(page, EMAIL, PASSWORD)
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.goto("/connections")
            expect(page.get_by_role("link", name=hostile)).to_be_visible()
            assert_fits(page)
            expect(page.locator("img[src=x]")).to_have_count(0)
            picture(page, f"connections-full-{name}")
            assert faults(page) == []
            page.get_by_role("link", name=hostile).click()
            expect(page.get_by_role("dialog").get_by_label("Address")).to_be_visible()
            assert_fits(page)
            picture(page, f"connections-drawer-{name}")


def test_it_is_not_for_everybody(browser, house):
    form = {"email": "plain@example.com", "password": PASSWORD, "role": "user", "name": "Plain"}
    assert house.admin.post("/api/v1/users/", json=form).status_code == 200
    with opened(browser, house.url) as page:
        sign_in(page, "plain@example.com", PASSWORD)
        for path in ("/connections", "/welcome", "/overview"):
            page.goto(path)
            expect(page.get_by_text("You don't have access to this page")).to_be_visible()
