"""The API page: operations found, told and tried; programs that call models."""

import json
import re

import pytest
from playwright.sync_api import expect

from bench.chromium import TRACED, tasks_of
from tests.interface.browser import MOST_TASK_MS, NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD


@pytest.fixture(scope="module")
def filled(house):
    form = {"id": 'it\'s"x"', "name": "<img src=x onerror='throw 1'>", "base_model_id": "tiny-llama"}
    assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    return house


def test_every_operation_is_listed_and_found(page, filled):
    page.goto("/reference")
    listed = page.get_by_role("navigation", name="Operations").get_by_role("listitem")
    paths = filled.admin.get("/api/v1/openapi.json").json()["paths"]
    expect(listed).to_have_count(sum(len(methods) for methods in paths.values()))
    page.get_by_label("Search operations").fill("revoke key")
    expect(listed).to_have_count(1)
    expect(page).to_have_url(re.compile("q=revoke"))
    listed.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Revoke key")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Revoke key")).to_be_visible()
    expect(listed).to_have_count(1)
    expect(page.get_by_text("Writes", exact=True)).to_be_visible()
    assert faults(page) == []
    picture(page, "reference-operation")


def test_escape_leaves_the_search_and_a_held_key_goes_on_through_the_list(page, filled):
    page.goto("/reference")
    rows = page.locator("[data-row]")
    paths = filled.admin.get("/api/v1/openapi.json").json()["paths"]
    count = sum(len(methods) for methods in paths.values())
    expect(rows).to_have_count(count)
    page.keyboard.press("/")
    box = page.get_by_label("Search operations")
    box.press_sequentially("revoke key")
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    expect(rows).to_have_count(count)
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    for _ in range(3):  # without letting go
        page.keyboard.down("j")
    expect(rows.nth(2).get_by_role("link")).to_be_focused()
    page.keyboard.up("j")


def test_fields_of_a_body_are_told_and_prefilled(page, filled):
    page.goto("/reference?op=POST%20%2Fapi%2Fv1%2Fmodels%2Fcreate")
    fields = page.get_by_role("list", name="Body")
    expect(fields.get_by_text("base_model_id", exact=True)).to_be_visible()
    written = page.get_by_role("textbox", name="Body")
    expect(written).to_have_value(re.compile("}"))
    body = json.loads(written.input_value())
    assert {"id", "name"} <= body.keys()
    expect(page.get_by_role("region", name="As a command")).to_contain_text("$MODELYARD_API_KEY")
    picture(page, "reference-body")


def test_an_operation_is_tried_with_the_session(page, filled):
    page.goto("/reference?op=GET%20%2Fapi%2Fv1%2Fmodels%2Flist")
    page.get_by_role("textbox", name="limit").fill("1")
    expect(page.get_by_role("region", name="As a command")).to_contain_text("/api/v1/models/list?limit=1")
    page.get_by_role("button", name="Send").click()
    answer = page.get_by_role("region", name="Answer", exact=True)
    expect(answer.get_by_role("status")).to_contain_text("200")
    expect(answer.get_by_text(re.compile(r"^\d+ ms$"))).to_be_visible()
    expect(answer.get_by_role("region", name="Body of the answer")).to_contain_text("<img src=x onerror='throw 1'>")
    answer.get_by_text("Headers").click()
    expect(answer.get_by_role("region", name="Headers")).to_contain_text("x-request-id")
    assert faults(page) == []
    picture(page, "reference-tried", whole=True)


def test_a_change_that_is_tried_is_done(page, filled):
    page.goto("/reference?op=POST%20%2Fapi%2Fv1%2Fgroups%2Fcreate")
    expect(page.get_by_text("This changes the running server.")).to_be_visible()
    page.get_by_role("textbox", name="Body").fill('{"name": "tried", "description": ""}')
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("region", name="Answer", exact=True).get_by_role("status")).to_contain_text("200")
    assert "tried" in [group["name"] for group in filled.admin.get("/api/v1/groups/").json()]


