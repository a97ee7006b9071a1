"""One's own account, and ways to get one: sign-up, waiting for approval, and a server that nobody has set up."""

import re

import pytest
from playwright.sync_api import expect

from tests.interface.browser import MIDDLE, NARROW, WIDE, assert_fits, faults, opened, picture, sign_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.yard import run_yard

OWN = "own@example.com"
NEXT = "a wholly different password"


@pytest.fixture
def person(house):
    form = {"name": "Own", "email": OWN, "role": "user", "password": PASSWORD}
    made = house.admin.post("/api/v1/users/", json=form)
    assert made.status_code == 200, made.text
    yield made.json()["id"]
    house.admin.delete(f"/api/v1/users/{made.json()['id']}")


def signed_in(house, password: str = PASSWORD, agent: str = "curl/8.5.0"):
    client = house.client(None)
    answer = client.post(
        "/api/v1/auths/signin", json={"email": OWN, "password": password}, headers={"user-agent": agent}
    )
    assert answer.status_code == 200, answer.text
    return client


def test_the_account_tells_who_one_is_and_what_one_may_do(house, browser, person):
    group = house.admin.post(
        "/api/v1/groups/create",
        json={"name": "Authors", "permissions": {"workspace": {"models": True}}, "user_ids": [person]},
    ).json()["id"]
    with opened(browser, house.url) as page:
        sign_in(page, OWN, PASSWORD)
        page.get_by_role("link", name="Own").click()
        expect(page.get_by_role("heading", name="Account")).to_be_visible()
        expect(page.get_by_text(OWN)).to_be_visible()
        expect(page.get_by_text("Authors")).to_be_visible()
        expect(page.get_by_text("Create and edit models")).to_be_visible()
        expect(page.get_by_text("Create, edit and rotate API keys")).to_be_hidden()
        assert faults(page) == []
        picture(page, "account-user")
    house.admin.delete(f"/api/v1/groups/id/{group}/delete")


def test_an_administrator_finds_the_way_to_their_own_entry(house, browser):
    with opened(browser, house.url) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.goto("/account")
        page.get_by_role("link", name="Change your name or e-mail in People").click()
        expect(page.get_by_role("dialog").get_by_label("E-mail")).to_have_value(EMAIL)


def test_sessions_are_told_apart_and_end(house, browser, person):
    with opened(browser, house.url) as page:
        sign_in(page, OWN, PASSWORD)
        others = [signed_in(house), signed_in(house, agent="Mozilla/5.0 (X11; Linux) Firefox/130.0"), signed_in(house)]
        page.goto("/account")
        listed = page.get_by_role("listitem").filter(has_text="Signed in")
        expect(listed).to_have_count(4)
        expect(listed.filter(has_text="This one")).to_have_count(1)
        page.get_by_role("button", name="Sign out Firefox on Linux").click()
        expect(listed).to_have_count(3)
        assert [client.get("/api/v1/auths/").status_code for client in others] == [200, 401, 200]
        page.get_by_role("button", name="Sign out all others").click()
        expect(listed).to_have_count(1)
        expect(page.get_by_text("You are not signed in anywhere else.")).to_be_visible()
        assert [client.get("/api/v1/auths/").status_code for client in others] == [401, 401, 401]
        for client in others:
            client.close()


def test_a_session_that_was_ended_elsewhere_asks_to_sign_in_and_goes_on(house, browser, person):
    with opened(browser, house.url, expected=("status of 401",)) as page:
        sign_in(page, OWN, PASSWORD)
        page.goto("/account")
        expect(page.get_by_text("This one")).to_be_visible()
        page.get_by_label("New password", exact=True).fill("typed before")
        house.admin.delete(f"/api/v1/users/{person}/sessions").raise_for_status()
        page.get_by_label("Current password").fill("x")
        page.get_by_label("New password again").fill("typed before")
        page.get_by_role("button", name="Change password").click()
        lost = page.get_by_role("dialog", name="You were signed out")
        lost.get_by_label("E-mail").fill(OWN)
        lost.get_by_label("Password").fill(PASSWORD)
        lost.get_by_role("button", name="Sign in").click()
        expect(lost).to_be_hidden()
        expect(page.get_by_label("New password", exact=True)).to_have_value("typed before")


