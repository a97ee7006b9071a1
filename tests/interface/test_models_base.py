"""The list of base models: what it says of each, and what can be done to one and to many; and the way back from the editor."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.interface.browser import NARROW, faults, opened, picture, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.test_models import M, choose, model, preset, row, take, undo
from tests.servers import run_scripted


@pytest.fixture(autouse=True)
def empty(house: Any) -> None:
    assert house.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200


@pytest.fixture
def workshop(house: Any) -> Iterator[Any]:
    """A second connection, whose models have a prefix."""
    with run_scripted() as scripted:
        made = house.connect("Workshop", scripted.base_url, prefix_id="ws")
        yield house
        house.admin.delete(f"/api/v1/connections/{made['id']}")


def test_base_models_are_set_up_by_a_switch(page, house):
    page.goto("/models?tab=base")
    base = row(page, "tiny-llama")
    expect(base).to_contain_text("Administrators only")
    assert faults(page) == []
    picture(page, "models-base")
    switch = page.get_by_role("switch", name="tiny-llama is active")
    expect(switch).to_be_checked()
    switch.click()
    expect(base).to_contain_text("Inactive")
    made = model(house, "tiny-llama")
    assert (made["base_model_id"], made["is_active"], made["access_control"]) == (None, False, {})
    switch.click()
    expect(base).to_contain_text("Active")
    choose(page, "tiny-llama", "Hide")
    expect(base).to_contain_text("Hidden")
    choose(page, "tiny-llama", "Reset settings")
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    expect(base).not_to_contain_text("Hidden")
    assert model(house, "tiny-llama") is None
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.get_by_text("No base models match")).to_be_visible()


def test_a_row_says_who_offers_the_model_and_its_id_only_where_it_is_another(page, workshop):
    form = {"id": "ws.lorem", "name": "Latin", "meta": {}, "params": {}}
    assert workshop.admin.post(f"{M}/create", json=form).status_code == 200
    page.goto("/models?tab=base")
    expect(row(page, "tiny-llama").get_by_text("tiny-llama")).to_have_count(1)
    expect(row(page, "Latin").get_by_text("ws.lorem")).to_be_visible()
    connection = row(page, "ws.echo").get_by_role("link", name="Workshop")
    expect(connection).to_have_attribute("href", re.compile(r"^/connections\?id="))
    page.get_by_role("searchbox").fill("workshop echo")
    expect(page.locator("tr[data-row]").first).to_contain_text("ws.echo")
    expect(row(page, "tiny-llama")).to_have_count(0)
    assert faults(page) == []
    connection.click()
    expect(page.get_by_role("dialog", name="Workshop")).to_be_visible()


def test_many_base_models_are_changed_at_once_with_and_without_rows(page, workshop):
    form = {"id": "ws.cut", "name": "ws.cut", "is_active": False, "meta": {}, "params": {}}
    assert workshop.admin.post(f"{M}/create", json=form).status_code == 200
    page.goto("/models?tab=base")
    for name in ("tiny-llama", "ws.broken-line", "ws.cut"):
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    bar = page.get_by_role("region", name="3 selected")
    expect(bar.get_by_role("button", name="Export")).to_have_count(0)
    assert faults(page) == []
    picture(page, "models-base-selected")
    bar.get_by_role("button", name="Disable").click()
    for name in ("tiny-llama", "ws.broken-line", "ws.cut"):
        expect(row(page, name)).to_contain_text("Inactive")
    made = model(workshop, "ws.broken-line")
    assert (made["base_model_id"], made["is_active"], made["access_control"]) == (None, False, {})
    undo(page)
    expect(row(page, "ws.broken-line")).to_contain_text("Active")
    # What had been off before stays off.
    expect(row(page, "ws.cut")).to_contain_text("Inactive")

    page.get_by_role("searchbox").fill("ws.e")
    expect(row(page, "tiny-llama")).to_have_count(0)
    page.get_by_role("checkbox", name="Select all that are shown").click()
    offered = [one["id"] for one in workshop.admin.get("/api/models/base").json()["data"]]
    count = sum(model_id.startswith("ws.e") for model_id in offered)
    bar = page.get_by_role("region", name=f"{count} selected")
    bar.get_by_role("button", name="Tag").click()
    dialog = page.get_by_role("dialog", name=f"Tag {count} models")
    dialog.get_by_label("Tags").fill("sea")
    dialog.get_by_label("Tags").press("Enter")
    dialog.get_by_role("button", name="Add tags").click()
    expect(page.get_by_text(f"Tagged {count} models")).to_be_visible()
    expect(bar).to_have_count(0)
    assert model(workshop, "ws.error-500")["meta"]["tags"] == [{"name": "sea"}]

    page.get_by_role("checkbox", name="Select ws.echo", exact=True).check()
    bar = page.get_by_role("region", name="1 selected")
    bar.get_by_role("button", name="Share").click()
    page.get_by_role("dialog", name="Share 1 model with everyone?").get_by_role("button", name="Share").click()
    expect(row(page, "ws.echo")).to_contain_text("Everyone")
    expect(bar).to_have_count(0)
    assert model(workshop, "ws.echo")["access_control"] is None

    page.get_by_role("checkbox", name="Select ws.echo", exact=True).check()
    page.get_by_role("region", name="1 selected").get_by_role("button", name="Reset settings").click()
    dialog = page.get_by_role("dialog", name="Reset the settings of 1 model?")
    dialog.get_by_role("button", name="Reset").click()
    expect(row(page, "ws.echo")).to_contain_text("Administrators only")
    assert model(workshop, "ws.echo") is None
    page.get_by_role("listitem").filter(has_text="Reset settings of 1 model").get_by_role("button", name="Undo").click()
    expect(row(page, "ws.echo")).to_contain_text("Everyone")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_telephone_the_bar_of_a_selection_is_one_line(browser, workshop, theme):
    with opened(browser, workshop.url, theme=theme) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        page.goto("/models?tab=base")
        page.get_by_role("checkbox", name="Select tiny-llama", exact=True).check()
        bar = page.get_by_role("region", name="1 selected")
        expect(bar).to_be_in_viewport(ratio=1)
        page.wait_for_function("bar => bar.offsetHeight < 60", arg=bar.element_handle())
        assert faults(page) == []
        picture(page, f"models-base-selected-narrow-{theme}")
        bar.get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name="Hide").click()
        expect(row(page, "tiny-llama")).to_contain_text("Hidden")
        page.get_by_role("button", name="More actions").first.click()
        expect(page.get_by_role("menuitem", name="Import")).to_be_visible()


def test_going_back_from_the_editor_leads_to_the_row_that_was_opened(page, house):
    take(house, [preset(f"row-{number}", f"Row {number:03}") for number in range(60)])
    page.goto("/models")
    expect(page.get_by_role("link", name="Row 000")).to_be_visible()
    page.evaluate("window.scrollTo(0, 1500)")
    opened_row = page.get_by_role("link", name="Row 035")
    opened_row.click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Row 035")
    page.go_back()
    expect(opened_row).to_be_focused()
    expect(opened_row).to_be_in_viewport()
    # By the menu of another row, and with the keyboard.
    choose(page, "Row 036", "Edit e")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Row 036")
    page.go_back()
    expect(page.get_by_role("link", name="Row 036")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Row 037")
    page.go_back()
    expect(page.get_by_role("link", name="Row 037")).to_be_focused()
    # Whoever left by another way finds no row with the focus. (The button is at the top, so the list is there, too.)
    page.get_by_role("link", name="New model").first.click()
    expect(page.get_by_role("heading", name="New model")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Row 000")).to_be_visible()
    # The focus is given in the next frame after the list is there, if it is given at all.
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert page.evaluate("document.activeElement.closest('[data-row]')") is None


def test_a_list_of_tags_that_holds_one_twice_breaks_no_page(page, house):
    take(house, [preset("twice", "Twice", meta={"tags": ["a", "a", {"name": "a"}], "toolIds": ["t", "t"]})])
    page.goto("/models")
    expect(row(page, "Twice")).to_be_visible()
    row(page, "Twice").get_by_role("link", name="Twice", exact=True).click()
    expect(page.get_by_role("button", name="Remove a", exact=True)).to_have_count(1)
    expect(page.get_by_role("button", name="Remove t", exact=True)).to_have_count(1)
