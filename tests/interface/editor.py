"""What tests of the editor share: models and people made through the API, and the form as a person uses it."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.interface.conftest import PASSWORD
from tests.yard import Yard

SAVE = "Save"
CREATE = "Create"


def stored(house: Yard, model_id: str) -> dict[str, Any]:
    answer = house.admin.get("/api/v1/models/model", params={"id": model_id})
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def made(house: Yard, model_id: str, **fields: Any) -> dict[str, Any]:
    """A preset made through the API."""
    form = {"id": model_id, "name": model_id.title(), "base_model_id": "tiny-llama", **fields}
    answer = house.admin.post("/api/v1/models/create", json=form)
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def person(house: Yard, name: str) -> str:
    """The id of a user who can sign in as `name@example.com` with PASSWORD."""
    form = {"name": name.title(), "email": f"{name}@example.com", "password": PASSWORD, "role": "user"}
    answer = house.admin.post("/api/v1/users/", json=form)
    assert answer.status_code == 200, answer.text
    user_id: str = answer.json()["id"]
    return user_id


def label_of(text: str) -> re.Pattern[str]:
    """A field's label, which may say behind its text that the field is optional."""
    return re.compile(rf"^{re.escape(text)}\s*(optional)?$")


def field(page: Page, label: str) -> Locator:
    """A field of the form, by the whole of its label."""
    return page.locator("form").first.get_by_role("textbox", name=label_of(label)).first


def edit(page: Page, model_id: str, query: str = "") -> None:
    page.goto(f"/models/edit?id={model_id}{query}")
    expect(field(page, "Name")).to_be_visible()


def save(page: Page, name: str = SAVE) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def fold_out(page: Page, name: str) -> None:
    group = page.locator("details", has=page.locator("summary", has_text=name)).first
    if not group.evaluate("node => node.open"):
        group.locator("summary").first.click()


def choose_state(page: Page, parameter: str, state: str) -> None:
    page.get_by_role("group", name=f"{parameter}: default, custom or locked").get_by_role("radio", name=state).check()


def add_chip(page: Page, label: str, *values: str) -> None:
    for value in values:
        chips = page.get_by_role("combobox", name=label_of(label))
        chips.fill(value)
        chips.press("Enter")
