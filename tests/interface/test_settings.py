"""The settings page: what is saved is what the API says afterwards, what is not saved is not lost without a question, and
all models that were deleted come back as one step."""

import re

import pytest
from playwright.sync_api import expect

from tests.interface.browser import NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD

MODELS = "/api/v1/configs/models"


@pytest.fixture(scope="module")
def filled(house):
    """Three presets, a group and a long hostile name."""
    names = {"alpha": "Alpha", "beta": "Beta", "gamma": '<b onclick="throw 1">Gamma</b> ' + "long " * 40}
    for model, name in names.items():
        form = {"id": model, "name": name, "base_model_id": "tiny-llama"}
        assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    assert house.admin.post("/api/v1/groups/create", json={"name": "Guests", "description": ""}).status_code == 200
    return house


def add(page, name, option):
    page.get_by_role("combobox", name=name).fill(option)
    page.get_by_role("option", name=re.compile(f"^{option}")).first.click()


def save(page):
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Not saved yet")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"^Saved \w+$")).first).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()


def test_default_pinned_and_ordered_models_are_kept(page, filled):
    page.goto("/settings")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    add(page, "Add a model to default models", "Alpha")
    # The field is ready for the next one.
    expect(page.get_by_role("combobox", name="Add a model to default models")).to_have_value("")
    expect(page.get_by_role("combobox", name="Add a model to default models")).to_be_focused()
    add(page, "Add a model to pinned models", "Beta")
    for name in ("Alpha", "Beta", "tiny-llama"):
        add(page, "Add a model to order", name)
    order = page.get_by_role("group", name="Order")
    order.get_by_role("button", name="Move tiny-llama up").press("Enter")
    # The row moved and focus moved with it, so that one more press moves it on.
    expect(order.get_by_role("button", name="Move tiny-llama up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(order.get_by_role("listitem").first).to_contain_text("tiny-llama")
    order.get_by_role("listitem").last.drag_to(order.get_by_role("listitem").nth(1))
    expect(order.get_by_role("listitem").nth(1)).to_contain_text("Beta")
    picture(page, "settings-models")
    assert faults(page) == []
    # Other pages go on with the new default at once.
    with page.expect_response("**/api/v1/config") as told:
        save(page)
    assert told.value.json()["default_models"] == "alpha"
    stored = filled.admin.get(MODELS).json()
    assert stored["DEFAULT_MODELS"] == "alpha"
    assert stored["DEFAULT_PINNED_MODELS"] == "beta"
    assert stored["MODEL_ORDER_LIST"] == ["tiny-llama", "beta", "alpha"]
    listed = [model["id"] for model in filled.admin.get("/api/models").json()["data"]]
    assert listed[:3] == ["tiny-llama", "beta", "alpha"]
    page.reload()
    expect(page.get_by_role("group", name="Order").get_by_role("listitem")).to_have_count(3)


def test_fallbacks_are_kept_and_taken_away(page, filled):
    page.goto("/settings")
    add(page, "Add fallbacks for a model", "All other models")
    add(page, "Add a model to fallbacks of all other", "Beta")
    save(page)
    assert filled.admin.get(MODELS).json()["MODEL_FALLBACKS"] == {"*": ["beta"]}
    page.get_by_role("button", name="Remove the fallbacks of All other").click()
    save(page)
    assert filled.admin.get(MODELS).json()["MODEL_FALLBACKS"] == {}


def test_only_what_was_changed_is_sent(page, filled):
    """What another administrator saved meanwhile stays."""
    page.goto("/settings")
    add(page, "Add a model to pinned models", "tiny-llama")
    filled.admin.post(MODELS, json={"DEFAULT_MODELS": ["gamma"]})
    save(page)
    stored = filled.admin.get(MODELS).json()
    assert stored["DEFAULT_MODELS"] == "gamma"
    assert "tiny-llama" in stored["DEFAULT_PINNED_MODELS"]


def test_what_is_not_saved_is_not_lost_without_a_question(page, filled):
    page.goto("/settings?section=clients")
    switch = page.get_by_role("switch", name="People may add connections of their own")
    switch.click()
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    page.get_by_role("link", name="Accounts").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog).to_be_visible()
    assert faults(page) == []
    dialog.get_by_role("button", name="Stay").click()
    expect(switch).to_be_checked()
    expect(page).to_have_url(re.compile("section=clients"))
    page.get_by_role("link", name="Accounts").click()
    dialog.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("switch", name="People may create accounts themselves")).to_be_visible()
    assert filled.admin.get("/api/v1/configs/connections").json()["ENABLE_DIRECT_CONNECTIONS"] is False


