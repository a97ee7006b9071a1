"""The audit page: what changed and how, filters in the address, pages, the file, and an altered entry that is found."""

import csv
import json
import re
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.interface.browser import NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD

HOSTILE = '<img src=x onerror="throw 1"><script>throw 2</script>\u202e"\'`${7*7}{{7*7}}'
PROMPT = "\n".join(f"Rule {number}: be exact." for number in range(40))


@pytest.fixture(scope="module")
def filled(house):
    """Enough entries for two pages; a model whose prompt was changed; objects with hostile names."""
    made = house.admin.post(
        "/api/v1/models/create",
        json={"id": "team/reviewer", "name": "Reviewer", "base_model_id": "tiny-llama", "params": {"system": PROMPT}},
    )
    assert made.status_code == 200, made.text
    changed = {"id": "team/reviewer", "params": {"system": PROMPT.replace("Rule 20", "Law 20"), "temperature": 0.2}}
    assert house.admin.post("/api/v1/models/model/update", json=changed).status_code == 200
    for number in range(120):
        house.make_key(name=f"key {number}")
    robot = house.make_key(name="robot")
    with house.client(robot) as client:
        form = {"id": "made", "name": "Made", "base_model_id": "tiny-llama"}
        client.post("/api/v1/models/create", json=form).raise_for_status()
    spelled = re.sub(r"[\s\u202e]", "", HOSTILE)[:60]  # ids have no white space
    hostile = {"id": f"hostile-{spelled}", "name": HOSTILE, "base_model_id": "tiny-llama"}
    hostile["params"] = {"system": HOSTILE}
    assert house.admin.post("/api/v1/models/create", json=hostile).status_code == 200
    hebrew = {"name": ("קבוצה עם שם ארוך מאוד " * 4).strip(), "description": ""}
    assert house.admin.post("/api/v1/groups/create", json=hebrew).status_code == 200
    return house


def entries(page):
    return page.locator("tbody tr")


def test_a_change_is_shown_field_by_field(page, filled):
    page.goto("/audit?entity_type=model")
    page.get_by_role("row", name="Changed").filter(has_text="Reviewer").get_by_role("button").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("Temperature", exact=True)).to_be_visible()
    expect(drawer.get_by_text("0.2", exact=True)).to_be_visible()
    lines = drawer.get_by_role("region", name="Changed lines of System prompt")
    expect(lines.get_by_text("Law 20: be exact.")).to_be_visible()
    expect(lines.get_by_text("Rule 20: be exact.")).to_be_visible()
    expect(lines.get_by_text("Rule 2: be exact.", exact=True)).to_have_count(0)
    lines.get_by_role("button", name="18 lines unchanged").click()
    expect(lines.get_by_text("Rule 2: be exact.", exact=True)).to_be_visible()
    expect(drawer.get_by_role("link", name="Versions")).to_have_attribute("href", re.compile("/models/history"))
    picture(page, "audit-entry")
    assert faults(page) == []
    # The entry has an address of its own, whichever page of the list it stands on, and Back closes it.
    position = re.search(r"id=(\d+)", page.url)
    assert position
    page.goto(f"/audit?entity_type=key&id={position[1]}")
    expect(page.get_by_role("dialog").get_by_text("Temperature", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("entity_type=key$"))


def test_an_entry_names_the_key_that_was_used_and_what_was_set(page, filled):
    page.goto("/audit?entity_type=model&entity_id=made")
    entries(page).get_by_role("button").click()
    drawer = page.get_by_role("dialog")
    robots = next(one["id"] for one in filled.admin.get("/api/v1/keys").json()["items"] if one["name"] == "robot")
    expect(drawer.get_by_role("link", name="robot")).to_have_attribute("href", f"/keys?id={robots}")
    fields = drawer.get_by_role("term")
    expect(fields.filter(has_text="Owner")).to_have_count(1)
    expect(fields.filter(has_text="Base model")).to_have_count(1)
    # An empty object says nothing; a switch is no `true`.
    expect(drawer.get_by_text("{}")).to_have_count(0)
    expect(drawer.get_by_text("Yes", exact=True)).to_be_visible()
    expect(drawer.get_by_text("Private", exact=True)).to_be_visible()
    assert faults(page) == []
    page.goto("/audit?action=key.created")
    page.get_by_role("row").filter(has_text="robot").get_by_role("button").click()
    expect(drawer.get_by_text("Built-in administrator").last).to_be_visible()


def test_an_object_is_found_by_its_name_or_its_id(page, filled):
    page.goto("/audit")
    field = page.get_by_role("combobox", name="Object")
    field.fill("key 11")
    page.get_by_role("option", name="key 119").click()
    expect(page).to_have_url(re.compile("entity_id=.*entity_type=key"))
    expect(entries(page)).to_have_count(1)
    expect(field).to_have_value("key 119")
    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile("/audit$"))
    # What is gone, or nobody has named, is asked for by its id.
    field.fill("setup.nowhere")
    page.get_by_role("option", name="setup.nowhere").click()
    expect(page.get_by_text("No entry matches these filters")).to_be_visible()
    expect(field).to_have_value("setup.nowhere")
    page.locator("#content").get_by_role("button", name="Clear filters").last.click()
    expect(page).to_have_url(re.compile("/audit$"))