def test_a_new_password_ends_other_sessions_and_keeps_this_one(house, browser, person):
    with opened(browser, house.url, expected=("status of 403",)) as page:
        sign_in(page, OWN, PASSWORD)
        other = signed_in(house)
        page.goto("/account")
        page.get_by_label("Current password").fill("wrong")
        page.get_by_label("New password", exact=True).fill(NEXT)
        page.get_by_label("New password again").fill("something else")
        expect(page.get_by_text("The two passwords differ.")).to_be_visible()
        change = page.get_by_role("button", name="Change password")
        expect(change).to_be_disabled()
        page.get_by_label("New password again").fill(NEXT)
        change.click()
        expect(page.get_by_role("alert")).to_contain_text("password is wrong")
        page.get_by_label("Current password").fill(PASSWORD)
        change.click()
        expect(page.get_by_text("Password changed.")).to_be_visible()
        expect(page.get_by_label("Current password")).to_have_value("")
        assert other.get("/api/v1/auths/").status_code == 401
        other.close()
        page.reload()
        expect(page.get_by_role("heading", name="Account")).to_be_visible()
        signed_in(house, NEXT).close()


def test_an_account_is_made_waits_is_approved_and_comes_in(house, browser):
    rules = "/api/v1/auths/admin/config"
    house.admin.post(rules, json={"ENABLE_SIGNUP": True, "DEFAULT_USER_ROLE": "pending"}).raise_for_status()
    try:
        with opened(browser, house.url, expected=("status of 401",)) as page:
            page.goto("/")
            page.get_by_role("button", name="Create an account").click()
            page.get_by_label("Name").fill("Newcomer <script>")
            page.get_by_label("E-mail").fill("new@example.com")
            page.get_by_label("Password").fill(PASSWORD)
            assert faults(page) == []
            picture(page, "signup")
            page.get_by_role("button", name="Create an account").click()
            waiting = page.get_by_role("status").filter(has_text="waiting for approval")
            expect(waiting).to_be_visible()
            assert faults(page) == []
            picture(page, "signup-waiting")
            # Still waiting: signing in says so again, and a reload does not lock anybody out.
            page.reload()
            page.get_by_label("E-mail").fill("new@example.com")
            expect(waiting).to_be_hidden()
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            expect(waiting).to_be_visible()
            users = house.admin.get("/api/v1/users/", params={"query": "new@"}).json()["items"]
            house.admin.post("/api/v1/users/update/role", json={"id": users[0]["id"], "role": "user"})
            page.get_by_role("button", name="Sign in", exact=True).click()
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    finally:
        house.admin.post(rules, json={"ENABLE_SIGNUP": False})


def test_without_sign_up_there_is_no_door_for_it(house, browser):
    with opened(browser, house.url) as page:
        page.goto("/")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(page.get_by_role("button", name="Create an account")).to_be_hidden()


def test_a_server_without_an_administrator_says_where_the_link_is(browser, tmp_path):
    environment = {"MODELYARD_ADMIN_API_KEY": ""}
    with run_yard(tmp_path / "data", environment) as yard, opened(browser, yard.url) as page:
        page.goto("/")
        expect(page.get_by_text("Open the setup link that the terminal printed at start.")).to_be_visible()
        picture(page, "signin-needs-setup")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(house, browser, theme):
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        for (width, height), label in ((WIDE, "wide"), (MIDDLE, "middle"), (NARROW, "narrow")):
            page.set_viewport_size({"width": width, "height": height})
            page.goto("/account")
            expect(page.get_by_text("This one").first).to_be_visible()
            assert_fits(page)
            assert faults(page) == []
            picture(page, f"account-{label}-{theme}", whole=True)


def test_sessions_are_ended_by_keyboard_one_after_the_other(house, browser, person):
    with opened(browser, house.url) as page:
        sign_in(page, OWN, PASSWORD)
        others = [signed_in(house, agent=f"Mozilla/5.0 ({name}) Firefox/130.0") for name in ("X11; Linux", "Windows")]
        others += [signed_in(house), signed_in(house)]
        page.goto("/account")
        end = page.get_by_role("listitem").get_by_role("button", name=re.compile("^Sign out "))
        expect(end).to_have_count(4)
        end.nth(1).press("Enter")
        expect(end).to_have_count(3)
        expect(end.nth(1)).to_be_focused()
        page.get_by_role("button", name="Sign out all others").press("Enter")
        expect(end).to_have_count(0)
        expect(page.get_by_role("heading", name="Where you are signed in")).to_be_focused()
        for client in others:
            client.close()
