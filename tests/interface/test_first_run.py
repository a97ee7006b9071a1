"""The first run from an empty data directory, as somebody lives it: start, setup link, backend, first streamed answer."""

import re
import socket

import pytest
from playwright.sync_api import Page, expect

from tests.engine import ALIAS
from tests.interface.browser import assert_fits, faults, opened, picture
from tests.interface.conftest import EMAIL, PASSWORD
from tests.servers import run_scripted
from tests.yard import run_yard, setup_token

NOBODY = {"MODELYARD_ADMIN_API_KEY": ""}
USUAL_PORTS = (8000, 8080, 1234)


def set_up(page: Page, yard) -> None:
    page.goto(f"/setup?token={setup_token(yard)}")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_role("heading", name="Where are your models?")).to_be_visible()


def test_from_an_empty_directory_to_the_first_answer(browser, engine, data_dir):
    with run_yard(data_dir, NOBODY) as yard, opened(browser, yard.url) as page:
        page.goto(f"/setup?token={setup_token(yard)}")
        expect(page.get_by_role("button", name="Create administrator")).to_be_visible()
        picture(page, "setup")
        assert faults(page) == []
        set_up(page, yard)
        expect(page).to_have_url(yard.url + "/welcome")
        key = page.get_by_role("region", name="API key", exact=True).inner_text().strip()
        with yard.client(key) as client:
            assert client.get("/api/v1/auths/").json()["email"] == EMAIL
        expect(page.get_by_role("button", name="Continue")).to_be_disabled()
        expect(page.get_by_text("Connect a backend to continue")).to_be_visible()
        expect(page.get_by_role("heading", name="Add a backend")).to_be_visible()
        assert faults(page) == []

        page.get_by_label("Kind").select_option("llama.cpp")
        page.get_by_label("Address").fill("http://127.0.0.1:9")
        page.get_by_role("button", name="Test").click()
        expect(page.get_by_text("Connection refused. Is it running?")).to_be_visible()
        page.get_by_label("Address").fill(engine.base_url)
        page.get_by_role("button", name="Test").click()
        expect(page.get_by_role("list", name="Offered models")).to_contain_text(ALIAS)
        picture(page, "welcome-tested", whole=True)
        page.get_by_role("button", name="Connect").click()
        expect(page.get_by_role("switch", name="Use llama.cpp")).to_be_checked()
        expect(page.get_by_role("heading", name="Add another backend")).to_be_visible()
        expect(page.get_by_role("region", name="Try it in a terminal")).to_contain_text(ALIAS)
        picture(page, "welcome-connected", whole=True)
        assert faults(page) == []

        page.get_by_role("link", name="Continue").click()
        expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        expect(page).to_have_url(re.compile(rf"model={ALIAS}"))
        message = page.get_by_role("textbox", name="Message", exact=True)
        expect(message).to_have_value(re.compile("^Say hello"))
        message.press("Enter")
        # It grows: the model has not come to its end. Looked at in every frame, because it soon does.
        page.wait_for_function(
            "() => /[a-z ]{80}/.test(document.querySelector('article[aria-busy=true]')?.innerText.replace(/\\s+/g, ' '))"
        )
        message.press("Escape")
        expect(page.get_by_label("Figures of the answer")).to_contain_text("to first token")
        picture(page, "first-answer")
        assert key not in page.content()

        page.get_by_role("link", name="Overview").click()
        steps = page.get_by_role("region", name="Next steps")
        for step in ("Create a preset", "Add a person", "Create a key"):
            expect(steps.get_by_role("link", name=step)).to_be_visible()
        steps.get_by_text("Call a model from a terminal").click()
        expect(steps).to_contain_text(ALIAS)
        expect(page.get_by_role("link", name="Requests 1, Today")).to_be_visible()
        expect(page.get_by_role("link", name="Errors 0, Today")).to_be_visible()
        picture(page, "overview-first-run", whole=True)


def test_the_key_is_shown_once_and_not_to_somebody_else(browser, data_dir):
    with run_yard(data_dir, NOBODY) as yard, opened(browser, yard.url) as page:
        set_up(page, yard)
        shown = page.get_by_role("heading", name="Your first API key")
        expect(shown).to_be_visible()
        key = page.get_by_role("region", name="API key", exact=True).inner_text().strip()
        stored = page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])"
        )
        assert key not in stored
        assert key not in page.url
        page.get_by_role("button", name="I have stored it").click()
        expect(shown).to_have_count(0)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Where are your models?")).to_be_visible()
        expect(shown).to_have_count(0)
        assert key not in page.content()


def test_before_the_setup_nobody_is_asked_to_sign_in(browser, data_dir):
    with run_yard(data_dir, NOBODY) as yard, opened(browser, yard.url) as page:
        page.goto("/")
        expect(page.get_by_text("Open the setup link that the terminal printed at start.")).to_be_visible()
        expect(page.get_by_role("textbox")).to_have_count(0)
        picture(page, "signin-before-setup")
        assert faults(page) == []


def test_a_setup_link_that_was_used_says_so(browser, data_dir):
    with run_yard(data_dir, NOBODY) as yard, opened(browser, yard.url, expected=("status of 403",)) as page:
        page.goto("/setup?token=something-else")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create administrator").click()
        expect(page.get_by_role("alert")).to_contain_text("This setup link is not valid")
        expect(page.get_by_label("E-mail")).to_have_value(EMAIL)


def test_what_runs_on_this_machine_is_found_and_switched_on(browser, data_dir):
    with (
        run_scripted(free_usual_port()) as backend,
        run_yard(data_dir, NOBODY) as yard,
        opened(browser, yard.url) as page,
    ):
        set_up(page, yard)
        found = page.get_by_role("listitem").filter(has_text=backend.root)
        expect(found).to_contain_text("echo")
        picture(page, "welcome-found", whole=True)
        found.get_by_role("switch").click()
        expect(found.get_by_role("switch")).to_be_checked()
        expect(found).to_contain_text("Up")
        page.get_by_role("link", name="Continue").click()
        expect(page).to_have_url(re.compile("model=echo"))


def test_one_of_the_environment_is_connected_already(browser, engine, data_dir):
    environment = {**NOBODY, "OPENAI_API_BASE_URL": engine.base_url}
    with run_yard(data_dir, environment) as yard, opened(browser, yard.url, theme="dark") as page:
        set_up(page, yard)
        row = page.get_by_role("listitem").filter(has_text=engine.base_url)
        expect(row).to_contain_text("from the environment")
        expect(row.get_by_role("switch")).to_be_disabled()
        expect(page.get_by_role("link", name="Continue")).to_be_visible()
        page.set_viewport_size({"width": 360, "height": 740})
        assert_fits(page)
        picture(page, "welcome-narrow-dark", whole=True)
        assert faults(page) == []


def free_usual_port() -> int:
    """A port at which a backend is looked for and nobody listens."""
    for port in USUAL_PORTS:
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    pytest.fail("something listens at every usual port of this machine: one has to be free for this test")


def test_what_is_typed_for_the_next_backend_meanwhile_stays(page):
    held = []

    def hold(route):
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.goto("/welcome")
    page.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    page.get_by_label("API key").fill("a key of the first")
    page.route("**/api/v1/connections", hold)
    with page.expect_request("**/api/v1/connections"):
        page.get_by_role("button", name="Connect").click()
    page.get_by_label("Address").fill("http://127.0.0.1:10/v1")
    held[0].continue_()
    expect(page.get_by_label("API key")).to_have_value("")
    expect(page.get_by_label("Address")).to_have_value("http://127.0.0.1:10/v1")