def test_filters_fold_on_a_narrow_screen(browser, filled):
    with opened(browser, filled.url, size=NARROW) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/audit?entity_type=key&action=key.created")
        expect(page.get_by_role("button", name="Filters (2)")).to_be_visible()
        expect(page.get_by_label("Kind")).to_be_hidden()
        page.get_by_role("button", name="Filters (2)").click()
        expect(page.get_by_label("Kind")).to_have_value("key")
        assert faults(page) == []
        picture(page, "audit-filters-narrow")


def test_filters_are_in_the_address_and_survive_a_reload(page, filled):
    page.goto("/audit")
    page.get_by_label("Kind").select_option("Key")
    page.get_by_label("Action").select_option("Created")
    expect(page).to_have_url(re.compile(r"entity_type=key.*action=key\.created"))
    page.get_by_role("combobox", name="Person").fill("Built")
    page.get_by_role("option", name="Built-in administrator").click()
    expect(page).to_have_url(re.compile("user_id=built-in-administrator"))
    expect(entries(page)).to_have_count(100)
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("key")
    expect(page.get_by_label("Action")).to_have_value("key.created")
    expect(page.get_by_role("combobox", name="Person")).to_have_value("Built-in administrator")
    expect(entries(page)).to_have_count(100)
    assert set(entries(page).locator("td:nth-child(4)").all_inner_texts()) == {"Key"}
    page.get_by_role("button", name="Show more").click()
    expect(entries(page)).to_have_count(121)
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    page.get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile("/audit$"))


def test_a_filter_is_a_step_that_back_takes_back(page, filled):
    page.goto("/audit")
    page.get_by_label("Kind").select_option("Key")
    expect(page).to_have_url(re.compile("entity_type=key$"))
    page.get_by_label("Action").select_option("Created")
    expect(page).to_have_url(re.compile("action=key"))
    page.go_back()
    expect(page).to_have_url(re.compile("entity_type=key$"))
    expect(page.get_by_label("Action")).to_have_value("")
    page.go_back()
    expect(page).to_have_url(re.compile("/audit$"))
    expect(page.get_by_label("Kind")).to_have_value("")
    # The page of this test signed in last; until its entry is there, other rows are, which go.
    expect(entries(page).first).to_contain_text("Signed in")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Object")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(entries(page).first.get_by_role("button")).to_be_focused()


def test_settings_and_those_who_are_no_person_have_names(browser, filled):
    rules = filled.admin.get("/api/v1/auths/admin/config").json()
    opened_up = {**rules, "ENABLE_SIGNUP": True, "DEFAULT_USER_ROLE": "pending"}
    filled.admin.post("/api/v1/auths/admin/config", json=opened_up).raise_for_status()
    with filled.client(None) as stranger:
        form = {"email": "newcomer@example.com", "name": "Newcomer", "password": PASSWORD}
        stranger.post("/api/v1/auths/signup", json=form).raise_for_status()
    filled.admin.post("/api/v1/auths/admin/config", json=rules).raise_for_status()
    with opened(browser, filled.url) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/audit?entity_type=settings")
        expect(entries(page).first).to_contain_text("Sign-up")
        expect(page.get_by_text("sign_up.enabled")).to_have_count(0)
        page.goto("/audit?action=user.created")
        expect(page.get_by_role("row", name="Newcomer")).to_contain_text("Sign-up page")
        page.goto("/overview")
        changes = page.get_by_role("region", name="Recent changes")
        expect(changes.get_by_role("link", name=re.compile("Sign-up page created account Newcomer"))).to_be_visible()


def test_dates_narrow_and_nothing_found_is_told(page, filled):
    page.goto("/audit")
    page.get_by_label("To", exact=True).fill("2020-01-01")
    expect(page.get_by_text("No entry matches these filters")).to_be_visible()
    picture(page, "audit-nothing")
    page.get_by_label("To", exact=True).fill("")
    expect(entries(page)).to_have_count(100)


def test_an_object_is_followed_through_the_log(page, filled):
    page.goto("/audit?entity_type=model")
    page.get_by_role("row", name="Changed").filter(has_text="Reviewer").get_by_role("button").click()
    page.get_by_role("link", name="All entries for this object").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(entries(page)).to_have_count(2)
    expect(page.get_by_role("combobox", name="Object")).to_have_value("Reviewer")