def test_client_settings_are_kept(page, filled):
    page.goto("/settings?section=clients")
    page.get_by_role("switch", name="People may add connections of their own").click()
    save(page)
    picture(page, "settings-clients")
    assert filled.admin.get("/api/v1/configs/connections").json()["ENABLE_DIRECT_CONNECTIONS"] is True


def test_sign_up_is_switched_on_with_its_role_and_group(page, browser, filled):
    page.goto("/settings?section=accounts")
    page.get_by_role("switch", name="People may create accounts themselves").click()
    page.get_by_label("Role of a new account").select_option("User, without approval")
    expect(page.get_by_text("Everyone who can reach this server can become a user without approval.")).to_be_visible()
    add(page, "Group of a new account", "Guests")
    picture(page, "settings-accounts")
    assert faults(page) == []
    save(page)
    stored = filled.admin.get("/api/v1/auths/admin/config").json()
    assert stored["ENABLE_SIGNUP"] is True
    assert stored["DEFAULT_USER_ROLE"] == "user"
    groups = {group["id"]: group["name"] for group in filled.admin.get("/api/v1/groups/").json()}
    assert groups[stored["DEFAULT_GROUP_ID"]] == "Guests"
    page.get_by_role("switch", name="People may create accounts themselves").click()
    save(page)
    assert filled.admin.get("/api/v1/auths/admin/config").json()["ENABLE_SIGNUP"] is False


def test_an_arena_entry_is_made_changed_and_removed(page, filled):
    page.goto("/settings?section=arena")
    page.get_by_role("switch", name="Show arena models").click()
    page.get_by_role("button", name="New arena model").click()
    dialog = page.get_by_role("dialog", name="New arena model")
    create = dialog.get_by_role("button", name="Create")
    expect(create).to_be_disabled()
    dialog.get_by_label("Name").fill("Blind test")
    dialog.get_by_label("ID").fill("blind")
    expect(create).to_be_enabled()
    dialog.get_by_label("Models behind it").select_option("All but these")
    # All but none is all, which is another choice.
    expect(dialog.get_by_text("Choose at least one model.")).to_be_visible()
    expect(create).to_be_disabled()
    add(page, "Add a model", "Alpha")
    dialog.get_by_label("Who sees it").select_option("Some groups and people")
    add(page, "Add a group", "Guests")
    picture(page, "settings-arena-dialog")
    assert faults(page) == []
    create.click()
    expect(page.get_by_text("All but 1 model ")).to_be_visible()
    # The dialog saves its entry and nothing else.
    stored = filled.admin.get("/api/v1/evaluations/config").json()
    assert stored["ENABLE_EVALUATION_ARENA_MODELS"] is False
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    save(page)
    picture(page, "settings-arena")
    stored = filled.admin.get("/api/v1/evaluations/config").json()
    assert stored["ENABLE_EVALUATION_ARENA_MODELS"] is True
    [entry] = stored["EVALUATION_ARENA_MODELS"]
    assert entry["id"] == "blind"
    assert entry["meta"]["model_ids"] == ["alpha"]
    assert entry["meta"]["filter_mode"] == "exclude"
    assert [grant["principal_type"] for grant in entry["meta"]["access_grants"]] == ["group"]
    assert "blind" in [model["id"] for model in filled.admin.get("/api/models").json()["data"]]

    page.get_by_role("button", name="Edit Blind test").click()
    dialog = page.get_by_role("dialog", name="Edit arena model")
    dialog.get_by_label("Who sees it").select_option("Everyone")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    [entry] = filled.admin.get("/api/v1/evaluations/config").json()["EVALUATION_ARENA_MODELS"]
    assert [grant["principal_id"] for grant in entry["meta"]["access_grants"]] == ["*"]

    page.get_by_role("button", name="Remove Blind test").click()
    expect(page.get_by_text("Deleted Blind test")).to_be_visible()
    assert filled.admin.get("/api/v1/evaluations/config").json()["EVALUATION_ARENA_MODELS"] == []
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored Blind test")).to_be_visible()
    [entry] = filled.admin.get("/api/v1/evaluations/config").json()["EVALUATION_ARENA_MODELS"]
    assert entry["id"] == "blind"
    filled.admin.post("/api/v1/evaluations/config", json={"EVALUATION_ARENA_MODELS": []}).raise_for_status()


