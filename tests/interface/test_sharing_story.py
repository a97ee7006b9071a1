"""A preset from its making to the colleague who uses it: made in the editor, tried beside it, shared with a group, called by a
member, invisible to everybody else."""

from playwright.sync_api import expect

from tests.interface.browser import opened, picture, sign_in
from tests.interface.conftest import EMAIL, PASSWORD

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
        sign_in(page, EMAIL, PASSWORD)
        page.goto("/models")
        page.get_by_role("link", name="New model").first.click()
        page.get_by_label("Name", exact=True).fill("Ship's mate")
        page.get_by_role("combobox", name="Base model").fill("tiny")
        page.get_by_role("option", name="tiny-llama").click()
        page.get_by_role("textbox", name="System prompt").fill("You answer like a sailor.")
        preview = page.get_by_role("complementary", name="What follows")
        box = preview.get_by_role("textbox").last
        box.fill("Ahoy")
        box.press("Enter")
        expect(preview.get_by_text("to first token")).to_be_visible()
        page.get_by_role("button", name="Save & Create").click()
        expect(page).to_have_url(f"{house.url}/models/edit?id=ships-mate")
        page.get_by_role("radio", name="Chosen").check()
        page.get_by_role("combobox", name="Add a group").fill("Sail")
        page.get_by_role("option", name="Sailors").click()
        page.get_by_role("button", name="Save & Update").click()
        expect(page.get_by_text("Saved", exact=False).first).to_be_visible()

    with opened(browser, house.url) as page:
        sign_in(page, MEMBER, PASSWORD)
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
        sign_in(page, STRANGER, PASSWORD)
        page.goto("/models")
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_text("Ship's mate")).to_have_count(0)
