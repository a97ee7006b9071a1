"""Ways in: the sign-in form, wrong passwords, and that nothing is asked of a signed-out person but that."""

from playwright.sync_api import Route, expect

from tests.interface.browser import faults, opened, sign_in, signed_in, signed_out
from tests.interface.conftest import EMAIL, PASSWORD


def test_a_person_signs_in_and_out(browser, house):
    with opened(browser, house.url) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        expect(page).to_have_url(house.url + "/models")
        page.reload()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        signed_out(page)
        assert faults(page) == []


def test_a_page_that_is_opened_before_the_start_page_is_there_is_the_one_that_comes(browser, house):
    held: list[Route] = []

    def hold(request: Route) -> None:
        held.append(request)

    with opened(browser, house.url) as page:
        page.route("**/assets/Overview-*.js", hold)
        sign_in(page, EMAIL, PASSWORD)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        assert held, "the start page was never asked for"
        for request in held:
            request.continue_()
        page.get_by_role("link", name="Keys").click()
        expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
        expect(page).to_have_url(house.url + "/keys")


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
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()


def test_after_signing_out_there_is_no_form_before_the_new_page(browser, house):
    """What is typed into a form of the page that is being left is lost."""
    asked: list[str] = []
    with opened(browser, house.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        before = asked[: asked.index(f"{house.url}/")]
        assert before
        assert not [url for url in before if "/assets/SignIn-" in url]
