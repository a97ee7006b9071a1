"""The editor of a model: every field as the API has it afterwards, what must not be lost, and what follows from the form."""

import base64
import json
import re
import struct
import zlib
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.interface.browser import MIDDLE, NARROW, faults, opened, picture, sign_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.yard import Yard

SAVE = "Save & Update"
CREATE = "Save & Create"
OFFLINE = "gone-away:7b"


def png(width: int = 300, height: int = 200) -> bytes:
    """A picture, red at its left and blue at its right."""
    row = b"\0" + b"".join(b"\xff\0\0" if x < width // 2 else b"\0\0\xff" for x in range(width))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * height))
        + chunk(b"IEND", b"")
    )


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
    page.get_by_role("button", name=name).click()
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


def test_a_preset_with_every_field_is_what_the_api_has(page, house):
    page.goto("/models/new")
    expect(page.get_by_role("heading", name="New model", level=1)).to_be_visible()
    assert faults(page) == []
    picture(page, "editor-new")

    field(page, "Name").fill("Ship's Mate (old)")
    expect(field(page, "ID")).to_have_value("ships-mate-old")
    page.get_by_role("combobox", name="Base model").fill("tiny")
    page.get_by_role("option", name="tiny-llama").click()
    field(page, "Description").fill("Answers like a sailor.")
    add_chip(page, "Tags", "sea", "fun")

    field(page, "System prompt").fill("You are aboard. Today is ")
    page.get_by_role("button", name="Insert a variable").click()
    page.get_by_role("menuitem", name="Day of the week").click()
    expect(field(page, "System prompt")).to_have_value("You are aboard. Today is {{CURRENT_WEEKDAY}}")
    expect(page.get_by_role("region", name="The system prompt with example values")).to_contain_text("day")

    choose_state(page, "Temperature", "Locked")
    page.get_by_label("Temperature", exact=True).fill("0.25")
    choose_state(page, "Top K", "Custom")
    page.get_by_label("Top K", exact=True).fill("12")
    fold_out(page, "Length, thinking and form")
    choose_state(page, "Stop sequences", "Custom")
    page.get_by_label("Stop sequences", exact=True).fill("\\n\\n\ngrüße")
    choose_state(page, "Think", "Custom")
    page.get_by_label("Think", exact=True).select_option(label="Low")
    page.get_by_role("button", name="Add a parameter").click()
    other = page.get_by_role("region", name="Other parameters")
    other.get_by_label("Name").fill("cache_prompt")
    other.get_by_label("Value").fill("true")
    other.get_by_label("Locked").check()

    page.get_by_role("group", name="Prompt suggestions").get_by_role("radio", name="Custom").check()
    page.get_by_label("Title", exact=True).fill("Tell a story")
    page.get_by_label("Subtitle").fill("of the sea")
    page.get_by_label("Prompt", exact=True).fill("Tell me a story of the sea.")
    add_chip(page, "Knowledge", "charts")
    add_chip(page, "Tools", "compass")
    add_chip(page, "Filters", "parrot", "crow")
    add_chip(page, "Filters that are on at the start", "parrot")
    add_chip(page, "Actions", "sing")
    # A base of OpenAI's dialect counts tokens in a stream when it is asked to.
    expect(page.get_by_role("checkbox", name="Usage")).to_be_checked()
    page.get_by_role("checkbox", name="Vision").uncheck()
    page.get_by_role("checkbox", name="Web search", exact=True).check()
    page.get_by_role("radio", name="Public Everyone").check()
    page.get_by_role("switch", name="Hidden").click()
    page.get_by_label("What changed, for the history").fill("First of all")
    save(page, CREATE)
    expect(page).to_have_url(house.url + "/models/edit?id=ships-mate-old")
    expect(page.get_by_role("heading", name="Ship's Mate (old)", level=1)).to_be_visible()
    expect(field(page, "ID")).not_to_be_editable()
    assert faults(page) == []
    picture(page, "editor-full", whole=True)

    row = stored(house, "ships-mate-old")
    assert (row["name"], row["base_model_id"], row["is_active"]) == ("Ship's Mate (old)", "tiny-llama", True)
    assert row["access_control"] is None
    assert row["params"] == {
        "system": "You are aboard. Today is {{CURRENT_WEEKDAY}}", "temperature": 0.25, "top_k": 12, "think": "low",
        "stop": ["\n\n", "grüße"], "custom_params": {"cache_prompt": "true"}, "locked": ["temperature", "cache_prompt"],
    }  # fmt: skip
    capabilities = row["meta"].pop("capabilities")
    assert capabilities["usage"] is True
    assert capabilities["vision"] is False
    assert len(capabilities) == 12
    assert row["meta"] == {
        "description": "Answers like a sailor.", "tags": [{"name": "sea"}, {"name": "fun"}], "hidden": True,
        "suggestion_prompts": [{"title": ["Tell a story", "of the sea"], "content": "Tell me a story of the sea."}],
        "knowledge": [{"id": "charts", "name": "charts", "type": "collection"}], "toolIds": ["compass"],
        "filterIds": ["parrot", "crow"], "defaultFilterIds": ["parrot"], "actionIds": ["sing"],
        "defaultFeatureIds": ["web_search"],
    }  # fmt: skip
    versions = house.admin.get("/api/v1/models/model/history", params={"id": "ships-mate-old"}).json()
    assert versions[0]["commit_message"] == "First of all"

    # The form reads it back as it was saved: nothing has changed, and nothing is asked on leaving.
    page.reload()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=SAVE)).to_be_disabled()
    page.get_by_role("link", name="Models").first.click()
    expect(page).to_have_url(house.url + "/models")


