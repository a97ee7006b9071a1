"""The installation as a document, in the browser: exported, planned, applied, rolled back; and what is wrong with it is told
with its place."""

import re

import pytest
from playwright.sync_api import expect

from tests.interface.browser import NARROW, assert_fits, faults, opened, picture, sign_in, signed_in, signed_out
from tests.interface.conftest import EMAIL, PASSWORD

HOSTILE = '<img src=x onerror="throw 1"><script>throw 2</script>'
SECRET = "sk-a-secret-that-nobody-may-see-0123456789"


@pytest.fixture(scope="module")
def filled(house):
    """A connection with a key, a preset with a hostile name, and a group."""
    house.connect("cloud", "http://127.0.0.1:9/v1", api_keys=[SECRET])
    form = {"id": "reviewer", "name": "Reviewer", "base_model_id": "tiny-llama", "params": {"temperature": 0.2}}
    form["params"]["system"] = "Be exact.\nBe brief.\nBe kind."
    assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    hostile = {"id": "hostile", "name": HOSTILE, "base_model_id": "tiny-llama"}
    assert house.admin.post("/api/v1/models/create", json=hostile).status_code == 200
    assert house.admin.post("/api/v1/groups/create", json={"name": "staff", "description": ""}).status_code == 200
    return house


def document(house):
    return house.admin.get("/api/v1/yard").text


def write(page, text):
    page.goto("/yard?view=change")
    page.get_by_role("textbox", name="Document").fill(text)


