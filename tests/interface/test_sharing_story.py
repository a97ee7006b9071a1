"""A preset from its making to the colleague who uses it: made in the editor, tried beside it, shared with a group, called by a
member, invisible to everybody else."""

import pytest
from playwright.sync_api import expect

from tests.interface.browser import faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.editor import CREATE, save

MEMBER, STRANGER = "member@example.com", "stranger@example.com"


def person(house, email: str) -> str:
    answer = house.admin.post(
        "/api/v1/users/", json={"email": email, "name": email, "role": "user", "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["id"]
    return found


def test_a_preset_is_made_tried_shared_and_used(browser, house):
    member, _ = person(house, MEMBER), person(house, STRANGER)
    group = house.admin.post("/api/v1/groups/create", json={"name": "Sailors", "description": ""}).json()["id"]
    house.admin.post(f"/api/v1/groups/id/{group}/users/add", json={"user_ids": [member]}).raise_for_status()

    with opened(browser, house.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        page.get_by_role("link", name="New model").first.click()
        page.get_by_label("Name", exact=True).fill("Ship's mate")
        page.get_by_role("combobox", name="Base model").fill("tiny")
        page.get_by_role("option", name="tiny-llama").click()
        page.get_by_role("textbox", name="System prompt").fill("You answer like a sailor.")
        preview = page.get_by_role("complementary", name="Preview")
        box = preview.get_by_role("textbox").last
        box.fill("Ahoy")
        box.press("Enter")
        expect(preview.get_by_text("to first token")).to_be_visible()
        save(page, CREATE)
        expect(page).to_have_url(f"{house.url}/models/edit?id=ships-mate")
        page.get_by_role("radio", name="Chosen").check()
        page.get_by_role("combobox", name="Add a group").fill("Sail")
        page.get_by_role("option", name="Sailors").click()
        save(page)

    with opened(browser, house.url) as page:
        signed_in(page, MEMBER, PASSWORD)
        page.goto("/models")
        page.get_by_role("link", name="Ship's mate").click()
        expect(page.get_by_role("heading", name="Playground", level=1)).to_be_visible()
        box = page.get_by_role("textbox").last
        box.fill("Ahoy")
        box.press("Enter")
        expect(page.get_by_text("to first token")).to_be_visible()
        picture(page, "shared-member")
        assert "like a sailor" not in page.content()

    with opened(browser, house.url) as page:
        signed_in(page, STRANGER, PASSWORD)
        page.goto("/models")
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        expect(page.get_by_text("Nobody has shared a model with you yet.")).to_be_visible()
        expect(page.get_by_text("Ship's mate")).to_have_count(0)


def test_a_model_is_shared_with_a_group_from_its_menu(page, house):
    group = house.admin.post("/api/v1/groups/create", json={"name": "Rowers", "description": ""}).json()["id"]
    form = {"id": "boat", "name": "Boat", "base_model_id": "tiny-llama", "meta": {}, "params": {}}
    house.admin.post("/api/v1/models/create", json={**form, "access_control": {}}).raise_for_status()
    page.goto("/models")
    page.get_by_role("button", name="Actions for Boat").click()
    page.get_by_role("menuitem", name="Share", exact=True).click()
    dialog = page.get_by_role("dialog", name="Share Boat")
    dialog.get_by_role("radio", name="Chosen").check()
    dialog.get_by_role("combobox", name="Add a group").fill("Row")
    page.get_by_role("option", name="Rowers").click()
    expect(dialog.get_by_role("list", name="People and groups")).to_contain_text("Rowers")
    assert faults(page) == []
    picture(page, "models-share-group")
    dialog.get_by_role("button", name="Save and copy link").click()
    expect(dialog).to_be_hidden()

    def grants() -> list[tuple[str, str, str]]:
        row = house.admin.get("/api/v1/models/model", params={"id": "boat"}).json()
        return [(one["principal_type"], one["principal_id"], one["permission"]) for one in row["access_grants"]]

    assert grants() == [("group", group, "read")]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone")).to_be_visible()
    assert grants() == []


@pytest.fixture
def groups_alone(house):
    """By default nobody shares with single people."""
    address = "/api/v1/users/default/permissions"
    before = house.admin.get(address).json()["access_grants"]
    house.admin.post(address, json={"access_grants": {**before, "allow_users": False}}).raise_for_status()
    yield
    house.admin.post(address, json={"access_grants": before}).raise_for_status()


@pytest.mark.usefixtures("groups_alone")
def test_who_may_share_with_groups_alone_is_offered_no_more(browser, house):
    rights = {"workspace": {"models": True}, "sharing": {"models": True, "public_models": False}}
    made = {"name": "Makers", "permissions": rights, "user_ids": [person(house, "maker@example.com")]}
    house.admin.post("/api/v1/groups/create", json=made).raise_for_status()
    house.admin.post(
        "/api/v1/models/model/access/update", json={"id": "tiny-llama", "access_control": None}
    ).raise_for_status()
    with opened(browser, house.url) as theirs:
        sign_in(theirs, "maker@example.com", PASSWORD)
        form = {"id": "raft", "name": "Raft", "base_model_id": "tiny-llama", "meta": {}, "params": {}}
        status = theirs.evaluate(
            """async (form) => (await fetch("/api/v1/models/create", {method: "POST", body: JSON.stringify(form),
               headers: {"content-type": "application/json"}})).status""",
            {**form, "access_control": {}},
        )
        assert status == 200
        theirs.goto("/models")
        theirs.get_by_role("button", name="Actions for Raft").click()
        theirs.get_by_role("menuitem", name="Share", exact=True).click()
        dialog = theirs.get_by_role("dialog", name="Share Raft")
        expect(dialog.get_by_role("radio", name="Public")).to_be_disabled()
        dialog.get_by_role("radio", name="Chosen").check()
        expect(dialog.get_by_role("combobox", name="Add a group")).to_be_visible()
        expect(dialog.get_by_role("combobox", name="Add a person")).to_have_count(0)


def test_a_model_without_a_picture_has_a_sign_that_fits_the_theme(browser, house):
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    form = {"name": "Plain", "base_model_id": "tiny-llama", "params": {}}
    rows = [
        {**form, "id": "plain", "meta": {}},
        {**form, "id": "pictured", "name": "Pictured", "meta": {"profile_image_url": f"data:image/png;base64,{dot}"}},
    ]
    house.admin.post("/api/v1/models/import", json=rows).raise_for_status()
    with opened(browser, house.url, theme="dark") as dark:
        sign_in(dark, EMAIL, PASSWORD)
        dark.goto("/models")
        expect(dark.locator("tr[data-row]").filter(has_text="Pictured").locator("img")).to_be_visible()
        row = dark.locator("tr[data-row]").filter(has_text="Plain")
        expect(row).to_be_visible()
        expect(row.locator("img")).to_have_count(0)
        picture(dark, "models-pictures-dark")
