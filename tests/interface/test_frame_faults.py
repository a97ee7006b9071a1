"""When something around the pages goes wrong: a session that ends, a part that cannot be loaded, a page that throws."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.interface.browser import FIRST_QUESTIONS, faults, opened, picture, press_together, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD


def test_a_session_that_was_revoked_asks_again_and_loses_nothing(browser, house):
    with opened(browser, house.url, expected=("401",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        # What the first text asks is answered before the session ends, so nothing asks to sign in while the second is typed.
        with page.expect_response(lambda answer: "/models/list?" in answer.url and "something" in answer.url):
            page.get_by_role("searchbox").fill("something typed")
        expect(page.get_by_text("No models match")).to_be_visible()
        (person,) = [found for found in house.admin.get("/api/v1/users/").json()["users"] if found["email"] == EMAIL]
        house.admin.delete(f"/api/v1/users/{person['id']}/sessions").raise_for_status()
        page.get_by_role("searchbox").fill("something typed here")
        dialog = page.get_by_role("dialog", name="You were signed out")
        expect(dialog).to_be_visible()
        assert faults(page) == []
        picture(page, "signed-out")
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_label("E-mail")).to_have_value(EMAIL)
        expect(dialog.get_by_label("Password")).to_be_focused()
        page.keyboard.type(PASSWORD)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        with page.expect_response("**/api/v1/models/list?*"):
            dialog.get_by_role("button", name="Sign in").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("searchbox")).to_have_value("something typed here")
        expect(page).to_have_url(house.url + "/models?q=something+typed+here")
        # The list may be old by now; who is there, and what holds for them, was told at the sign-in.
        assert [asked.count(path) for path in FIRST_QUESTIONS] == [1, 1], asked


def test_a_failed_sign_out_does_not_look_like_one(browser, house):
    with opened(browser, house.url, expected=("503",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.route(
            "**/auths/signout", lambda route: route.fulfill(status=503, json={"detail": "The database is away."})
        )
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("The database is away.")).to_be_visible()
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


MISSING = ("Failed to load resource",)  # what the browser itself says of a file; the page must not throw


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("upgraded", "A new version is available"),
        ("broken", "Part of this page could not be loaded"),
        ("away", "The server does not answer"),
    ],
)
def test_a_part_that_cannot_be_loaded_offers_to_reload_and_loses_nothing(browser, house, answer, told):
    other = '<script type="module" src="./assets/index-another1.js"></script>'
    with opened(browser, house.url, expected=MISSING) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models/new")
        # What asks before it is lost is loaded as soon as there is something to lose.
        with page.expect_event("requestfinished", lambda request: "/assets/DialogBox-" in request.url):
            page.get_by_label("Name", exact=True).fill("Not saved yet")
        page.route("**/assets/*.js", lambda route: route.fulfill(status=404, body=""))
        if answer == "upgraded":
            page.route(f"{house.url}/", lambda route: route.fulfill(content_type="text/html", body=other))
        elif answer == "away":
            page.route(f"{house.url}/", lambda route: route.abort())
        page.keyboard.press("Control+k")
        alert = page.get_by_role("alert").filter(has_text=told)
        expect(alert).to_be_visible()
        assert faults(page) == []
        picture(page, f"reload-{answer}")
        expect(page.get_by_label("Name", exact=True)).to_have_value("Not saved yet")
        alert.get_by_role("button", name="Close").click()
        expect(alert).to_have_count(0)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Audit").click()
        page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Leave").click()
        expect(alert).to_be_visible()
        expect(page.get_by_role("heading", name="Not saved yet", level=1)).to_be_visible()
        page.unroute_all()
        page.on("dialog", lambda dialog: dialog.accept())
        alert.get_by_role("button", name="Reload").click()
        expect(alert).to_have_count(0)
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_page_that_throws_takes_nothing_else_with_it(browser, house):
    """The server promises that ids are unique; an answer in which they are not is one that no page can draw."""
    row = house.admin.get("/api/v1/connections").json()["items"][0]
    with opened(browser, house.url, expected=("each_key_duplicate",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/api/v1/connections", lambda route: route.fulfill(json={"items": [row, row]}))
        page.goto("/connections")
        expect(page.get_by_role("heading", name="This page failed")).to_be_visible()
        assert faults(page) == []
        picture(page, "page-fault")
        press_together(page, "gk")
        expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
        page.unroute_all()
        page.get_by_role("link", name="Connections", exact=True).first.click()
        expect(page.get_by_role("heading", name="Connections", level=1)).to_be_visible()


def test_a_part_of_a_drawer_that_cannot_be_loaded_is_told_above_it(browser, house):
    """By keyboard and by mouse; the drawer stays, with what was typed."""
    with opened(browser, house.url, expected=MISSING) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/assets/PickerList-*.js", lambda route: route.abort())
        page.goto("/keys?new=1")  # it begins at a field that needs it
        drawer, alert = page.get_by_role("dialog", name="New key"), page.get_by_role("alert")
        expect(alert.get_by_role("button", name="Close")).to_be_focused()
        assert faults(page) == []
        picture(page, "reload-above-a-drawer")
        page.keyboard.press("Escape")
        expect(alert).to_have_count(0)
        drawer.get_by_label("Name").fill("typed")
        drawer.get_by_role("combobox", name="Owner").focus()
        alert.get_by_role("button", name="Close").click()
        expect(alert).to_have_count(0)
        expect(drawer.get_by_label("Name")).to_have_value("typed")


BROKEN = "The server's answer"


def test_an_answer_that_breaks_off_is_told_where_it_was_asked_for(browser, house):
    with opened(browser, house.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/api/ps", lambda route: route.fulfill(content_type="application/json", body='{"models": ['))
        page.goto("/overview")
        expect(page.get_by_role("alert")).to_contain_text(BROKEN)
        page.goto("/people?new=1")
        drawer = page.get_by_role("dialog", name="New person")
        drawer.get_by_label("Name").fill("Ada")
        drawer.get_by_label("E-mail").fill("ada@example.com")
        page.route(
            "**/api/v1/users/", lambda route: route.fulfill(content_type="application/json", body='{"id": "an-id", "na')
        )
        drawer.get_by_role("button", name="Create").click()
        expect(drawer.get_by_role("alert")).to_contain_text(BROKEN)
        expect(drawer.get_by_label("E-mail")).to_have_value("ada@example.com")