def test_the_file_has_what_the_filters_say(page, filled):
    page.goto("/audit?entity_type=model&entity_id=team%2Freviewer")
    expect(entries(page)).to_have_count(2)
    for choice, name in (("CSV, for spreadsheets", "audit.csv"), ("JSON lines", "audit.jsonl")):
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=choice).click()
        assert download.value.suggested_filename == name
        text = download.value.path().read_text("utf-8")
        rows = (
            list(csv.DictReader(text.splitlines()))
            if name.endswith("csv")
            else list(map(json.loads, text.splitlines()))
        )
        assert [row["action"] for row in rows] == ["model.created", "model.updated"]


def test_verify_tells_an_altered_entry(page, filled):
    page.goto("/audit")
    page.get_by_role("button", name="Verify").click()
    result = page.get_by_role("region", name="Verification")
    expect(result.get_by_text(re.compile(r"^Intact: \d+ entries"))).to_be_visible()
    mark = result.locator("code").inner_text()
    picture(page, "audit-intact")
    assert faults(page) == []
    result.get_by_text("Verify with an earlier mark").click()
    result.get_by_label("Earlier mark").fill(mark)
    with page.expect_response("**/api/v1/audit/verify?*") as verified:
        result.get_by_role("button", name="Verify").click()
    assert parse_qs(urlsplit(verified.value.url).query) == {"mark": [mark]}
    assert verified.value.json()["fault"] is None
    expect(result.get_by_text(re.compile("^Intact"))).to_be_visible()

    with closing(sqlite3.connect(filled.data_dir / "modelyard.db", isolation_level=None, timeout=60)) as database:
        database.execute("UPDATE billing_audit_log SET description = 'harmless' WHERE position = 5")
        try:
            page.get_by_role("button", name="Verify").first.click()
            expect(result.get_by_text("Entry 5 was altered after it was written.")).to_be_visible()
            expect(
                result.get_by_text("The 4 entries before it are intact. Nothing from entry 5 on can be trusted.")
            ).to_be_visible()
            picture(page, "audit-altered")
            result.get_by_role("button", name="Show the entry").click()
            expect(page.get_by_role("dialog").get_by_text("harmless")).to_be_visible()
        finally:
            database.execute("UPDATE billing_audit_log SET description = NULL WHERE position = 5")


def test_a_wrong_mark_is_told(browser, filled):
    with opened(browser, filled.url, expected=("/audit/verify",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/audit")
        page.get_by_role("button", name="Verify").click()
        result = page.get_by_role("region", name="Verification")
        result.get_by_text("Verify with an earlier mark").click()
        result.get_by_label("Earlier mark").fill("no mark")
        result.get_by_role("button", name="Verify").click()
        expect(result.get_by_role("alert")).to_be_visible()
        expect(result.get_by_label("Earlier mark")).to_have_value("no mark")


def test_hostile_names_are_text(page, filled):
    page.goto("/audit?entity_type=model&action=model.created")
    row = page.get_by_role("row").filter(has_text="<img src=x")
    row.get_by_role("button").click()
    expect(page.get_by_role("dialog").get_by_text("<script>throw 2</script>").first).to_be_visible()
    picture(page, "audit-hostile")
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_someone_without_the_right_is_told_so(browser, filled):
    form = {"name": "Ann", "email": "ann.audit@example.com", "role": "user", "password": PASSWORD}
    assert filled.admin.post("/api/v1/users/", json=form).status_code == 200
    with opened(browser, filled.url) as page:
        sign_in(page, form["email"], PASSWORD)
        for path in ("/audit", "/settings", "/yard"):
            page.goto(path)
            expect(page.get_by_text("An administrator can give you the permission it needs.")).to_be_visible()
        assert faults(page) == []
        picture(page, "govern-denied")
        page.goto("/reference")
        expect(page.get_by_role("heading", name="Calling models")).to_be_visible()
        expect(page.get_by_role("link").filter(has_text=re.compile("/api/v1/audit$"))).to_be_visible()


def test_pictures(browser, filled):
    for name, size, theme in (("audit-full", (1440, 900), "light"), ("audit-full-dark", (1440, 900), "dark"),
                              ("audit-full-1024", (1024, 768), "light"), ("audit-narrow", NARROW, "light")):  # fmt: skip
        with opened(browser, filled.url, size=size, theme=theme) as page:
            signed_in(page, EMAIL, PASSWORD)
            page.goto("/audit")
            expect(entries(page)).to_have_count(100)
            assert_fits(page)
            objects = page.get_by_role("columnheader", name="Object").element_handle()
            # It matters most, so others make room for it.
            page.wait_for_function("heading => heading.offsetWidth > innerWidth * 0.2", arg=objects)
            assert faults(page) == []
            picture(page, name)
            if size == NARROW:
                page.goto("/audit?entity_type=model")
                page.get_by_role("row", name="Changed").get_by_role("button").first.click()
                expect(page.get_by_role("dialog").get_by_text("Temperature", exact=True)).to_be_visible()
                picture(page, "audit-entry-narrow")
