"""What surrounds every page: navigation, palette, keys, theme, a session that ends, a base path, the weight of a visit."""

import gzip
import re

import pytest
from playwright.sync_api import Route, expect

from tests.interface.browser import (
    MIDDLE,
    NARROW,
    assert_fits,
    faults,
    opened,
    picture,
    press_together,
    sign_in,
    signed_in,
    signed_out,
)
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.yard import run_yard

MAX_FIRST_LOAD_BYTES = 100_000


def test_the_palette_finds_pages_models_people_and_actions(page):
    page.goto("/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Go to a page")
    expect(box).to_be_focused()
    picture(page, "palette")
    assert faults(page) == []
    names = ("Playground", "Models", "Overview", "Connections", "Keys", "People", "Audit", "As code", "API", "Settings")
    for name in (*names, "New model", "Keyboard shortcuts", "Sign out"):
        expect(page.get_by_role("option", name=name, exact=True)).to_be_attached()
    box.fill("tiny-ll")
    expect(page.get_by_role("option", name="tiny-llama")).to_be_visible()
    box.fill("admin@")
    expect(page.get_by_role("option", name=EMAIL)).to_be_visible()
    box.fill("there is no such thing")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    box.fill("audit")
    expect(page.get_by_role("option", name="Audit", exact=True)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
    page.keyboard.press("Control+k")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_go_to_pages_and_are_listed(page):
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    press_together(page, "gm")
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(listed).to_be_visible()
    assert faults(page) == []
    picture(page, "keyboard")
    press_together(page, "gc")
    page.keyboard.press("Escape")
    expect(listed).to_have_count(0)
    # Had the keys behind the list led anywhere, it would have been before this.
    press_together(page, "gk")
    expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile("/models$"))


def test_the_first_tab_leads_past_the_navigation(page):
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_a_chosen_theme_is_kept(browser, house):
    with opened(browser, house.url, theme="dark") as page:
        sign_in(page, EMAIL, PASSWORD)
        theme = page.locator("html")
        expect(theme).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Light").click()
        expect(theme).to_have_attribute("data-theme", "light")
        page.reload()
        expect(page.get_by_role("button", name="Light")).to_have_attribute("aria-pressed", "true")
        expect(theme).to_have_attribute("data-theme", "light")
        page.get_by_role("button", name="System").click()
        expect(theme).to_have_attribute("data-theme", "dark")


def test_the_navigation_of_a_narrow_screen_opens_and_closes(browser, house):
    with opened(browser, house.url, size=NARROW) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/overview")
        page.get_by_role("button", name="Open the navigation").click()
        expect(page.get_by_role("dialog", name="Pages")).to_be_visible()
        picture(page, "navigation-narrow")
        assert faults(page) == []
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)


def test_the_navigation_of_a_narrow_screen_keeps_the_focus_and_gives_it_back(browser, house):
    with opened(browser, house.url, size=NARROW) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/overview")
        opener = page.get_by_role("button", name="Open the navigation")
        for leave in ("Escape", "Enter"):
            opener.press("Enter")
            dialog = page.get_by_role("dialog", name="Pages")
            expect(dialog).to_be_visible()
            for _ in range(3):
                page.keyboard.press("Shift+Tab")
                assert page.evaluate("document.activeElement.closest('main, header')") is None
            dialog.get_by_role("button", name="Close the navigation").focus()
            page.keyboard.press(leave)
            expect(dialog).to_have_count(0)
            expect(opener).to_be_focused()
        opener.click()
        expect(dialog).to_be_visible()
        page.mouse.click(NARROW[0] - 10, 300)
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_address_that_is_none_is_told(page):
    page.goto("/nothing/here")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    assert faults(page) == []


