"""Saving in the editor: what is asked before it is lost, two people at once, what follows, and the way back."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.interface.editor import CREATE, SAVE, edit, field, fold_out, made, person, save, stored
from tests.yard import Yard, run_yard


def ask(page: Page, text: str) -> dict[str, Any]:
    """Say this in the preview; what the model was asked."""
    said = page.get_by_role("tabpanel").get_by_role("textbox")
    said.fill(text)
    with page.expect_response(lambda answer: answer.url.endswith("/v1/chat/completions")) as waited:
        said.press("Enter")
    assert waited.value.status == 200
    body: dict[str, Any] = waited.value.request.post_data_json
    return body


def test_leaving_with_unsaved_changes_asks(page, house):
    made(house, "unsaved")
    page.goto("/models/history?id=unsaved")
    page.get_by_role("link", name="Connections").click()
    expect(page).to_have_url(house.url + "/connections")
    page.go_back()
    page.get_by_role("link", name="Edit").click()
    field(page, "Description").fill("Not saved yet")
    page.get_by_role("link", name="Models").first.click()
    expect(page.get_by_role("dialog", name="Leave without saving?")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Stay").click()
    expect(field(page, "Description")).to_have_value("Not saved yet")
    expect(page).to_have_url(house.url + "/models/edit?id=unsaved")
    for _ in range(2):  # Back asks every time
        page.evaluate("history.back()")
        expect(page.get_by_role("dialog", name="Leave without saving?")).to_be_visible()
        page.get_by_role("button", name="Stay").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page).to_have_url(house.url + "/models/edit?id=unsaved")
        expect(field(page, "Description")).to_have_value("Not saved yet")
    # So does closing the tab: the browser itself asks.
    with page.expect_event("dialog") as asked:
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    expect(field(page, "Description")).to_have_value("Not saved yet")
    page.get_by_role("link", name="Connections").click()
    page.get_by_role("button", name="Leave").click()
    expect(page).to_have_url(house.url + "/connections")
    page.go_back()
    expect(field(page, "Description")).to_have_value("")
    field(page, "Description").fill("And again")
    page.get_by_role("button", name="Discard changes").click()
    expect(field(page, "Description")).to_have_value("")
    page.get_by_role("button", name="Undo").click()
    expect(field(page, "Description")).to_have_value("And again")


def test_two_people_who_save_the_same_model_lose_nothing(browser, house):
    made(house, "shared", params={"temperature": 0.1})
    with opened(browser, house.url, expected=("409",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "shared")
        field(page, "Description").fill("Mine")
        other = {"id": "shared", "name": "Theirs", "params": {"temperature": 0.9}}
        assert house.admin.post("/api/v1/models/model/update", json=other).status_code == 200
        page.get_by_role("button", name=SAVE, exact=True).click()
        dialog = page.get_by_role("dialog", name="Someone else saved this model")
        expect(dialog).to_contain_text(re.compile(r"Saved by the built-in administrator, .*\d"))
        for shown in ("Temperature", "Theirs Theirs", "0.9", "Description", "Yours Mine"):
            expect(dialog).to_contain_text(shown)
        expect(dialog).not_to_contain_text("params.")
        expect(dialog).not_to_contain_text("Changed by both")
        assert faults(page) == []
        picture(page, "editor-conflict")
        dialog.get_by_role("button", name="Keep editing").click()
        expect(field(page, "Description")).to_have_value("Mine")
        assert stored(house, "shared")["name"] == "Theirs"

        page.get_by_role("button", name=SAVE, exact=True).click()
        dialog.get_by_role("button", name="Take theirs").click()
        expect(field(page, "Name")).to_have_value("Theirs")
        expect(field(page, "Description")).to_have_value("")
        page.get_by_role("button", name="Undo").click()
        expect(field(page, "Description")).to_have_value("Mine")

        assert house.admin.post("/api/v1/models/model/update", json={**other, "name": "Again"}).status_code == 200
        page.get_by_role("button", name=SAVE, exact=True).click()
        dialog.get_by_role("button", name="Overwrite with mine").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    row = stored(house, "shared")
    assert (row["name"], row["meta"]["description"], row["params"]) == ("Shared", "Mine", {"temperature": 0.1})


def test_what_others_switch_and_hide_meanwhile_is_not_overwritten(page, house):
    made(house, "switched", meta={"description": "Before"})
    edit(page, "switched")
    field(page, "Description").fill("Mine")
    hide = {"ids": ["switched"], "action": "hide"}
    house.admin.post("/api/v1/models/bulk", json=hide).raise_for_status()
    house.admin.post("/api/v1/models/model/toggle", params={"id": "switched", "is_active": "false"}).raise_for_status()
    save(page)
    row = stored(house, "switched")
    assert (row["meta"], row["is_active"]) == ({"description": "Mine", "hidden": True}, False)
    # The form shows how it is now, and what is changed here counts.
    expect(page.get_by_role("switch", name="Hidden")).to_be_checked()
    expect(page.get_by_role("switch", name="Active")).not_to_be_checked()
    expect(page.get_by_role("button", name=SAVE, exact=True)).to_be_disabled()
    page.get_by_role("switch", name="Hidden").click()
    save(page)
    row = stored(house, "switched")
    assert (row["meta"]["hidden"], row["is_active"]) == (False, False)


def test_history_compares_restores_and_forgets(page, house):
    first = made(house, "past", params={"system": "One\nTwo\nThree", "temperature": 0.1}, commit_message="The first")
    second = {"id": "past", "params": {"system": "One\nTwo and a half\nThree"}, "commit_message": "Half more"}
    assert house.admin.post("/api/v1/models/model/update", json=second).status_code == 200
    edit(page, "past")
    field(page, "Description").fill("Now described")
    page.get_by_label(re.compile("^What changed")).fill("Described")
    save(page)
    page.get_by_role("link", name="History").click()
    versions = page.get_by_role("navigation", name="Versions")
    expect(versions.get_by_role("button")).to_have_count(3)
    expect(versions.get_by_role("button").first).to_contain_text("Current")
    versions.get_by_role("button", name="The first").click()
    changed = page.get_by_role("region", name="The first")
    expect(changed).to_contain_text("Temperature")
    expect(changed.get_by_role("region", name="Changed lines of System prompt")).to_contain_text("and a half")
    expect(changed).to_contain_text("Now described")
    assert faults(page) == []
    picture(page, "editor-history")
    page.get_by_text("Whole version").click()
    expect(page.get_by_role("region", name="The version as JSON")).to_contain_text('"temperature": 0.1')
    page.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_role("button", name="Restore this version")).to_have_count(0)
    row = stored(house, "past")
    assert (row["params"], row["version_id"]) == (first["params"], first["version_id"])
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Restore this version")).to_be_visible()
    assert stored(house, "past")["meta"]["description"] == "Now described"
    page.get_by_role("button", name="Delete this version").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete this version").click()
    expect(versions.get_by_role("button")).to_have_count(2)
    expect(versions.get_by_role("button", name="The first")).to_have_count(0)
    # The form begins with what is in force now, not with what it had before.
    versions.get_by_role("button", name="Half more").click()
    page.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_role("button", name="Restore this version")).to_have_count(0)
    page.get_by_role("link", name="Edit").click()
    expect(field(page, "System prompt")).to_have_value(second["params"]["system"])
    expect(field(page, "Description")).to_have_value("")


def test_what_follows_is_seen_before_it_is_saved(page, house):
    made(house, "previewed", params={"max_tokens": 400})
    edit(page, "previewed")
    field(page, "System prompt").fill("Speak to {{USER_NAME}}.")
    fold_out(page, "Length, thinking and format")
    page.get_by_label("Longest answer", exact=True).fill("9")
    page.get_by_role("tab", name="Effective request").click()
    request = page.get_by_role("region", name="What the backend will receive")
    expect(request).to_contain_text('"max_tokens": 9')
    expect(request).to_contain_text("Speak to ")
    expect(request).not_to_contain_text("USER_NAME")
    assert faults(page) == []
    picture(page, "editor-request")
    page.get_by_role("tab", name="JSON").click()
    json.loads(page.get_by_role("region", name="What will be saved").inner_text())
    page.get_by_role("tab", name="Changes").click()
    expect(page.get_by_role("tabpanel").get_by_text("Longest answer")).to_be_visible()
    assert faults(page) == []
    picture(page, "editor-changes")
    page.get_by_role("tab", name="Chat").click()
    sent = ask(page, "Good morning")
    assert (sent["model"], sent["max_tokens"]) == ("tiny-llama", 9)
    assert sent["messages"][0]["role"] == "system"
    assert sent["messages"][0]["content"].startswith("Speak to ")
    assert "USER_NAME" not in sent["messages"][0]["content"]
    picture(page, "editor-chat")
    # Nothing of it was saved.
    assert stored(house, "previewed")["params"] == {"max_tokens": 400}


def test_a_server_that_fails_is_told_and_what_was_typed_stays(browser, house):
    made(house, "unlucky")
    with opened(browser, house.url, expected=("500", "503")) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.route("**/api/models", lambda route: route.fulfill(status=503, json={"detail": "Away"}))
        page.route("**/api/models/base", lambda route: route.fulfill(status=503, json={"detail": "Away"}))
        edit(page, "unlucky")
        field(page, "Description").fill("Typed")
        page.route(
            "**/model/update", lambda route: route.fulfill(status=500, json={"detail": "The disk is full."}), times=1
        )
        page.get_by_role("button", name=SAVE, exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="The disk is full.")).to_be_visible()
        expect(field(page, "Description")).to_have_value("Typed")
        picture(page, "editor-failed")
        save(page)
    assert stored(house, "unlucky")["meta"]["description"] == "Typed"


def test_a_session_that_ends_while_saving_leads_back_to_save(browser, house):
    made(house, "interrupted")
    with opened(browser, house.url, expected=("status of 401",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "interrupted")
        field(page, "Description").fill("Typed")
        page.context.clear_cookies()
        page.get_by_role("button", name=SAVE, exact=True).click()
        dialog = page.get_by_role("dialog", name="You were signed out")
        expect(dialog.get_by_label("E-mail")).to_have_value(EMAIL)
        expect(dialog.get_by_label("Password")).to_be_focused()
        assert faults(page) == []
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("button", name=SAVE, exact=True)).to_be_focused()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert stored(house, "interrupted")["meta"]["description"] == "Typed"


def test_a_model_that_is_deleted_meanwhile_is_restored_or_kept_as_a_new_one(browser, house):
    made(house, "vanishing")
    with opened(browser, house.url, expected=("status of 404",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "vanishing")
        field(page, "Description").fill("Typed")
        assert house.admin.post("/api/v1/models/model/delete", json={"id": "vanishing"}).status_code == 200
        page.get_by_role("button", name=SAVE, exact=True).click()
        told = page.get_by_role("alert")
        expect(told).to_contain_text("Someone deleted this model.")
        assert faults(page) == []
        picture(page, "editor-deleted-meanwhile")
        told.get_by_role("button", name="Restore and save").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
        expect(told).to_have_count(0)
        assert stored(house, "vanishing")["meta"]["description"] == "Typed"

        field(page, "Description").fill("Typed again")
        assert house.admin.post("/api/v1/models/model/delete", json={"id": "vanishing"}).status_code == 200
        page.get_by_role("button", name=SAVE, exact=True).click()
        told.get_by_role("button", name="Keep as a new model").click()
        field(page, "ID").fill("reborn")
        save(page, CREATE)
        expect(page).to_have_url(house.url + "/models/edit?id=reborn")
        expect(field(page, "ID")).not_to_be_editable()
        expect(field(page, "Description")).to_have_value("Typed again")
    assert stored(house, "reborn")["meta"]["description"] == "Typed again"


@pytest.fixture(scope="module")
def reader(house: Yard) -> str:
    """Somebody who may only use models."""
    return person(house, "reader")


def test_who_may_only_use_a_model_reads_it_and_changes_nothing(browser, house, reader):
    access = {"read": {"user_ids": [reader], "group_ids": []}}
    made(house, "readable", params={"system": "A secret prompt"}, meta={"tags": ["t"]}, access_control=access)
    made(house, "closed")
    with opened(browser, house.url, expected=("404",)) as page:
        signed_in(page, "reader@example.com", PASSWORD)
        edit(page, "readable")
        expect(page.get_by_text("You can use this model but not change it.")).to_be_visible()
        expect(field(page, "Name")).to_be_disabled()
        expect(page.get_by_role("button", name=SAVE, exact=True)).to_have_count(0)
        expect(page.get_by_text("A secret prompt")).to_have_count(0)
        expect(page.get_by_role("heading", name="Prompt", exact=True)).to_have_count(0)
        # Only the links to sections can be pressed.
        form = page.locator("form").first
        enabled = form.locator(":is(button, input, select, textarea):enabled:visible")
        expect(form.get_by_text("t", exact=True)).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        expect(page.get_by_role("navigation", name="Sections").get_by_role("button")).to_have_count(5)
        expect(enabled).to_have_count(5)
        assert faults(page) == []
        picture(page, "editor-read-only")
        asked = ask(page, "Hello")
        assert (asked["model"], [message["role"] for message in asked["messages"]]) == ("readable", ["user"])
        page.goto("/models/edit?id=closed")
        expect(page.get_by_role("heading", name="Model not found")).to_be_visible()
        page.goto("/models/new")
        expect(page.get_by_role("heading", name="You don't have access to this page")).to_be_visible()


def test_what_a_file_declares_is_read_only(browser, engine, tmp_path):
    file = tmp_path / "yard.yaml"
    file.write_text(
        "models:\n"
        "  - {id: declared, name: Declared, base_model_id: tiny-llama, params: {system: From the file, temperature: 0.5}}\n"
    )
    environment = {**ADMINISTRATOR, "OPENAI_API_BASE_URL": engine.base_url}
    with (
        run_yard(tmp_path / "data", environment, ("--config", str(file))) as yard,
        opened(browser, yard.url) as page,
    ):
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "declared")
        expect(page.get_by_text("This model is declared in yard.yaml.")).to_be_visible()
        expect(field(page, "System prompt")).to_have_value("From the file")
        expect(field(page, "System prompt")).to_be_disabled()
        expect(page.get_by_label("Temperature", exact=True)).to_be_disabled()
        expect(page.get_by_role("button", name=SAVE, exact=True)).to_have_count(0)
        assert faults(page) == []
        picture(page, "editor-declared")


def test_a_warning_does_not_take_the_focus_when_the_model_is_saved(page, house):
    made(house, "warned", meta={"filterIds": ["one"], "defaultFilterIds": ["another"]})
    edit(page, "warned")
    expect(page.get_by_text("another", exact=False).first).to_be_visible()
    field(page, "Description").fill("Typed")
    field(page, "Description").press("Control+s")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(field(page, "Description")).to_be_focused()
    assert stored(house, "warned")["meta"]["description"] == "Typed"