def test_what_the_editor_does_not_know_survives_a_save(page, house):
    params = {
        "template": "{{ .Prompt }}",
        "mirostat": 2,
        "future": {"deep": [1, None]},
        "custom_params": {"n": 5, "s": "5"},
    }
    meta = {"colour": "red", "tags": [{"name": "a", "weight": 3}],
            "knowledge": [{"id": "k", "name": "K", "type": "file", "size": 9}],
            "capabilities": {"vision": True, "teleport": True}, "ollama": {"modelfile": "FROM x"},
            "description": None}  # fmt: skip
    made(house, "keeper", params=params, meta=meta)
    before = stored(house, "keeper")
    edit(page, "keeper")
    field(page, "Name").fill("Keeper of keys")
    page.get_by_role("checkbox", name="Vision").uncheck()
    save(page)
    after = stored(house, "keeper")
    assert after["name"] == "Keeper of keys"
    assert after["params"] == before["params"] == params
    assert after["meta"]["capabilities"]["teleport"] is True
    assert after["meta"]["capabilities"]["vision"] is False
    del after["meta"]["capabilities"], before["meta"]["capabilities"]
    assert after["meta"] == before["meta"]


def test_ids_follow_names_until_one_is_written_and_a_taken_one_is_told_in_its_place(browser, house):
    made(house, "taken")
    with opened(browser, house.url, expected=("409",)) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.goto("/models/new?base=tiny-llama")
        expect(page.get_by_role("combobox", name="Base model")).to_have_value("tiny-llama")
        page.get_by_role("button", name=CREATE).click()
        expect(page.get_by_text("Give the model a name.")).to_be_visible()
        expect(field(page, "Name")).to_be_focused()
        field(page, "ID").fill("taken")
        field(page, "Name").fill("Something else")
        expect(field(page, "ID")).to_have_value("taken")
        page.get_by_role("button", name=CREATE).click()
        expect(field(page, "ID")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("alert").filter(has_text="taken")).to_be_visible()
        expect(field(page, "Name")).to_have_value("Something else")
        assert faults(page) == []
        picture(page, "editor-taken-id")
        field(page, "ID").fill("free")
        save(page, CREATE)
    assert stored(house, "free")["name"] == "Something else"


def test_a_copy_begins_with_what_the_original_has_and_shares_nothing(page, house):
    made(house, "original", params={"system": "Hello"}, access_control=None)
    page.goto("/models/new?clone=original")
    expect(field(page, "ID")).to_have_value("original-clone")
    expect(field(page, "System prompt")).to_have_value("Hello")
    save(page, CREATE)
    row = stored(house, "original-clone")
    assert (row["name"], row["params"], row["access_control"]) == ("Original (Clone)", {"system": "Hello"}, {})


def test_a_base_that_is_offline_stays(page, house):
    made(house, "orphan", base_model_id=OFFLINE)
    edit(page, "orphan")
    expect(page.get_by_text("offline", exact=True)).to_be_visible()
    picture(page, "editor-offline-base")
    field(page, "Description").fill("Waits for its base.")
    save(page)
    row = stored(house, "orphan")
    assert (row["base_model_id"], row["meta"]["description"]) == (OFFLINE, "Waits for its base.")


