"""The list of models: found, sorted, switched, shared, exported, deleted and brought back; one at a time and many at once."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.interface.browser import NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD

M = "/api/v1/models"
PERSON = ("ada@example.com", "a long enough password")
LONG = "A name of two hundred characters " * 6 + "xx"
ARABIC = "مساعد البرمجة العربي"


@pytest.fixture(autouse=True)
def catalogue(house):
    """Five presets, and nothing in memory of what earlier tests did."""
    assert house.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200
    rows = [
        preset("alpha", "Alpha", meta={"tags": ["fast"], "description": "Answers briefly"}),
        preset("team/beta:1", "Beta", meta={"tags": ["fast", "long"]}, access_control=None),
        preset("gamma", "Gamma", base_model_id="nowhere"),
        preset("delta", "Delta", is_active=False),
        preset("arabic", ARABIC, meta={"tags": ["لغة"]}),
    ]
    take(house, rows)


@pytest.fixture
def person(browser, house):
    """A page of somebody who is no administrator."""
    email, password = PERSON
    form = {"email": email, "name": "Ada", "role": "user", "password": password}
    assert house.admin.post("/api/v1/users/", json=form).status_code in {200, 400, 409}
    with opened(browser, house.url) as page:
        sign_in(page, email, password)
        yield page


def preset(model_id: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": model_id, "name": name, "base_model_id": "tiny-llama", "meta": {}, "params": {}, **fields}


def take(house: Any, rows: list[dict[str, Any]]) -> None:
    answer = house.admin.post(f"{M}/import", json=rows)
    assert answer.status_code == 200, answer.text


def model(house: Any, model_id: str) -> Any:
    answer = house.admin.get(f"{M}/model", params={"id": model_id})
    return answer.json() if answer.status_code == 200 else None


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> Locator:
    return page.locator("tr[data-row] [data-open]")


def entries(page: Page) -> Locator:
    """What a menu that is open offers, without the keys for it."""
    return page.get_by_role("menuitem").locator("span")


def choose(page: Page, name: str, entry: str) -> None:
    """An entry of a row's menu."""
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def undo(page: Page) -> None:
    page.get_by_role("button", name="Undo").first.click()


def test_the_list_shows_what_there_is(page, house):
    page.goto("/models")
    expect(page.get_by_role("link", name=re.compile(r"^Presets\s*5$"))).to_be_visible()
    expect(names(page)).to_have_text(["Alpha", "Beta", "Delta", "Gamma", ARABIC])
    expect(row(page, "Alpha")).to_contain_text("Active")
    expect(row(page, "Gamma")).to_contain_text("Base offline")
    expect(row(page, "Delta")).to_contain_text("Inactive")
    expect(row(page, "Beta")).to_contain_text("team/beta:1")
    expect(page.get_by_role("table", name="Models")).to_have_attribute("aria-rowcount", "6")
    expect(row(page, "Alpha")).to_have_attribute("aria-rowindex", "2")
    assert faults(page) == []
    picture(page, "models-full")


