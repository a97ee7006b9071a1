"""The editor and the history of a model on narrow and middle screens, in light and dark."""

import pytest
from playwright.sync_api import Browser, expect

from tests.interface.browser import MIDDLE, NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.editor import edit, made
from tests.yard import Yard


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_editor_fits_a_narrow_screen(browser: Browser, house: Yard, theme: str):
    long = "مساعد الشركة " + "ExtraordinarilyLongNameWithoutAnySpace" * 3
    made(house, f"narrow-{theme}", name=long, params={"temperature": 0.5, "stop": ["x"]}, meta={"tags": ["t" * 90]})
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        for name, content in (("edit", "Saved"), ("history", "Whole version")):
            page.goto(f"/models/{name}?id=narrow-{theme}")
            expect(page.get_by_role("heading", level=1)).to_contain_text("مساعد")
            expect(page.get_by_text(content, exact=True)).to_be_visible()
            expect(page.get_by_role("status", name="Loading")).to_have_count(0)
            assert_fits(page)
            assert faults(page) == []
            picture(page, f"editor-narrow-{theme}-{name}", whole=True)
        page.goto(f"/models/edit?id=narrow-{theme}")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("dialog").get_by_role("tab", name="Chat")).to_be_visible()
        assert faults(page) == []
        picture(page, f"editor-narrow-{theme}-preview")


def test_the_editor_in_the_dark(browser, house):
    made(house, "night", params={"system": "Hello {{USER_NAME}} {{NOBODY}}", "temperature": 5}, access_control=None)
    with opened(browser, house.url, theme="dark") as page:
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "night")
        expect(page.get_by_text("These are not known variables")).to_be_visible()
        expect(page.get_by_text("Usual values are from 0 to 2.")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-dark")
        page.set_viewport_size({"width": MIDDLE[0], "height": MIDDLE[1]})
        page.get_by_role("navigation", name="Sections").get_by_role("button", name="Parameters").click()
        expect(page.get_by_role("heading", name="Parameters", exact=True)).to_be_focused()
        expect(page.get_by_role("button", name="Preview")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-dark-middle")
