"""Ways in: the sign-in form, wrong passwords, and that nothing is asked of a signed-out person but that."""

from playwright.sync_api import expect

from tests.interface.browser import faults, opened, sign_in
from tests.interface.conftest import EMAIL, PASSWORD


def test_a_person_signs_in_and_out(browser, house):
    with opened(browser, house.url) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        expect(page).to_have_url(house.url + "/models")
        page.reload()
        expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert faults(page) == []


def test_a_wrong_password_is_told_and_what_was_typed_stays(browser, house):
    with opened(browser, house.url) as page:
        page.goto("/models")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill("something else")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("E-mail")).to_have_value(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