def test_settings_of_a_base_model_are_an_override_without_a_base(browser, house):
    with opened(browser, house.url, expected=("404",)) as page:  # it has no row of its own yet
        sign_in(page, EMAIL, PASSWORD)
        page.goto("/models/edit?id=tiny-llama")
        expect(page.get_by_text("Settings of a base model")).to_be_visible()
        expect(field(page, "ID")).to_have_value("tiny-llama")
        expect(page.get_by_role("combobox", name="Base model")).to_have_count(0)
        field(page, "Description").fill("Small.")
        save(page, CREATE)
        page.goto("/models/edit?id=neither-row-nor-base")
        expect(page.get_by_role("heading", name="There is no such model")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-unknown")
    row = stored(house, "tiny-llama")
    assert (row["base_model_id"], row["meta"]["description"], row["access_control"]) == (None, "Small.", {})


def test_leaving_with_unsaved_changes_asks(page, house):
    made(house, "unsaved")
    page.goto("/models/history?id=unsaved")
    page.get_by_role("link", name="Connections").click()
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
        expect(page).to_have_url(house.url + "/models/edit?id=unsaved")
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
        sign_in(page, EMAIL, PASSWORD)
        edit(page, "shared")
        field(page, "Description").fill("Mine")
        other = {"id": "shared", "name": "Theirs", "params": {"temperature": 0.9}}
        assert house.admin.post("/api/v1/models/model/update", json=other).status_code == 200
        page.get_by_role("button", name=SAVE).click()
        dialog = page.get_by_role("dialog", name="Somebody else has saved this model")
        expect(dialog).to_contain_text("params.temperature")
        expect(dialog).to_contain_text("0.9")
        assert faults(page) == []
        picture(page, "editor-conflict")
        dialog.get_by_role("button", name="Keep editing").click()
        expect(field(page, "Description")).to_have_value("Mine")
        assert stored(house, "shared")["name"] == "Theirs"

        page.get_by_role("button", name=SAVE).click()
        dialog.get_by_role("button", name="Take theirs").click()
        expect(field(page, "Name")).to_have_value("Theirs")
        expect(field(page, "Description")).to_have_value("")
        page.get_by_role("button", name="Undo").click()
        expect(field(page, "Description")).to_have_value("Mine")

        assert house.admin.post("/api/v1/models/model/update", json={**other, "name": "Again"}).status_code == 200
        page.get_by_role("button", name=SAVE).click()
        dialog.get_by_role("button", name="Overwrite with mine").click()
        expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    row = stored(house, "shared")
    assert (row["name"], row["meta"]["description"], row["params"]) == ("Shared", "Mine", {"temperature": 0.1})


def test_a_picture_is_cut_and_kept_and_an_svg_is_refused(page, house):
    made(house, "pictured")
    edit(page, "pictured")
    chooser = page.get_by_label("Choose a picture").last
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
    chooser.set_input_files({"name": "a.svg", "mimeType": "image/svg+xml", "buffer": svg})
    expect(page.get_by_role("alert")).to_contain_text("SVG")
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(page.get_by_role("alert")).to_contain_text("could not be read")
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
    dialog = page.get_by_role("dialog", name="Choose the part to show")
    dialog.get_by_label("Left to right").fill("0")
    dialog.get_by_label("Zoom").fill("2")
    assert faults(page) == []
    picture(page, "editor-crop")
    dialog.get_by_role("button", name="Use this part").click()
    expect(page.get_by_role("img", name="Picture of Pictured")).to_be_visible()
    save(page)
    uri = stored(house, "pictured")["meta"]["profile_image_url"]
    assert uri.startswith("data:image/webp;base64,")
    served = house.admin.get("/api/v1/models/model/profile/image", params={"id": "pictured"})
    assert served.content == base64.b64decode(uri.partition(",")[2])
    # Its size, and that the left of the picture was chosen: all of it is red.
    size, colour = page.evaluate(
        """async (uri) => {
          const image = new Image(); image.src = uri; await image.decode();
          const canvas = document.createElement("canvas"); const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return [[image.naturalWidth, image.naturalHeight], [...context.getImageData(200, 125, 1, 1).data]];
        }""",
        uri,
    )
    assert size == [250, 250]
    red, _, blue, _ = colour
    assert (red > 200, blue < 60) == (True, True)
    page.get_by_role("button", name="Reset the picture").click()
    save(page)
    assert "profile_image_url" not in stored(house, "pictured")["meta"]


def test_people_and_groups_get_the_rights_that_were_chosen(page, house):
    ana = person(house, "ana")
    crew = house.admin.post("/api/v1/groups/create", json={"name": "Crew", "description": ""}).json()["id"]
    made(house, "guarded")
    edit(page, "guarded", "&section=access")
    expect(page.get_by_role("heading", name="Access")).to_be_focused()
    expect(page.get_by_role("heading", name="Access")).to_be_in_viewport()
    expect(page.get_by_role("radio", name="Private")).to_be_checked()
    page.get_by_role("radio", name="Chosen").check()
    page.get_by_role("combobox", name="Add a person").fill("an")
    page.get_by_role("option", name="Ana").click()
    page.get_by_role("combobox", name="Add a group").fill("cre")
    page.get_by_role("option", name="Crew").click()
    page.get_by_label("Right of Crew").select_option(label="Can use and change")
    assert faults(page) == []
    picture(page, "editor-access")
    save(page)
    assert stored(house, "guarded")["access_control"] == {
        "read": {"group_ids": [crew], "user_ids": [ana]}, "write": {"group_ids": [crew], "user_ids": []},
    }  # fmt: skip
    # A change of mind before saving brings the list back.
    page.get_by_role("radio", name="Private").check()
    page.get_by_role("radio", name="Chosen").check()
    expect(page.get_by_label("Right of Ana")).to_have_value("read")
    page.get_by_role("button", name="Remove Crew").click()
    save(page)
    assert [grant["principal_id"] for grant in stored(house, "guarded")["access_grants"]] == [ana]
    page.get_by_role("radio", name="Private").check()
    save(page)
    assert stored(house, "guarded")["access_control"] == {}


def test_history_compares_restores_and_forgets(page, house):
    first = made(house, "past", params={"system": "One\nTwo\nThree", "temperature": 0.1}, commit_message="The first")
    second = {"id": "past", "params": {"system": "One\nTwo and a half\nThree"}, "commit_message": "Half more"}
    assert house.admin.post("/api/v1/models/model/update", json=second).status_code == 200
    edit(page, "past")
    field(page, "Description").fill("Now described")
    page.get_by_label("What changed, for the history").fill("Described")
    save(page)
    page.get_by_role("link", name="History").click()
    versions = page.get_by_role("navigation", name="Versions")
    expect(versions.get_by_role("button")).to_have_count(3)
    expect(versions.get_by_role("button").first).to_contain_text("In force")
    versions.get_by_role("button", name="The first").click()
    changed = page.get_by_role("region", name="The first")
    expect(changed).to_contain_text("params.temperature")
    expect(changed.get_by_role("region", name="What differs: params.system")).to_contain_text("and a half")
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


@pytest.fixture(scope="module")
def reader(house: Yard) -> str:
    """Somebody who may only use models."""
    return person(house, "reader")


def test_who_may_only_use_a_model_reads_it_and_changes_nothing(browser, house, reader):
    access = {"read": {"user_ids": [reader], "group_ids": []}}
    made(house, "readable", params={"system": "A secret prompt"}, meta={"tags": ["t"]}, access_control=access)
    made(house, "closed")
    with opened(browser, house.url, expected=("404",)) as page:
        sign_in(page, "reader@example.com", PASSWORD)
        edit(page, "readable")
        expect(page.get_by_text("You may use this model but not change it.")).to_be_visible()
        expect(field(page, "Name")).to_be_disabled()
        expect(page.get_by_role("button", name=SAVE)).to_have_count(0)
        expect(page.get_by_text("A secret prompt")).to_have_count(0)
        expect(page.get_by_role("heading", name="System prompt")).to_have_count(0)
        # Only the links to sections can be pressed.
        form = page.locator("form").first
        enabled = form.locator(":is(button, input, select, textarea):enabled:visible")
        assert enabled.count() == page.get_by_role("navigation", name="Sections").get_by_role("button").count() == 5
        assert faults(page) == []
        picture(page, "editor-read-only")
        page.goto("/models/edit?id=closed")
        expect(page.get_by_role("heading", name="There is no such model")).to_be_visible()
        page.goto("/models/new")
        expect(page.get_by_role("heading", name="Not for you")).to_be_visible()


def test_nobody_is_offered_to_share_what_they_may_not(browser, house):
    maker = person(house, "maker")
    group = {"name": "Makers", "description": "", "permissions": {"workspace": {"models": True}}, "user_ids": [maker]}
    assert house.admin.post("/api/v1/groups/create", json=group).status_code == 200
    opening = {"id": "tiny-llama", "access_control": None}
    assert house.admin.post("/api/v1/models/model/access/update", json=opening).status_code == 200
    with opened(browser, house.url) as page:
        sign_in(page, "maker@example.com", PASSWORD)
        page.goto("/models/new?base=tiny-llama")
        field(page, "Name").fill("Of the maker")
        expect(page.get_by_role("radio", name="Private")).to_be_checked()
        expect(page.get_by_role("radio", name="Public")).to_be_disabled()
        expect(page.get_by_role("radio", name="Chosen")).to_be_disabled()
        save(page, CREATE)
    row = stored(house, "of-the-maker")
    assert (row["user_id"], row["access_control"]) == (maker, {})


def test_what_follows_is_seen_before_it_is_saved(page, house):
    made(house, "previewed", params={"max_tokens": 400})
    edit(page, "previewed")
    field(page, "System prompt").fill("Speak to {{USER_NAME}}.")
    fold_out(page, "Length, thinking and form")
    page.get_by_label("Longest answer", exact=True).fill("9")
    page.get_by_role("tab", name="Effective request").click()
    request = page.get_by_role("region", name="What the backend will be sent")
    expect(request).to_contain_text('"max_tokens": 9')
    expect(request).to_contain_text("Speak to ")
    expect(request).not_to_contain_text("USER_NAME")
    assert faults(page) == []
    picture(page, "editor-request")
    page.get_by_role("tab", name="JSON").click()
    json.loads(page.get_by_role("region", name="What will be saved").inner_text())
    page.get_by_role("tab", name="Changes").click()
    expect(page.get_by_text("params.max_tokens")).to_be_visible()
    assert faults(page) == []
    picture(page, "editor-changes")
    page.get_by_role("tab", name="Chat").click()
    said = page.get_by_role("tabpanel").get_by_role("textbox")
    said.fill("Good morning")
    said.press("Enter")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/chat/completions")) as waited:
        pass
    sent = waited.value.request.post_data_json
    assert sent["model"] == "tiny-llama"
    assert sent["max_tokens"] == 9
    assert sent["messages"][0]["role"] == "system"
    assert waited.value.status == 200
    picture(page, "editor-chat")
    # Nothing of it was saved.
    assert stored(house, "previewed")["params"] == {"max_tokens": 400}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_editor_fits_a_narrow_screen(browser: Browser, house: Yard, theme: str):
    long = "مساعد الشركة " + "ExtraordinarilyLongNameWithoutAnySpace" * 3
    made(house, f"narrow-{theme}", name=long, params={"temperature": 0.5, "stop": ["x"]}, meta={"tags": ["t" * 90]})
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        for address in (f"/models/edit?id=narrow-{theme}", f"/models/history?id=narrow-{theme}"):
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_contain_text("مساعد")
            expect(page.get_by_role("status", name="Loading")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
            assert faults(page) == []
            picture(page, f"editor-narrow-{theme}-{address.split('?')[0].split('/')[-1]}", whole=True)
        page.goto(f"/models/edit?id=narrow-{theme}")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("dialog").get_by_role("tab", name="Chat")).to_be_visible()
        assert faults(page) == []
        picture(page, f"editor-narrow-{theme}-preview")


def test_the_editor_in_the_dark(browser, house):
    made(house, "night", params={"system": "Hello {{USER_NAME}} {{NOBODY}}", "temperature": 5}, access_control=None)
    with opened(browser, house.url, theme="dark") as page:
        sign_in(page, EMAIL, PASSWORD)
        edit(page, "night")
        expect(page.get_by_text("Nobody fills these in")).to_be_visible()
        expect(page.get_by_text("Usual values are from 0 to 2.")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-dark")
        page.set_viewport_size({"width": MIDDLE[0], "height": MIDDLE[1]})
        page.get_by_role("navigation", name="Sections").get_by_role("button", name="Parameters").click()
        expect(page.get_by_role("heading", name="Parameters", exact=True)).to_be_focused()
        expect(page.get_by_role("button", name="Preview")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-dark-middle")


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
        page.get_by_role("button", name=SAVE).click()
        expect(page.get_by_role("alert").filter(has_text="The disk is full.")).to_be_visible()
        expect(field(page, "Description")).to_have_value("Typed")
        picture(page, "editor-failed")
        save(page)
    assert stored(house, "unlucky")["meta"]["description"] == "Typed"