def change(page):
    """Through links, which load nothing anew."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="As code").click()
    page.get_by_role("link", name="Plan and apply").click()


def match(page):
    """What the document does not name is to go."""
    page.get_by_role("radio", name="Match the document exactly").check()


def plan(page):
    page.get_by_role("button", name="Plan", exact=True).click()
    return page.get_by_role("region", name="Plan")


def applied(page):
    return page.get_by_role("main").get_by_text(re.compile(r"Applied as revision \d+"))


def models(house):
    return {item["id"] for item in house.admin.get("/api/v1/models/list", params={"limit": 100}).json()["items"]}


def temperature(house):
    return house.admin.get("/api/v1/models/model", params={"id": "reviewer"}).json()["params"]["temperature"]


def test_the_current_state_is_shown_and_downloaded_without_secrets(page, filled):
    page.goto("/yard")
    block = page.get_by_role("region", name="The current state as YAML")
    expect(block).to_contain_text("${MODELYARD_CLOUD_KEY_1}")
    expect(block).to_contain_text("<script>throw 2</script>")
    expect(block).not_to_contain_text(SECRET)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "yard.yaml"
    assert download.value.path().read_text("utf-8") == document(filled)
    assert faults(page) == []
    picture(page, "yard-now")


def test_a_plan_is_read_applied_and_rolled_back(page, filled):
    before = document(filled)
    text = before.replace("temperature: 0.2", "temperature: 0.7").replace("Be brief.", "Be very brief.")
    text = text.replace("  - name: staff", "  - name: guests")
    write(page, text)
    # What deletes is chosen, not what comes by itself.
    expect(page.get_by_role("radio", name="Add and change only")).to_be_checked()
    expect(plan(page).get_by_text("1 to create, 1 to change, 0 to delete")).to_be_visible()
    match(page)
    found = plan(page)
    expect(found.get_by_text("1 to create, 1 to change, 1 to delete")).to_be_visible()
    for kind in ("Groups 2", "Models 1"):
        expect(found.get_by_role("heading", name=kind)).to_be_visible()
    expect(found.get_by_text("Temperature", exact=True)).to_be_visible()
    expect(found.get_by_text("0.7", exact=True)).to_be_visible()
    expect(found.get_by_role("region", name="Changed lines of System prompt")).to_contain_text("Be very brief.")
    assert faults(page) == []
    picture(page, "yard-plan")
    assert temperature(filled) == 0.2
    expect(found.get_by_text("This deletes 1 group.")).to_be_visible()
    page.get_by_role("button", name="Apply this plan").click()
    asked = page.get_by_role("dialog", name="Delete 1 group?")
    asked.get_by_role("button", name="Cancel").click()
    assert temperature(filled) == 0.2
    page.get_by_role("button", name="Apply this plan").click()
    asked.get_by_role("button", name="Apply and delete").click()
    expect(applied(page)).to_be_visible()
    assert temperature(filled) == 0.7

    page.get_by_role("button", name="Show revisions").click()
    newest = page.locator("tbody tr").first
    expect(newest).to_contain_text("1 created, 1 updated, 1 deleted")
    expect(newest).to_contain_text("admin")
    number = int(newest.get_by_role("button", name=re.compile("^Revision")).inner_text())
    expect(page.locator("tbody tr").nth(1)).to_contain_text(f"State before revision {number}")
    picture(page, "yard-revisions")
    assert faults(page) == []
    page.locator("tbody tr").nth(1).get_by_role("button", name=re.compile("^Revision")).click()
    drawer = page.get_by_role("dialog", name=re.compile("^Revision"))
    expect(drawer.get_by_role("region", name=re.compile("^Revision"))).to_contain_text("temperature: 0.2")
    drawer.get_by_role("button", name="Show what rolling back would do").click()
    expect(drawer.get_by_text("1 to create, 1 to change, 1 to delete")).to_be_visible()
    picture(page, "yard-rollback")
    assert faults(page) == []
    drawer.get_by_role("button", name=re.compile("Roll back to revision")).click()
    asked = page.get_by_role("dialog", name="Delete 1 group?")
    asked.get_by_role("button", name="Roll back and delete").click()
    expect(page.get_by_text(re.compile(r"Rolled back as revision \d+"))).to_be_visible()
    expect(drawer).to_have_count(0)
    assert document(filled) == before


def test_a_plan_that_deletes_much_wants_a_word_and_can_be_undone(page, filled):
    first = document(filled)
    rows = [{"id": f"many-{number}", "name": f"Many {number}", "base_model_id": "tiny-llama"} for number in range(25)]
    filled.admin.post("/api/v1/models/import", json={"models": rows}).raise_for_status()
    before = document(filled)
    write(page, "models:\n  - {id: only, base_model_id: tiny-llama}\n")
    match(page)
    found = plan(page)
    expect(found.get_by_text("This deletes 27 models.")).to_be_visible()
    expect(found.get_by_text("choose “Add and change only” and plan again")).to_be_visible()
    apply = page.get_by_role("button", name="Apply this plan")
    expect(apply).to_be_in_viewport()
    picture(page, "yard-deletes")
    apply.click()
    asked = page.get_by_role("dialog", name="Delete 27 models?")
    expect(asked.get_by_role("button", name="Apply and delete")).to_be_disabled()
    assert faults(page) == []
    picture(page, "yard-deletes-asked")
    asked.get_by_label("Type delete to confirm").fill("delete")
    asked.get_by_role("button", name="Cancel").click()
    apply.click()
    expect(asked.get_by_role("button", name="Apply and delete")).to_be_disabled()
    assert document(filled) == before
    asked.get_by_label("Type delete to confirm").fill("delete")
    asked.get_by_role("button", name="Apply and delete").click()
    expect(applied(page)).to_be_visible()
    assert models(filled) == {"only"}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile(r"Rolled back as revision \d+"))).to_be_visible()
    expect(applied(page)).to_have_count(0)
    assert models(filled) == {"reviewer", "hostile", *(row["id"] for row in rows)}
    # What only adds is applied at once.
    page.get_by_role("radio", name="Add and change only").check()
    expect(plan(page).get_by_text("1 to create, 0 to change, 0 to delete")).to_be_visible()
    expect(page.get_by_text("This deletes")).to_have_count(0)
    apply.click()
    expect(applied(page)).to_be_visible()
    assert len(models(filled)) == 28
    filled.admin.post("/api/v1/yard/apply", json={"document": first}).raise_for_status()


def test_signing_out_asks_for_the_document_and_leaves_nothing_of_it(browser, filled):
    form = {"email": "second@example.com", "name": "Second", "role": "admin", "password": PASSWORD}
    filled.admin.post("/api/v1/users/", json=form).raise_for_status()
    with opened(browser, filled.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        write(page, f"# {SECRET}")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Audit").click()
        # Loaded first: Stay goes back to the page that was there.
        expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("The document that you typed under As code is not applied yet.")).to_be_visible()
        assert faults(page) == []
        picture(page, "yard-sign-out")
        page.get_by_role("button", name="Stay").click()
        expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
        change(page)
        expect(page.get_by_role("textbox", name="Document")).to_have_value(f"# {SECRET}")
        page.get_by_role("button", name="Sign out").click()
        page.evaluate("window.formerPage = true")
        page.get_by_role("main").get_by_role("button", name="Sign out").click()
        signed_out(page)
        page.get_by_label("E-mail").fill(form["email"])
        assert page.evaluate("window.formerPage") is None
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        change(page)
        expect(page.get_by_role("textbox", name="Document")).to_have_value("")
        assert SECRET not in page.content()
        assert SECRET not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


def test_closing_the_tab_asks_on_any_page(browser, filled):
    with opened(browser, filled.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        write(page, "models: []")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Audit").click()
        expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
        asked = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        page.reload()
        expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
        assert asked == ["beforeunload"]


def test_a_plan_that_does_not_hold_any_more_is_not_applied(browser, filled):
    with opened(browser, filled.url, expected=("/yard/apply",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        write(page, document(filled).replace("temperature: 0.2", "temperature: 0.9"))
        plan(page)
        apply = page.get_by_role("button", name="Apply this plan")
        # The document moved on: the plan is of another one.
        page.get_by_role("textbox", name="Document").press_sequentially(" ")
        expect(apply).to_be_disabled()
        page.get_by_role("textbox", name="Document").press("Backspace")
        expect(apply).to_be_enabled()
        # The installation moved on: the server refuses.
        filled.admin.post("/api/v1/models/model/update", json={"id": "reviewer", "params": {"temperature": 0.3}})
        apply.click()
        expect(page.get_by_role("alert")).to_contain_text("Something has changed since this plan was made")
        expect(page.get_by_role("textbox", name="Document")).to_have_value(re.compile("temperature: 0.9"))
        assert temperature(filled) == 0.3
        params = {"temperature": 0.2, "system": "Be exact.\nBe brief.\nBe kind."}
        filled.admin.post("/api/v1/models/model/update", json={"id": "reviewer", "params": params})


def test_broken_yaml_is_told_with_its_place_and_nothing_is_lost(browser, filled):
    with opened(browser, filled.url, expected=("/yard/plan",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        broken = "models:\n  - id: x\n   name: [\n"
        write(page, broken)
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("line 3")
        expect(page.get_by_text("Nothing was changed. Your document is still here.")).to_be_visible()
        picture(page, "yard-broken")
        page.get_by_role("button", name="Go to line 3").click()
        expect(page.get_by_role("textbox", name="Document")).to_be_focused()
        # It is chosen right after it has the focus.
        page.wait_for_function("() => document.activeElement.selectionEnd > document.activeElement.selectionStart")
        chosen = page.evaluate("() => { const a = document.activeElement; return [a.selectionStart, a.selectionEnd]; }")
        assert broken[chosen[0] : chosen[1]] == "   name: ["
        # A fault of a field is found by its place in the document.
        page.get_by_role("textbox", name="Document").fill("models:\n  - id: x\n    nme: wrong\n")
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("models.0.nme")
        expect(page.get_by_role("button", name="Go to line 3")).to_be_visible()
        # Looking elsewhere in the interface keeps what was typed.
        page.get_by_role("link", name="Audit").click()
        expect(page.get_by_role("heading", name="Audit", level=1)).to_be_visible()
        page.get_by_role("link", name="As code").click()
        page.get_by_role("link", name="Plan and apply").click()
        expect(page.get_by_role("textbox", name="Document")).to_have_value("models:\n  - id: x\n    nme: wrong\n")


def test_a_file_and_its_secrets(page, filled, tmp_path):
    text = "connections:\n" + "".join(
        f'  - {{name: {name}, kind: openai, base_url: "http://127.0.0.1:9/v1", api_keys: ["${{{key}}}"]}}\n'
        for name, key in (("cloud", "MODELYARD_CLOUD_KEY_1"), ("second", "SECOND_KEY"))
    )
    file = tmp_path / "yard.yaml"
    file.write_text(text)
    page.goto("/yard?view=change")
    page.get_by_label("Choose a file").set_input_files(file)
    expect(page.get_by_role("textbox", name="Document")).to_have_value(text)
    page.locator("summary", has_text="Secrets").click()
    page.get_by_label("SECOND_KEY").fill(SECRET)
    found = plan(page)
    expect(found.get_by_text("1 to create, 0 to change, 0 to delete")).to_be_visible()
    found.get_by_text("second", exact=True).click()
    expect(found.get_by_text("API keys", exact=True)).to_be_visible()
    assert SECRET not in found.inner_text()
    page.get_by_role("button", name="Apply this plan").click()
    expect(applied(page)).to_be_visible()
    names = [connection["name"] for connection in filled.admin.get("/api/v1/connections").json()["items"]]
    assert "second" in names
    assert "cloud" in names


def test_a_missing_secret_is_told(browser, filled):
    with opened(browser, filled.url, expected=("/yard/plan",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        write(
            page,
            'connections:\n  - {name: third, kind: openai, base_url: "http://127.0.0.1:9", api_keys: ["${NONE}"]}\n',
        )
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("NONE")


def test_ways_of_moving_in_are_named(page, filled):
    page.goto("/yard?view=moving")
    for name in ("Open WebUI", "LiteLLM", "LocalAI", "Modelfile"):
        expect(page.get_by_role("region", name=name)).to_contain_text("modelyard import")
    assert faults(page) == []
    picture(page, "yard-moving")


def test_pictures(browser, filled):
    for name, size, theme in (
        ("dark", (1440, 900), "dark"),
        ("1024", (1024, 768), "light"),
        ("narrow", NARROW, "light"),
    ):
        with opened(browser, filled.url, size=size, theme=theme) as page:
            signed_in(page, EMAIL, PASSWORD)
            write(page, document(filled).replace("temperature: 0.2", "temperature: 0.7").replace(HOSTILE, "Mild"))
            expect(plan(page).get_by_text("0.7", exact=True)).to_be_visible()
            for view, content in (("change", "Temperature"), ("now", "base_model_id"), ("revisions", "State before")):
                if view != "change":
                    page.goto(f"/yard?view={view}")
                expect(page.get_by_role("main").get_by_text(content).filter(visible=True).first).to_be_visible()
                expect(page.get_by_role("status", name="Loading")).to_have_count(0)
                assert_fits(page)
                assert faults(page) == []
                picture(page, f"yard-{view}-{name}", whole=True)