def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_sites(page):
    page.goto("/")
    (cookie,) = [found for found in page.context.cookies() if found["name"] == "modelyard_session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] in {"Lax", "Strict"}
    assert page.evaluate("document.cookie") == ""


def test_another_sites_form_changes_nothing(browser, house):
    """The page of another origin sends what a signed-in person could: a form, without any script of ours."""
    before = house.admin.get("/api/v1/users/").json()["total"]
    field = '{"email":"x@example.com","password":"12345678","a":"'
    form = f"<form method=post enctype=text/plain action={house.url}/api/v1/users/><input name='{field}' value='\"}}'></form>"
    # Of an answer that is no page the browser itself looks for an icon.
    with opened(browser, house.url, expected=("/api/v1/users/", "/favicon.ico")) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("http://elsewhere.example/", lambda route: route.fulfill(content_type="text/html", body=form))
        page.goto("http://elsewhere.example/")
        with page.expect_response(house.url + "/api/v1/users/") as answer:
            page.evaluate("document.forms[0].submit()")
        assert answer.value.status in {401, 403}
    assert house.admin.get("/api/v1/users/").json()["total"] == before


def test_no_script_runs_that_is_not_ours(browser, house):
    with opened(browser, house.url, expected=("Content Security Policy", "404")) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
                document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="window.ran = true">');
            }"""
        )
        # When it is known that there is no such picture, its script would have run.
        page.wait_for_function("() => document.querySelector('img[src=x]').complete")
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("base", ["/yard", "/deep/below"])
def test_it_works_below_a_base_path(browser, tmp_path, base):
    environment = {**ADMINISTRATOR, "MODELYARD_BASE_PATH": base}
    with run_yard(tmp_path / "data", environment) as yard, opened(browser, yard.url) as page:
        page.goto(f"{base}/models?tag=a")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Connections").click()
        expect(page).to_have_url(f"{yard.url}{base}/connections")
        page.reload()
        expect(page.get_by_role("heading", name="Connections", level=1)).to_be_visible()


# Each with what it shows once all is there.
FIRST_PAGES = {
    "/signin": "Sign in", "/overview": "Recent changes", "/models": "No presets yet", "/models?tab=base": "tiny-llama",
    "/models/deleted": "No deleted models", "/playground": "Ask tiny-llama anything", "/connections": "environment",
    "/keys": "MODELYARD_ADMIN_API_KEY", "/people": EMAIL, "/people/groups": "No groups yet",
    "/people/permissions": "Sharing", "/audit": "Signed in", "/settings": "Default models", "/yard": "yard.schema.json",
    "/reference": "Revoke key", "/account": "This one",
}  # fmt: skip


@pytest.mark.parametrize("address", FIRST_PAGES)
def test_a_first_visit_is_light(browser, house, address):
    """All scripts that a browser loads which was never here, as they travel (gzip), until the page is quiet."""
    scripts = []
    token = house.admin.post("/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}).json()["token"]
    with opened(browser, house.url, size=MIDDLE) as page:
        if address != "/signin":
            page.context.add_cookies([{"name": "modelyard_session", "value": token, "url": house.url}])
        page.on("response", lambda answer: scripts.append(answer) if answer.url.endswith(".js") else None)
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("body")).to_contain_text(FIRST_PAGES[address])
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        page.wait_for_load_state("networkidle")
        sizes = {script.url: len(gzip.compress(script.body(), 9)) for script in scripts}
    print(f"{address}: {sum(sizes.values()) / 1000:.1f} kB of scripts in {len(sizes)} files")
    assert 10_000 < sum(sizes.values()) <= MAX_FIRST_LOAD_BYTES, sizes


def test_another_person_finds_nothing_of_the_one_before(browser, house):
    other = {"email": "other@example.com", "name": "other", "role": "user", "password": PASSWORD}
    house.admin.post("/api/v1/users/", json=other).raise_for_status()
    with opened(browser, house.url, expected=("401",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/playground?model=tiny-llama")
        page.get_by_role("textbox").last.fill("a secret of the administrator")
        page.keyboard.press("Enter")
        expect(page.get_by_text("to first token")).to_be_visible()
        (person,) = [found for found in house.admin.get("/api/v1/users/").json()["users"] if found["email"] == EMAIL]
        house.admin.delete(f"/api/v1/users/{person['id']}/sessions").raise_for_status()
        page.get_by_role("textbox").last.fill("more of it")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="You were signed out")
        dialog.get_by_label("E-mail").fill(other["email"])
        dialog.get_by_label("Password").fill(PASSWORD)
        dialog.get_by_role("button", name="Sign in").click()
        expect(dialog).to_have_count(0)
        expect(page).to_have_url(house.url + "/playground")
        expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
        assert "secret" not in page.content()
        assert "secret" not in page.evaluate("JSON.stringify(sessionStorage)")


def test_leaving_by_sign_out_asks_when_something_is_not_saved(page, house):
    page.goto("/models/new")
    page.get_by_label("Name", exact=True).fill("Not saved yet")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Stay").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Not saved yet")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Leave").click()
    signed_out(page)


def test_another_sites_link_does_not_sign_out(page):
    page.goto("/signout")
    expect(page.get_by_role("heading", name="Sign out of this browser?")).to_be_visible()
    page.goto("/account")
    expect(page.get_by_role("heading", name="Account", level=1)).to_be_visible()


def test_keys_that_are_pressed_while_a_page_loads_are_for_that_page(browser, house):
    """Each step waits for what the step before has asked, so nothing depends on how quick the machine is."""
    token = house.admin.post("/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}).json()["token"]
    with opened(browser, house.url) as page:
        page.context.add_cookies([{"name": "modelyard_session", "value": token, "url": house.url}])
        held: list[Route] = []

        def keep(route: Route) -> None:
            held.append(route)

        page.route("**/api/v1/auths/", keep)
        with page.expect_request("**/api/v1/auths/"):
            page.goto("/overview", wait_until="commit")
        page.keyboard.type("gm")  # nobody knows yet who is there
        held.pop().continue_()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        page.route("**/assets/Connections-*.js", keep)
        with page.expect_request("**/assets/Connections-*.js"):
            press_together(page, "gc")
        page.keyboard.press("c")
        held.pop().continue_()
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page).to_have_url(house.url + "/connections?new=1")


def test_a_letter_in_the_first_second_is_no_second_key(page):
    page.goto("/keys", wait_until="commit")
    page.locator("#content h1").wait_for()
    page.keyboard.press("u")  # after g it is the page of people
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    expect(page.get_by_role("heading", name="Keys", level=1, include_hidden=True)).to_be_attached()
    expect(page).to_have_url(re.compile("/keys$"))


def test_going_back_leads_to_the_place_where_one_was(browser, house):
    rows = [{"id": f"row-{number}", "name": f"Row {number:03}", "base_model_id": "tiny-llama"} for number in range(60)]
    house.admin.post("/api/v1/models/import", json={"models": rows}).raise_for_status()
    with opened(browser, house.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        expect(page.get_by_role("link", name="Row 000")).to_be_visible()
        page.evaluate("window.scrollTo(0, 1500)")
        expect(page.get_by_role("link", name="Row 035")).to_be_visible()
        page.get_by_role("link", name="Row 035").click()
        expect(page.get_by_label("Name", exact=True)).to_have_value("Row 035")
        page.go_back()
        expect(page.get_by_role("link", name="Row 035")).to_be_in_viewport()
        page.wait_for_function("() => window.scrollY > 1000")


def test_going_back_from_a_drawer_leads_to_the_place_where_one_was(browser, house):
    for number in range(30):
        house.make_key(name=f"listed {number}")
    with opened(browser, house.url, size=(1440, 400)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/audit")
        expect(page.get_by_role("row").nth(20)).to_be_attached()
        page.evaluate("window.scrollTo(0, 500)")
        expect(page.get_by_role("row").nth(15)).to_be_in_viewport()
        page.evaluate("document.querySelectorAll('tbody tr [data-open]')[12].click()")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("row").nth(15)).to_be_in_viewport()
        page.wait_for_function("() => window.scrollY === 500")


def test_a_click_into_a_searchable_select_opens_it(page):
    page.goto("/models/new")
    for _ in range(2):  # when it is first touched, and later
        page.get_by_role("combobox", name="Base model").click()
        expect(page.get_by_role("option", name="tiny-llama")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("option")).to_have_count(0)
    page.get_by_role("combobox", name="Base model").fill("tin")
    expect(page.get_by_role("option", name="tiny-llama")).to_have_attribute("data-highlighted", "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Base model")).to_have_value("tiny-llama")


def test_a_page_answers_keys_as_soon_as_it_has_a_title(browser, house):
    """A single key, in a browser that was never here. How soon that is `bench interface` tells."""
    token = house.admin.post("/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}).json()["token"]
    for address in ("/overview", "/models"):
        with opened(browser, house.url) as page:
            page.context.add_cookies([{"name": "modelyard_session", "value": token, "url": house.url}])
            page.goto(address, wait_until="commit")
            page.get_by_role("heading", level=1).wait_for()
            page.keyboard.press("?")
            expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_the_current_tab_is_in_sight_on_a_narrow_screen(browser, house):
    with opened(browser, house.url, size=NARROW) as page:
        sign_in(page, EMAIL, PASSWORD)
        for address, tab in (("/settings?section=server", "Server"), ("/settings", "Models")):
            page.goto(address)
            expect(page.get_by_role("main").get_by_role("link", name=tab, exact=True)).to_be_in_viewport(ratio=1)
            picture(page, f"tabs-narrow-{tab.lower()}")
        assert_fits(page)


def test_the_navigation_of_a_narrow_screen_is_gone_after_every_link(browser, house):
    with opened(browser, house.url, size=NARROW) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models?tab=base")
        opener = page.get_by_role("button", name="Open the navigation")
        pages = page.get_by_role("navigation", name="Pages")
        opener.click()
        pages.get_by_role("link", name="Models").click()
        expect(pages).to_have_count(0)
        expect(page).to_have_url(house.url + "/models")
        # Also of one that is not followed yet: the question can be answered.
        page.goto("/models/new")
        page.get_by_label("Name", exact=True).fill("Not saved")
        for leave in (pages.get_by_role("link", name="Keys"), pages.get_by_role("button", name="Sign out")):
            opener.click()
            leave.click()
            page.get_by_role("button", name="Stay").click()
            expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_navigation_of_a_narrow_screen_does_not_come_back_by_itself(browser, house):
    with opened(browser, house.url, size=NARROW) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/keys")
        page.get_by_role("button", name="Open the navigation").click()
        expect(page.get_by_role("dialog", name="Pages")).to_be_visible()
        page.set_viewport_size({"width": MIDDLE[0], "height": MIDDLE[1]})
        expect(page.get_by_role("dialog", name="Pages")).to_have_count(0)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        expect(page.get_by_role("button", name="Open the navigation")).to_have_attribute("aria-expanded", "false")
        expect(page.get_by_role("dialog", name="Pages")).to_have_count(0)