def test_search_view_tag_and_order_live_in_the_address(page):
    page.goto("/models")
    page.get_by_role("searchbox").fill("bRIEF")
    expect(page).to_have_url(re.compile(r"q=bRIEF"))
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("bRIEF")
    expect(row(page, "Alpha")).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("tr[data-row]")).to_have_count(5)

    page.get_by_role("button", name="fast", exact=True).click()
    expect(page.locator("tr[data-row]")).to_have_count(2)
    page.get_by_role("button", name="Name").click()
    expect(page).to_have_url(re.compile(r"dir=desc"))
    expect(page.locator("tr[data-row]").first).to_contain_text("Beta")
    page.reload()
    expect(page.get_by_role("button", name="fast", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    expect(names(page)).to_have_text(["Beta", "Alpha"])

    page.get_by_role("button", name=re.compile("^Created by you")).click()
    expect(page.get_by_text("No models match")).to_be_visible()
    assert faults(page) == []
    picture(page, "models-no-match")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("tr[data-row]")).to_have_count(5)
    page.get_by_role("button", name=re.compile("^Shared with you")).click()
    expect(page).to_have_url(re.compile("view=shared"))
    expect(page.locator("tr[data-row]")).to_have_count(5)
    # What was chosen is a step that Back takes back; what was typed is none of its own.
    page.get_by_role("searchbox").fill("be")
    expect(page).to_have_url(re.compile(r"q=be"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/models\?dir=desc$"))
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.go_back()
    expect(page.get_by_role("button", name="fast", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("tr[data-row]")).to_have_count(2)


def test_a_switch_waits_for_the_answer_and_goes_back_when_it_is_refused(browser, house):
    with opened(browser, house.url, expected=("/model/toggle",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        switch = page.get_by_role("switch", name="Delta is active")
        switch.click()
        expect(switch).to_be_checked()
        expect(row(page, "Delta")).to_contain_text("Active")
        assert model(house, "delta")["is_active"] is True

        page.route("**/model/toggle*", lambda route: route.fulfill(status=409, json={"detail": "Not this one."}))
        switch = page.get_by_role("switch", name="Alpha is active")
        switch.click()
        expect(page.get_by_text("Not this one.")).to_be_visible()
        expect(switch).to_be_checked()
        expect(switch).to_be_enabled()
        assert model(house, "alpha")["is_active"] is True


def test_a_model_is_hidden_deleted_and_brought_back_from_its_menu(page, house):
    page.goto("/models")
    choose(page, "Alpha", "Hide")
    expect(row(page, "Alpha")).to_contain_text("Hidden")
    assert model(house, "alpha")["meta"]["hidden"] is True
    undo(page)
    expect(row(page, "Alpha")).not_to_contain_text("Hidden")

    choose(page, "Beta", "Delete")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Everyone here can use it.")
    assert faults(page) == []
    picture(page, "models-delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(row(page, "Beta")).to_have_count(0)
    assert model(house, "team/beta:1") is None
    page.get_by_role("listitem").filter(has_text="Deleted Beta").get_by_role("button", name="Undo").click()
    expect(row(page, "Beta")).to_be_visible()
    assert model(house, "team/beta:1")["access_control"] is None


def test_the_menu_leads_to_everything(page, house):
    page.goto("/models")
    page.get_by_role("button", name="Actions for Beta").click()
    expect(entries(page)).to_have_text([
        "Edit", "Try in playground", "Clone", "Hide", "Access", "Share", "Copy link", "Export", "Export as Modelfile",
        "History", "Delete",
    ])  # fmt: skip
    for name, address in {
        "Edit e": "/models/edit?id=team%2Fbeta%3A1", "Try in playground": "/playground?model=team%2Fbeta%3A1",
        "Clone": "/models/new?clone=team%2Fbeta%3A1", "History": "/models/history?id=team%2Fbeta%3A1",
        "Access": "/models/edit?id=team%2Fbeta%3A1&section=access",
    }.items():  # fmt: skip
        expect(page.get_by_role("menuitem", name=name, exact=True)).to_have_attribute("href", address)
    picture(page, "models-menu")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Actions for Beta")).to_be_focused()


def test_shift_shows_quick_actions(page, house):
    page.goto("/models")
    row(page, "Alpha").hover()
    page.keyboard.down("Shift")
    page.get_by_role("button", name="Hide Alpha").click()
    expect(row(page, "Alpha")).to_contain_text("Hidden")
    page.get_by_role("button", name="Delete Alpha now").click()
    expect(row(page, "Alpha")).to_have_count(0)
    page.keyboard.up("Shift")
    page.get_by_role("listitem").filter(has_text="Deleted Alpha").get_by_role("button", name="Undo").click()
    expect(row(page, "Alpha")).to_be_visible()


def test_sharing_says_so_first_and_copies_the_link(page, house):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/models")
    choose(page, "Alpha", "Share")
    assert model(house, "alpha")["access_control"] == {}
    dialog = page.get_by_role("dialog", name="Share Alpha")
    expect(dialog.get_by_role("button", name="Save and copy link")).to_be_disabled()
    dialog.get_by_label("Public").check()
    dialog.get_by_role("button", name="Save and copy link").click()
    expect(page.get_by_text("Open to everyone; link copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{house.url}/playground?model=alpha"
    assert model(house, "alpha")["access_control"] is None
    undo(page)
    expect(page.get_by_text("Undone")).to_be_visible()
    assert model(house, "alpha")["access_control"] == {}

    choose(page, "Beta", "Copy link")
    expect(page.get_by_text("Link copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{house.url}/playground?model=team%2Fbeta%3A1"


def test_one_and_all_are_exported(page, house):
    page.goto("/models")
    with page.expect_download() as one:
        choose(page, "Beta", "Export")
    assert re.fullmatch(r"team-beta-1-\d+\.json", one.value.suggested_filename)
    assert [item["id"] for item in json.loads(one.value.path().read_text())] == ["team/beta:1"]
    with page.expect_download() as modelfile:
        choose(page, "Alpha", "Export as Modelfile")
    assert "FROM tiny-llama" in modelfile.value.path().read_text()
    with page.expect_download() as every:
        page.get_by_role("button", name="Export all").click()
    assert {item["id"] for item in json.loads(every.value.path().read_text())} == {
        "alpha", "team/beta:1", "gamma", "delta", "arabic"
    }  # fmt: skip


def test_many_are_changed_at_once_and_it_can_be_undone(page, house):
    page.goto("/models")
    page.get_by_role("checkbox", name="Select Alpha").check()
    page.get_by_role("checkbox", name="Select Delta").check()
    bar = page.get_by_role("region", name="2 selected")
    picture(page, "models-selected")
    assert faults(page) == []
    bar.get_by_role("button", name="Disable").click()
    expect(row(page, "Alpha")).to_contain_text("Inactive")
    undo(page)
    expect(row(page, "Alpha")).not_to_contain_text("Inactive")
    # What had been off before stays off.
    expect(row(page, "Delta")).to_contain_text("Inactive")

    # How a row was when it was selected does not count, but how it is.
    page.get_by_role("checkbox", name="Select Alpha").check()
    page.get_by_role("switch", name="Alpha is active").click()
    expect(row(page, "Alpha")).to_contain_text("Inactive")
    page.get_by_role("region", name="1 selected").get_by_role("button", name="Enable").click()
    expect(row(page, "Alpha")).not_to_contain_text("Inactive")
    page.get_by_role("listitem").filter(has_text="Enabled 1 model").get_by_role("button", name="Undo").click()
    expect(row(page, "Alpha")).to_contain_text("Inactive")

    page.get_by_role("checkbox", name="Select all that are shown").click()
    bar = page.get_by_role("region", name="5 selected")
    bar.get_by_role("button", name="Tag").click()
    dialog = page.get_by_role("dialog", name="Tag 5 models")
    dialog.get_by_label("Tags").fill("sea")
    dialog.get_by_label("Tags").press("Enter")
    dialog.get_by_role("button", name="Add tags").click()
    expect(page.get_by_text("Tagged 5 models")).to_be_visible()
    expect(page.get_by_role("region", name="5 selected")).to_have_count(0)
    expect(page.get_by_role("group", name="Tags").get_by_role("button", name="sea")).to_be_visible()
    assert {"name": "sea"} in model(house, "gamma")["meta"]["tags"]

    page.get_by_role("checkbox", name="Select all that are shown").click()
    page.get_by_role("region", name="5 selected").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 5 models?")
    expect(dialog).to_contain_text("1 of them is open to other people")
    dialog.get_by_role("button", name="Delete").click()
    told = page.get_by_role("listitem").filter(has_text="Deleted 5 models")
    told.hover()  # so it stays as long as that takes which follows
    expect(page.get_by_text("No presets yet")).to_be_visible()
    assert faults(page) == []
    picture(page, "models-empty")
    told.get_by_role("button", name="Undo").click()
    expect(page.locator("tr[data-row]")).to_have_count(5)


def test_what_could_not_be_changed_is_told(page, house):
    page.goto("/models")
    page.get_by_role("checkbox", name="Select all that are shown").click()
    expect(page.get_by_role("region", name="5 selected")).to_be_visible()
    house.admin.post(f"{M}/model/delete", json={"id": "alpha"})
    page.get_by_role("region", name="5 selected").get_by_role("button", name="Hide").click()
    dialog = page.get_by_role("dialog", name="Some models were not changed")
    expect(dialog).to_contain_text("1 of 5 could not be changed.")
    expect(dialog).to_contain_text("Alpha")
    assert model(house, "gamma")["meta"]["hidden"] is True


def test_somebody_who_may_only_use_models_reads_them(person, house):
    person.goto("/models")
    expect(row(person, "Beta")).to_contain_text("Read only")
    expect(names(person)).to_have_text(["Beta"])
    expect(row(person, "Beta").get_by_role("link")).to_have_attribute("href", "/playground?model=team%2Fbeta%3A1")
    expect(person.get_by_role("switch")).to_have_count(0)
    expect(person.get_by_role("checkbox")).to_have_count(0)
    for button in ("Import", "Export all", "New model"):
        expect(person.get_by_role("link", name=button)).to_have_count(0)
        expect(person.get_by_role("button", name=button)).to_have_count(0)
    person.get_by_role("button", name="Actions for Beta").click()
    expect(entries(person)).to_have_text(["Try in playground", "Share", "Copy link"])
    person.keyboard.press("Escape")
    expect(person.get_by_role("menu")).to_have_count(0)
    assert faults(person) == []
    picture(person, "models-plain-user")

    person.goto("/models?tab=base")
    expect(person.get_by_text("No base models shared with you")).to_be_visible()
    house.admin.post(f"{M}/model/access/update", json={"id": "tiny-llama", "access_control": None})
    person.reload()
    expect(row(person, "tiny-llama")).to_be_visible()
    expect(person.get_by_role("switch")).to_have_count(0)
    person.goto("/models/import")
    expect(person.get_by_role("heading", name="You don't have access to this page")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_long_and_right_to_left_names_fit_a_telephone(browser, house, theme):
    take(house, [preset("long", LONG[:200], meta={"tags": ["t" * 100]}), preset("x" * 200, ARABIC * 5)])
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        for path, name in (("/models", "list"), ("/models?tab=base", "base"), ("/models/deleted", "deleted")):
            page.goto(path)
            expect(page.locator("tr[data-row]").first).to_be_visible()
            assert_fits(page)
            assert faults(page) == []
            picture(page, f"models-{name}-narrow-{theme}")
        page.goto("/models")
        page.get_by_role("checkbox", name="Select Alpha").check()
        expect(page.get_by_role("region", name="1 selected")).to_be_in_viewport()
        picture(page, f"models-selected-narrow-{theme}")


def test_every_size_and_theme_has_its_picture(browser, house):
    take(house, [preset("long", LONG[:200], meta={"tags": ["one", "two", "three"]})])
    for size, theme in (((1440, 900), "dark"), ((1024, 768), "light")):
        with opened(browser, house.url, size=size, theme=theme) as page:
            signed_in(page, EMAIL, PASSWORD)
            page.goto("/models")
            expect(row(page, "Alpha")).to_be_visible()
            assert faults(page) == []
            picture(page, f"models-full-{size[0]}-{theme}")


def test_a_list_that_cannot_be_read_says_so(browser, house):
    with opened(browser, house.url, expected=("/api/v1/models/list", "ERR_FAILED", "503")) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/api/v1/models/list*", lambda route: None)
        page.goto("/models")
        expect(page.get_by_role("status", name="Loading")).to_be_visible()
        assert faults(page) == []
        picture(page, "models-loading")
        page.unroute("**/api/v1/models/list*")
        page.route("**/api/v1/models/list*", lambda route: route.fulfill(status=403, json={"detail": "Not today."}))
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("Not today.")
        picture(page, "models-error")
        page.unroute("**/api/v1/models/list*")
        page.get_by_role("button", name="Try again").click()
        expect(row(page, "Alpha")).to_be_visible()


def test_the_page_stays_where_it_is_when_the_number_of_models_changes(page, house):
    take(house, [preset(f"many-{number:02}", f"Many {number:02}") for number in range(60)])
    page.goto("/models?q=Many")
    expect(row(page, "Many 00")).to_be_visible()
    page.evaluate("scrollTo(0, 1200)")
    expect(row(page, "Many 22")).to_be_in_viewport()
    before = page.evaluate("scrollY")
    choose(page, "Many 22", "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile(r"^Presets\s*59$"))).to_be_attached()
    assert page.evaluate("new Promise(done => requestAnimationFrame(() => done(scrollY)))") == before


SETTLED = """async url => {
    await import(url);
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


@pytest.mark.parametrize("key", ["Escape", "Tab"])
def test_who_goes_on_while_a_menu_is_loading_gets_none_afterwards(page, key):
    held: list[Route] = []

    def hold(request: Route) -> None:
        held.append(request)

    page.route("**/assets/MenuList-*.js", hold)
    page.goto("/models")
    button = page.get_by_role("button", name="Actions for Beta")
    with page.expect_request("**/assets/MenuList-*.js"):
        button.click()
    expect(button).to_be_focused()
    page.keyboard.press(key)
    held[0].continue_()
    page.evaluate(SETTLED, held[0].request.url)
    assert page.get_by_role("menu").count() == 0
    button.click()
    expect(page.get_by_role("menuitem", name="Edit")).to_be_visible()
    expect(page.get_by_label("Actions for Beta", exact=True).first).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()
    button.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()


def test_a_menu_that_could_not_be_loaded_can_be_asked_for_again(browser, house):
    with opened(browser, house.url, expected=("Failed to load resource",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        button = page.get_by_role("button", name="Actions for Beta")
        expect(button).to_be_visible()
        page.route("**/assets/MenuList-*.js", lambda request: request.abort())
        button.click()
        page.get_by_role("alert").get_by_role("button", name="Close").click()
        page.unroute_all()
        button.click()
        expect(page.get_by_role("menuitem", name="Edit")).to_be_visible()


def test_the_box_of_all_shows_what_is_selected(page, person, house):
    """Also when some of the list cannot be selected."""
    ada = next(one for one in house.admin.get("/api/v1/users/").json()["users"] if one["email"] == PERSON[0])["id"]
    grants = [{"principal_type": "user", "principal_id": ada, "permission": "write"}]
    take(house, [preset("hers", "Hers", access_grants=grants), preset("hers-too", "Hers too", access_grants=grants)])
    person.goto("/models")
    everything = person.get_by_role("checkbox", name="Select all")
    for _ in range(2):
        everything.click()
        expect(person.get_by_text("2 selected")).to_be_visible()
        assert everything.evaluate("box => [box.checked, box.indeterminate]") == [False, True]
        person.get_by_role("button", name="Clear the selection").click()
        expect(person.get_by_text("2 selected")).to_have_count(0)
        assert everything.evaluate("box => [box.checked, box.indeterminate]") == [False, False]
    everything.click()
    expect(person.get_by_text("2 selected")).to_be_visible()
    everything.click()
    expect(person.get_by_text("2 selected")).to_have_count(0)