def test_a_refused_value_is_told_and_kept(browser, filled):
    with opened(browser, filled.url, expected=("/evaluations/config",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/settings?section=arena")
        page.get_by_role("button", name="New arena model").click()
        page.get_by_label("Name").fill("Odd")
        page.get_by_label("ID").fill("odd\u0001id")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("printable")
        expect(page.get_by_label("Name")).to_have_value("Odd")
        assert filled.admin.get("/api/v1/evaluations/config").json()["EVALUATION_ARENA_MODELS"] == []


def test_discarding_goes_back_to_what_was_saved_last(page, filled):
    filled.admin.post("/api/v1/configs/connections", json={"ENABLE_DIRECT_CONNECTIONS": False}).raise_for_status()
    page.goto("/settings?section=clients")
    switch = page.get_by_role("switch", name="People may add connections of their own")
    expect(switch).not_to_be_checked()
    switch.click()
    save(page)
    switch.click()
    page.get_by_role("button", name="Discard changes").click()
    expect(switch).to_be_checked()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    switch.click()
    save(page)
    assert filled.admin.get("/api/v1/configs/connections").json()["ENABLE_DIRECT_CONNECTIONS"] is False


def test_the_server_tells_of_itself(page, filled):
    page.goto("/settings?section=server")
    expect(page.get_by_text(filled.admin.get("/api/v1/config").json()["version"], exact=True)).to_be_visible()
    expect(page.get_by_text("environment", exact=True)).to_be_visible()
    picture(page, "settings-server")
    assert faults(page) == []


def test_all_models_are_deleted_and_brought_back_as_one_step(page, filled):
    before = sorted(model["id"] for model in filled.admin.get("/api/v1/models/all").json())
    assert len(before) >= 3
    page.goto("/settings")
    expect(page.get_by_text(f"Deletes all {len(before)} models.")).to_be_visible()
    page.get_by_role("button", name="Delete all models").click()
    dialog = page.get_by_role("dialog", name="Delete all models?")
    delete = dialog.get_by_role("button", name="Delete all models")
    picture(page, "settings-delete-all")
    assert faults(page) == []
    delete.click()
    expect(page.get_by_text(f"Deleted {len(before)} models")).to_be_visible()
    assert filled.admin.get("/api/v1/models/all").json() == []
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"Restored {len(before)} models")).to_be_visible()
    assert sorted(model["id"] for model in filled.admin.get("/api/v1/models/all").json()) == before


def test_pictures(browser, filled):
    filled.admin.post(MODELS, json={"MODEL_ORDER_LIST": ["gamma", "alpha", "not-offered"], "DEFAULT_MODELS": []})
    version = filled.admin.get("/api/v1/config").json()["version"]
    for name, size, theme in (("settings-dark", (1024, 768), "dark"), ("settings-narrow", NARROW, "light")):
        with opened(browser, filled.url, size=size, theme=theme) as page:
            sign_in(page, EMAIL, PASSWORD)
            for section, content in (
                ("models", "not-offered"),
                ("arena", "New arena model"),
                ("accounts", "People may create accounts themselves"),
                ("server", version),
            ):
                page.goto(f"/settings?section={section}")
                expect(page.get_by_role("main").get_by_text(content).first).to_be_visible()
                expect(page.get_by_role("status", name="Loading")).to_have_count(0)
                assert_fits(page)
                assert faults(page) == []
                picture(page, f"{name}-{section}", whole=True)


def test_an_arena_entry_comes_back_beside_the_others_as_they_are_by_now(page, filled):
    def entry(name: str) -> dict:
        return {"id": name.lower(), "name": name, "meta": {"model_ids": ["alpha"], "filter_mode": "include"}}

    def keep(*names: str) -> None:
        form = {"EVALUATION_ARENA_MODELS": [entry(name) for name in names]}
        filled.admin.post("/api/v1/evaluations/config", json=form).raise_for_status()

    def kept() -> list[str]:
        stored = filled.admin.get("/api/v1/evaluations/config").json()["EVALUATION_ARENA_MODELS"]
        return [one["name"] for one in stored]

    keep("First", "Second", "Third")
    try:
        page.goto("/settings?section=arena")
        page.get_by_role("button", name="Remove Third").press("Enter")
        expect(page.get_by_role("button", name="Remove Second")).to_be_focused()
        expect(page.get_by_text("Deleted Third")).to_be_visible()
        keep("First", "Another")
        message = page.get_by_role("listitem").filter(has_text="Deleted Third")
        message.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Restored Third")).to_be_visible()
        assert kept() == ["First", "Another", "Third"]
        for name in ("First", "Another", "Third"):
            page.get_by_role("button", name=f"Remove {name}").press("Enter")
            expect(page.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
        expect(page.get_by_role("button", name="New arena model")).to_be_focused()
    finally:
        keep()
