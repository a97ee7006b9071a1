"""Overview: what is up, in memory, called and changed; each card by itself; the checklist that goes away."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import MIDDLE, NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.servers import Scripted
from tests.yard import Yard, run_yard

ASK = {"messages": [{"role": "user", "content": "one two"}], "max_tokens": 5}


@pytest.fixture(scope="module")
def busy(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A server with one backend that answers, one that does not, calls that went well and one that failed, and a model in
    memory."""
    environment = {**ADMINISTRATOR, "OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(tmp_path_factory.mktemp("busy") / "data", environment) as running:
        running.connect("gone", "http://127.0.0.1:9", kind="ollama", prefix_id="gone")
        running.connect("ollama", upstream.root, kind="ollama", prefix_id="o", model_ids=["echo"])
        for model, count in (("echo", 3), ("o.echo", 1), ("error-500", 1)):
            for _ in range(count):
                running.admin.post("/v1/chat/completions", json={**ASK, "model": model})
        running.wait_for_calls(5)
        yield running


def card(page: Page, name: str):
    return page.get_by_role("region", name=name, exact=True)


def settled(page: Page) -> None:
    """Until every card has what it tells."""
    expect(card(page, "Recent changes").get_by_role("link").first).to_be_visible()
    expect(card(page, "Traffic").get_by_role("link").first).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def see(page: Page, url: str, path: str = "/overview") -> None:
    signed_in(page, EMAIL, PASSWORD)
    page.goto(path)


def test_it_says_at_a_glance_what_is_up_and_what_is_not(browser, busy):
    with opened(browser, busy.url) as page:
        see(page, busy.url)
        expect(page.get_by_text("1 of 3 connections is down.")).to_be_visible()
        connections = card(page, "Connections")
        expect(connections).to_contain_text("2 of 3 up")
        expect(connections.get_by_role("listitem").first).to_contain_text(re.compile(r"gone\s*Down"))
        decide = card(page, "Needs a decision")
        expect(decide).to_contain_text("Connection refused. Is it running?")
        decide.get_by_role("link", name="gone is down").click()
        expect(page.get_by_role("dialog", name="gone")).to_be_visible()
        expect(page).to_have_url(re.compile(r"/connections\?id="))


def test_figures_are_those_of_the_api_and_lead_to_what_explains_them(browser, busy):
    with opened(browser, busy.url) as page:
        see(page, busy.url)
        calls = card(page, "Traffic")
        statuses = busy.usage("status")
        tokens = sum(row["tokens"] for row in statuses.values())
        expect(calls.get_by_role("link", name="Requests 5, Today")).to_be_visible()
        expect(calls.get_by_role("link", name="Requests 5, Last 5 min")).to_be_visible()
        expect(calls.get_by_role("link", name=f"Tokens {tokens}, Today")).to_be_visible()
        top = card(page, "Most used today")
        expect(top.get_by_role("row").nth(1)).to_contain_text("echo")
        expect(top.get_by_role("row").nth(1)).to_contain_text("3")
        count = len(busy.admin.get("/api/models/base").json()["data"])
        expect(card(page, "Models").get_by_role("link", name=f"{count} base models")).to_be_visible()
        held = card(page, "In memory")
        expect(held.get_by_role("listitem")).to_contain_text(
            re.compile(r"o\.echo.*Loaded.*on ollama · unloads in", re.DOTALL)
        )
        changes = card(page, "Recent changes").get_by_role("link")
        expect(changes).to_have_count(4)  # the title; an account and two connections
        expect(changes.nth(1)).to_have_text(re.compile("created connection ollama$"))
        assert faults(page) == []
        picture(page, "overview-full", whole=True)
        calls.get_by_role("link", name="Errors 1, Today").click()
        drawer = page.get_by_role("dialog", name="Requests today")
        expect(drawer.get_by_role("row", name=re.compile("Failed"))).to_contain_text("1")
        expect(drawer.get_by_role("link", name="error-500")).to_have_attribute("href", re.compile("q=error-500"))
        expect(drawer.get_by_role("link", name="openai")).to_be_visible()
        picture(page, "overview-calls")
        assert faults(page) == []
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(page).to_have_url(re.compile("/overview$"))


def test_one_card_that_fails_leaves_the_others(browser, busy):
    with opened(browser, busy.url, expected=("status of 403",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        refused = {"status": 403, "json": {"detail": "A proxy in between refused this."}}
        page.route("**/api/v1/usage?**", lambda route: route.fulfill(**refused))
        page.route("**/api/ps", lambda route: route.fulfill(**refused))
        page.goto("/overview")
        for name in ("Traffic", "Most used today", "In memory"):
            expect(card(page, name).get_by_role("alert")).to_contain_text("A proxy in between refused this.")
        expect(card(page, "Connections")).to_contain_text("2 of 3 up")
        expect(card(page, "Recent changes").get_by_role("link").first).to_be_visible()
        picture(page, "overview-error", whole=True)
        assert faults(page) == []
        page.unroute("**/api/ps")
        card(page, "In memory").get_by_role("button", name="Try again").click()
        expect(card(page, "In memory").get_by_role("alert")).to_have_count(0)


def test_the_checklist_ticks_what_was_done_and_goes_away(browser, busy):
    steps = "Next steps"
    with opened(browser, busy.url) as page:
        see(page, busy.url)
        for name, path in (("Create a preset", "/models/new"), ("Add a person", "/people"), ("Create a key", "/keys")):
            link = card(page, steps).get_by_role("link", name=name)
            expect(link).to_have_attribute("href", re.compile(path))
        expect(card(page, steps).get_by_text("Connect a backend Done")).to_be_visible()
        card(page, steps).get_by_text("Call a model from a terminal").click()
        expect(card(page, steps)).to_contain_text("$MODELYARD_API_KEY")
        picture(page, "overview-terminal")
        busy.make_key(name="ci")
        page.reload()
        expect(card(page, steps).get_by_role("link", name="Add a person")).to_be_visible()
        expect(card(page, steps).get_by_role("link", name="Create a key")).to_have_count(0)
        picture(page, "overview-checklist")
        page.get_by_role("button", name="Hide this list").click()
        expect(card(page, steps)).to_have_count(0)
        page.reload()
        settled(page)
        expect(card(page, steps)).to_have_count(0)
    with opened(browser, busy.url) as page:  # another browser, where nobody hid it
        see(page, busy.url)
        expect(card(page, steps)).to_be_visible()
        form = {"id": "mine", "name": "Mine", "base_model_id": "echo"}
        assert busy.admin.post("/api/v1/models/create", json=form).status_code == 200
        form = {"email": "ann@example.com", "password": PASSWORD, "role": "user", "name": "Ann"}
        assert busy.admin.post("/api/v1/users/", json=form).status_code == 200
        # Whoever comes back finds what they saw last, until it is known what was done meanwhile.
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        expect(page.get_by_role("link", name="Mine", exact=True)).to_be_visible()
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Overview").click()
        settled(page)
        expect(card(page, steps)).to_have_count(0)


def test_people_who_wait_and_keys_that_end_soon_are_told(browser, tmp_path):
    with run_yard(tmp_path / "data", ADMINISTRATOR) as yard:
        form = {"email": "ann@example.com", "password": PASSWORD, "role": "pending", "name": "Ann"}
        assert yard.admin.post("/api/v1/users/", json=form).status_code == 200
        yard.make_key(name="ci", expires_at=int(time.time()) + 2 * 86_400)
        yard.make_key(name="later", expires_at=int(time.time()) + 90 * 86_400)
        with opened(browser, yard.url) as page:
            see(page, yard.url)
            decide = card(page, "Needs a decision")
            expect(decide.get_by_role("link")).to_have_text(
                ["1 person waits for approval", "The key ci expires in 2 days"]
            )
            picture(page, "overview-decisions")
            assert faults(page) == []
            decide.get_by_role("link", name="1 person waits").click()
            page.get_by_role("button", name="Approve").first.click()
            expect(page.get_by_role("button", name="Approve")).to_have_count(0)
            page.get_by_role("navigation", name="Pages").get_by_role("link", name="Overview").click()
            expect(decide.get_by_role("link")).to_have_count(1)


def test_jobs_are_those_of_the_tray(browser, tmp_path):
    with run_yard(tmp_path / "data", ADMINISTRATOR) as yard:
        yard.connect("gone", "http://127.0.0.1:9", kind="ollama", model_ids=["big"])
        assert yard.admin.post("/api/models/load", json={"model": "big"}).status_code == 202
        with opened(browser, yard.url) as page:
            see(page, yard.url)
            jobs, tray = card(page, "Jobs").first, card(page, "Jobs").last
            expect(card(page, "Jobs")).to_have_count(2)
            tray.get_by_role("button", name="1 job failed").click()
            for place in (jobs, tray):
                expect(place).to_contain_text("Loading big")
                expect(place).to_contain_text("Failed")
            # Told as a job, it is not told again as something in memory.
            expect(card(page, "In memory")).to_contain_text("No backend reports a model in memory.")
            expect(card(page, "In memory").get_by_role("listitem")).to_have_count(0)
            picture(page, "overview-jobs", whole=True)
            assert faults(page) == []
            tray.get_by_role("button", name="Hide finished jobs").click()
            expect(page.get_by_text("No jobs are running.")).to_be_visible()
            expect(page.get_by_text("Loading big")).to_have_count(0)


def test_nothing_overflows_on_a_small_screen_and_nothing_is_lost_in_the_dark(browser, busy):
    for theme in ("dark", "light"):
        with opened(browser, busy.url, theme=theme) as page:
            signed_in(page, EMAIL, PASSWORD)
            page.goto("/overview")
            expect(card(page, "Traffic").get_by_role("link", name="Requests 5, Today")).to_be_visible()
            picture(page, f"overview-{theme}")
            page.set_viewport_size({"width": MIDDLE[0], "height": MIDDLE[1]})
            picture(page, f"overview-middle-{theme}", whole=True)
            page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
            assert_fits(page)
            picture(page, f"overview-narrow-{theme}", whole=True)
            assert faults(page) == []


def test_an_empty_yard_says_so_in_words(browser, tmp_path_factory):
    with (
        run_yard(tmp_path_factory.mktemp("empty") / "data", ADMINISTRATOR) as empty,
        opened(browser, empty.url) as page,
    ):
        see(page, empty.url)
        expect(page.get_by_text("Nothing is connected yet.")).to_be_visible()
        expect(page.get_by_text("No requests today.")).to_be_visible()
        expect(page.get_by_text("No model was used today.")).to_be_visible()
        expect(page.get_by_text("No backend reports a model in memory.")).to_be_visible()
        steps = card(page, "Next steps")
        expect(steps.get_by_role("link")).to_have_text(["Connect a backend"])
        expect(page.get_by_text("No jobs are running.")).to_be_visible()
        picture(page, "overview-empty", whole=True)
        assert faults(page) == []
        steps.get_by_role("link", name="Connect a backend").click()
        expect(page.get_by_role("heading", name="Where are your models?")).to_be_visible()
