"""Models out of the trash, and out of a file: its content is shown first, nothing is sent unasked, each item is answered."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.interface.browser import NARROW, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD

M = "/api/v1/models"


@pytest.fixture(autouse=True)
def catalogue(house):
    assert house.admin.delete(f"{M}/delete/all", params={"confirm": "true"}).status_code == 200
    assert house.admin.post(f"{M}/create", json=item("known", "Known")).status_code == 200


def item(model_id: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": model_id, "name": name, "base_model_id": "tiny-llama", "meta": {}, "params": {}, **fields}


def file(folder: Path, content: Any, name: str = "models.json") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def opened_file(page: Page, path: Path) -> None:
    page.goto("/models/import")
    page.get_by_label("Choose a file").last.set_input_files(path)


def result(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def exists(house: Any, model_id: str) -> bool:
    return bool(house.admin.get(f"{M}/model", params={"id": model_id}).status_code == 200)


def test_a_file_is_previewed_and_imported(page, house, tmp_path):
    content = [
        item("new", "New one"),
        item("known", "Known anew"),
        {"name": "No id"},
        "nothing",
        {"id": "entry", "name": "Entry", "info": item("entry", "An entry of a list")},
    ]
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/models/import")
    assert faults(page) == []
    picture(page, "models-import")
    opened_file(page, file(tmp_path, content))
    expect(result(page, "New one")).to_contain_text("New")
    expect(result(page, "Known anew")).to_contain_text("Updates existing")
    expect(result(page, "No id")).to_contain_text("It has no ID.")
    expect(page.get_by_text("It is not an object.")).to_be_visible()
    expect(page.get_by_text("2 items are left out.")).to_be_visible()
    assert sent == []
    assert not exists(house, "new")
    assert faults(page) == []
    picture(page, "models-import-preview")

    page.get_by_role("button", name="Import 3 models").click()
    expect(page.get_by_role("status").filter(has_text="Import finished")).to_contain_text("2 created, 1 updated")
    expect(result(page, "New one")).to_contain_text("Created")
    expect(result(page, "Known anew")).to_contain_text("Updated")
    expect(result(page, "An entry of a list")).to_contain_text("Created")
    assert exists(house, "new")
    assert faults(page) == []
    picture(page, "models-import-done")
    page.get_by_role("link", name="View models").click()
    expect(page.get_by_role("link", name="Known anew")).to_be_visible()


def test_an_export_that_comes_back_changes_nothing(page, house, tmp_path):
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    meta = {"profile_image_url": f"data:image/png;base64,{dot}", "tags": ["fast"]}
    for row in (item("seen", "Seen", meta=meta), item("open", "Open", access_control=None, params={"top_p": 0.5})):
        assert house.admin.post(f"{M}/create", json=row).status_code == 200
    rows = house.admin.get(f"{M}/export").json()
    next(row for row in rows if row["id"] == "open")["params"]["top_p"] = 0.6
    opened_file(page, file(tmp_path, rows))
    for name in ("Known", "Seen"):
        expect(result(page, name)).to_contain_text("Unchanged")
    expect(result(page, "Open")).to_contain_text("Updates existing")
    page.get_by_role("button", name="Import 3 models").click()
    # The server finds the same.
    expect(page.get_by_role("status").filter(has_text="Import finished")).to_contain_text("2 unchanged")


def test_when_one_fails_nothing_is_changed_unless_the_good_ones_are_wanted(browser, house, tmp_path):
    content = {"models": [item("good", "Good"), item("bad", "Bad", access_control={"read": {"user_ids": ["nobody"]}})]}
    with opened(browser, house.url, expected=("/models/import",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        opened_file(page, file(tmp_path, content))
        page.get_by_role("button", name="Import 2 models").click()
        expect(page.get_by_role("status").filter(has_text="Nothing was imported")).to_be_visible()
        expect(result(page, "Bad")).to_contain_text("There is no user with the id 'nobody'.")
        page.get_by_role("button", name=re.compile("^All")).click()
        expect(result(page, "Good")).to_contain_text("New")
        assert not exists(house, "good")
        picture(page, "models-import-refused")
        page.get_by_role("checkbox", name="Import the rest if some fail").check()
        page.get_by_role("button", name="Import 1 model").click()
        expect(page.get_by_role("status").filter(has_text="Import finished")).to_contain_text("1 failed")
        expect(result(page, "Bad")).to_contain_text("Failed")
        assert exists(house, "good")
        assert not exists(house, "bad")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[{"id": "a", "name": "A"', "The JSON ends too early"),
        ('[{"id": }]', "The file is not valid JSON"),
        ('{"presets": []}', "neither a list of models"),
        ("[]", "The list in the file is empty."),
        ("  ", "The file is empty."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "The file is not text."),
        ("hello", "neither a list of models"),
        (b"[" + b" " * (20 * 1024 * 1024) + b"]", "at most 20 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_why(page, tmp_path, content, told):
    opened_file(page, file(tmp_path, content))
    expect(page.get_by_role("alert")).to_contain_text(told)
    # Another one can be chosen at once.
    page.get_by_label("Choose a file").last.set_input_files(file(tmp_path, [item("next", "Next")], "next.json"))
    expect(page.get_by_role("button", name="Import 1 model")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_file_can_be_dropped(page):
    page.goto("/models/import")
    dropped = page.evaluate_handle(
        """(text) => { const carried = new DataTransfer(); carried.items.add(new File([text], "m.json")); return carried; }""",
        json.dumps([item("dropped", "Dropped")]),
    )
    page.get_by_role("group", name="Drop a file here").dispatch_event("drop", {"dataTransfer": dropped})
    expect(result(page, "Dropped")).to_contain_text("New")


def test_a_modelfile_becomes_a_model(page, house, tmp_path):
    content = 'FROM tiny-llama\nSYSTEM """Talk like a pirate."""\nPARAMETER temperature 0.7\nPARAMETER num_gqa 8\n'
    opened_file(page, file(tmp_path, content, "Pirate.Modelfile"))
    expect(page.get_by_label("ID")).to_have_value("pirate")
    assert faults(page) == []
    picture(page, "models-import-modelfile")
    page.get_by_role("button", name="Import model").click()
    expect(page.get_by_role("status").filter(has_text="Imported")).to_be_visible()
    made = house.admin.get(f"{M}/model", params={"id": "pirate"}).json()
    assert made["params"]["system"] == "Talk like a pirate."
    assert made["base_model_id"] == "tiny-llama"


def test_a_preview_fits_a_telephone(browser, house, tmp_path):
    with opened(browser, house.url, theme="dark") as page:
        sign_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        opened_file(page, file(tmp_path, [item("a" * 200, "ب" * 200), *(item(f"m{n}", f"M {n}") for n in range(300))]))
        expect(page.get_by_role("button", name="Import 301 models")).to_be_visible()
        expect(page.locator("tr[data-row]").first).to_be_visible()
        assert_fits(page)
        page.wait_for_function("() => document.querySelectorAll('tr[data-row]').length < 40")
        assert faults(page) == []
        picture(page, "models-import-narrow-dark")


def test_deleted_models_are_restored(page, house):
    rows = [item(f"gone-{n}", f"Gone {n}", access_control=None) for n in range(3)]
    assert house.admin.post(f"{M}/import", json=rows).status_code == 200
    house.admin.post(f"{M}/model/delete", json={"id": "gone-0"})
    house.admin.post(f"{M}/bulk", json={"ids": ["gone-1", "gone-2"], "action": "delete"})
    page.goto("/models/deleted")
    expect(page.get_by_role("row").filter(has_text="Gone 0")).to_contain_text("in 29 days")
    assert faults(page) == []
    picture(page, "models-deleted")
    page.get_by_role("button", name="Restore Gone 0").click()
    expect(page.get_by_text("Restored Gone 0")).to_be_visible()
    assert house.admin.get(f"{M}/model", params={"id": "gone-0"}).json()["access_control"] is None
    page.get_by_role("button", name="Actions for Gone 1").click()
    page.get_by_role("menuitem", name="Restore all 2 deleted together").click()
    expect(page.get_by_text("Restored 2 models")).to_be_visible()
    assert exists(house, "gone-2")


def test_deleted_models_are_not_for_those_who_make_none(browser, house):
    form = {"email": "reader@example.com", "name": "Reader", "role": "user", "password": PASSWORD}
    house.admin.post("/api/v1/users/", json=form).raise_for_status()
    with opened(browser, house.url) as page:
        signed_in(page, form["email"], PASSWORD)
        page.goto("/models/deleted")
        expect(page.get_by_role("heading", name="You don't have access to this page")).to_be_visible()
        expect(page.get_by_text("Nothing was deleted")).to_have_count(0)
        assert faults(page) == []


def test_the_older_of_two_that_had_one_id_is_restored_as_itself(page, house):
    for name in ("Older", "Newer"):
        assert house.admin.post(f"{M}/create", json=item("twice", name)).status_code == 200
        house.admin.post(f"{M}/model/delete", json={"id": "twice"})
    page.goto("/models/deleted")
    page.get_by_role("button", name="Restore Older").click()
    expect(page.get_by_text("Restored Older")).to_be_visible()
    assert house.admin.get(f"{M}/model", params={"id": "twice"}).json()["name"] == "Older"


def test_of_a_long_list_of_deleted_models_the_one_that_is_chosen_comes_back(page, house):
    rows = [item(f"long-{n:02}", f"Long {n:02}") for n in range(40)]
    assert house.admin.post(f"{M}/import", json=rows).status_code == 200
    house.admin.post(f"{M}/bulk", json={"ids": [row["id"] for row in rows], "action": "delete"})
    page.goto("/models/deleted?page=2")
    chosen = page.get_by_role("button", name=re.compile("^Restore Long ")).first
    name = (chosen.get_attribute("aria-label") or "").removeprefix("Restore ")
    chosen.click()
    expect(page.get_by_text(f"Restored {name}")).to_be_visible()
    assert house.admin.get(f"{M}/list").json()["total"] == 2  # and the one of every test
    page.get_by_role("button", name=re.compile("^Actions for Long ")).first.click()
    page.get_by_role("menuitem", name="Restore all 39 deleted together").click()
    expect(page.get_by_text("Restored 39 models")).to_be_visible()


def test_after_a_model_is_restored_the_focus_goes_on_to_the_next(page, house):
    rows = [item(f"row-{n}", f"Row {n}") for n in range(3)]
    assert house.admin.post(f"{M}/import", json=rows).status_code == 200
    for row in reversed(rows):
        house.admin.post(f"{M}/model/delete", json={"id": row["id"]})
    page.goto("/models/deleted")
    for name, following in (("Row 0", "Row 1"), ("Row 1", "Row 2")):
        button = page.get_by_role("button", name=f"Restore {name}")
        button.focus()
        button.press("Enter")
        expect(button).to_have_count(0)
        expect(page.get_by_role("button", name=f"Restore {following}")).to_be_focused()