def test_faults_are_told_before_and_after_sending(browser, filled):
    with opened(browser, filled.url, expected=("/groups/",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/reference?op=POST%20%2Fapi%2Fv1%2Fgroups%2Fcreate")
        page.get_by_role("textbox", name="Body").fill("{not json")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_contain_text("This is not JSON")
        page.get_by_role("textbox", name="Body").fill("{}")
        page.get_by_role("button", name="Send").click()
        answer = page.get_by_role("region", name="Answer", exact=True)
        expect(answer.get_by_role("status")).to_contain_text("422")
        expect(answer.get_by_role("region", name="Body of the answer")).to_contain_text('"loc"')
        page.goto("/reference?op=GET%20%2Fapi%2Fv1%2Fgroups%2Fid%2F%7Bgroup_id%7D")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_contain_text("group_id is required.")


def test_a_long_answer_is_bounded(page, filled):
    page.goto("/reference?op=GET%20%2Fapi%2Fv1%2Faudit%2Fexport")
    for number in range(30):
        form = {
            "id": f"long-{number}",
            "name": "long",
            "base_model_id": "tiny-llama",
            "params": {"system": "y" * 15_000},
        }
        assert filled.admin.post("/api/v1/models/create", json=form).status_code == 200
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Only the first 200,000 bytes are shown.")).to_be_visible()
    shown = page.get_by_role("region", name="Body of the answer").locator("code").inner_text()
    assert len(shown.encode()) <= 200_000


def test_programs_are_ready_to_be_copied(page, filled):
    page.goto("/reference")
    box = page.get_by_role("combobox", name="Model")
    box.click()
    expect(page.locator("[role=option]").first).to_be_visible()  # the list is loaded, and its field is there to stay
    box.fill("it's")
    page.get_by_role("option", name="it's").click()
    example = page.get_by_role("region", name=re.compile("Example in"))
    expect(example).to_contain_text(filled.url + "/v1/chat/completions")
    expect(example).to_contain_text("it'\\''s")
    picture(page, "reference-calling")
    page.get_by_label("Client").select_option("Anthropic")
    page.get_by_label("Language").select_option("Python")
    expect(example).to_contain_text("client.messages.stream(")
    expect(page.get_by_role("region", name="Base address")).to_have_text(re.compile(re.escape(filled.url)))
    page.get_by_label("Client").select_option("Ollama")
    page.get_by_label("Language").select_option("JavaScript")
    expect(example).to_contain_text("new Ollama(")
    assert faults(page) == []


def test_an_unknown_operation_is_told(page, filled):
    page.goto("/reference?op=GET%20%2Fnowhere")
    expect(page.get_by_text("There is no such operation.")).to_be_visible()


def test_opening_an_operation_holds_nothing_up(browser, page, filled):
    page.goto("/reference")
    expect(page.get_by_role("navigation", name="Operations").get_by_role("listitem").first).to_be_visible()
    browser.start_tracing(page=page, categories=TRACED)
    for path in ("/api/v1/connections", "/api/v1/models/create", "/api/v1/keys"):
        page.get_by_role("link", name=f"POST {path}").first.click()
        expect(page.get_by_role("button", name="Send")).to_be_visible()
    tasks = tasks_of(browser.stop_tracing())
    print(f"longest task: {max(task.cpu for task in tasks):.0f} ms of a processor")
    assert max(task.cpu for task in tasks) < MOST_TASK_MS


def test_pictures(browser, filled):
    for name, size, theme in (
        ("dark", (1440, 900), "dark"),
        ("1024", (1024, 768), "light"),
        ("narrow", NARROW, "light"),
    ):
        with opened(browser, filled.url, size=size, theme=theme) as page:
            sign_in(page, EMAIL, PASSWORD)
            for state, search, content in (
                ("list", "?op=all", "/api/v1/audit/export"),
                ("calling", "", "/v1/chat/completions"),
                ("operation", "?op=PATCH%20%2Fapi%2Fv1%2Fconnections%2F%7Bconnection_id%7D", "As a command"),
            ):
                page.goto(f"/reference{search}")
                expect(page.get_by_role("main").get_by_text(content).filter(visible=True).first).to_be_visible()
                expect(page.get_by_role("status", name="Loading")).to_have_count(0)
                assert_fits(page)
                assert faults(page) == []
                picture(page, f"reference-{state}-{name}")
            if size == NARROW:
                page.get_by_role("link", name="All operations").click()
                expect(page.get_by_label("Search operations")).to_be_visible()
