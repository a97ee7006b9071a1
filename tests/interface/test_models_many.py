"""Five thousand models in one list, and models on a backend that loads and unloads them."""

import re

import pytest
from playwright.sync_api import expect

from bench.chromium import SCROLL, TRACED, tasks_of
from tests.interface.browser import MOST_TASK_MS, faults, picture
from tests.servers import run_scripted

M = "/api/v1/models"
COUNT = 5000


@pytest.fixture(scope="module")
def many(house):
    rows = [
        {
            "id": f"team/{number:04}", "name": f"Model {number:04}", "base_model_id": "tiny-llama", "params": {},
            "meta": {"tags": [f"tag{number % 30}", "all"], "description": "x" * 200}, "access_control": None,
        }
        for number in range(COUNT)
    ]  # fmt: skip
    answer = house.admin.post(f"{M}/import", json=rows)
    assert answer.status_code == 200, answer.text
    return house


def test_five_thousand_scroll_without_a_long_task(browser, page, many):
    page.goto("/models")
    expect(page.get_by_role("link", name="Model 0000", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=re.compile(r"^Presets\s*5000$"))).to_be_visible()
    browser.start_tracing(page=page, categories=TRACED)
    page.evaluate(SCROLL)
    tasks = sorted(task.cpu for task in tasks_of(browser.stop_tracing()))
    print(f"scrolling {COUNT} models: longest tasks {tasks[-5:]} ms")
    assert len(tasks) > 500
    assert tasks[-1] < MOST_TASK_MS
    last = page.get_by_role("link", name="Model 4999", exact=True)
    expect(last).to_be_visible()
    expect(page.get_by_role("row").filter(has=last)).to_have_attribute("aria-rowindex", "5001")
    page.wait_for_function("() => document.querySelectorAll('tr[data-row]').length < 60")
    assert faults(page) == []
    picture(page, "models-5000-end")


def test_the_focus_stays_in_a_row_that_scrolls_out_of_sight(page, many):
    page.goto("/models")
    link = page.get_by_role("link", name="Model 0003", exact=True)
    link.focus()
    page.mouse.move(800, 500)
    page.mouse.wheel(0, 60_000)
    expect(page.get_by_role("link", name="Model 1060", exact=True)).to_be_visible()
    expect(link).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("switch", name="Model 0003 is active")).to_be_focused()


def test_a_filter_and_a_selection_reach_beyond_what_is_in_sight(page, many):
    page.goto("/models?tag=tag7")
    expect(page.get_by_role("link", name=re.compile(r"^Presets\s*167$"))).to_be_visible()
    page.get_by_role("checkbox", name="Select all that are shown").click()
    bar = page.get_by_role("region", name="167 selected")
    bar.get_by_role("button", name="Hide").click()
    expect(page.get_by_text("Hid 167 models")).to_be_visible()
    found = many.admin.get(f"{M}/model", params={"id": "team/4987"}).json()
    assert found["meta"]["hidden"] is True


def test_models_are_loaded_and_unloaded_from_the_list(page, house):
    with run_scripted() as scripted:
        house.connect("gpu", scripted.root, "ollama", prefix_id="gpu")
        form = {"id": "onyx", "name": "Onyx", "base_model_id": "gpu.echo", "meta": {}, "params": {}}
        assert house.admin.post(f"{M}/create", json=form).status_code == 200
        broken = {**form, "id": "oops", "name": "Oops", "base_model_id": "gpu.error-500"}
        assert house.admin.post(f"{M}/create", json=broken).status_code == 200
        page.goto("/models?q=gpu.")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Onyx"))
        expect(row).to_contain_text("Loaded")
        expect(page.get_by_role("row").filter(has=page.get_by_role("link", name="Oops"))).to_contain_text("Failed")
        assert faults(page) == []
        picture(page, "models-states")
        page.get_by_role("button", name="Actions for Onyx").click()
        page.get_by_role("menuitem", name="Unload from memory").click()
        expect(page.get_by_text("Unloaded Onyx")).to_be_visible()
        expect(row).to_contain_text("Active")
        page.get_by_role("button", name="Actions for Onyx").click()
        page.get_by_role("menuitem", name="Load into memory").click()
        expect(row).to_contain_text("Loaded")
