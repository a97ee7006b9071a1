"""The fields of the editor: each as the API has it afterwards, and nothing lost that the form does not know."""

import base64
import re
import struct
import zlib

from playwright.sync_api import expect

from tests.interface.browser import faults, opened, picture, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.editor import (
    CREATE,
    SAVE,
    add_chip,
    choose_state,
    edit,
    field,
    fold_out,
    label_of,
    made,
    person,
    save,
    stored,
)

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
    fold_out(page, "Length, thinking and format")
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
    page.get_by_role("textbox", name="Prompt", exact=True).fill("Tell me a story of the sea.")
    fold_out(page, "IDs from a chat application")
    add_chip(page, "Knowledge", "charts")
    add_chip(page, "Tools", "compass")
    add_chip(page, "Filters", "parrot", "crow")
    add_chip(page, "Filters on by default", "parrot")
    add_chip(page, "Actions", "sing")
    # A base of OpenAI's dialect counts tokens in a stream when it is asked to.
    expect(page.get_by_role("checkbox", name="Usage")).to_be_checked()
    page.get_by_role("checkbox", name="Vision").uncheck()
    page.get_by_role("checkbox", name="Web search", exact=True).check()
    page.get_by_role("radio", name="Public Everyone").check()
    page.get_by_role("switch", name="Hidden").click()
    expect(page.get_by_label(re.compile("^What changed"))).to_have_count(0)
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
    assert len(versions) == 1

    # The form reads it back as it was saved: nothing has changed, and nothing is asked on leaving.
    page.reload()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=SAVE, exact=True)).to_be_disabled()
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
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models/new?base=tiny-llama")
        expect(page.get_by_role("combobox", name="Base model")).to_have_value("tiny-llama")
        expect(page.get_by_role("button", name=CREATE, exact=True)).to_be_disabled()
        field(page, "ID").fill("take n")
        expect(page.get_by_text("An ID cannot contain spaces")).to_be_visible()
        page.get_by_role("button", name=CREATE, exact=True).click()
        expect(page.get_by_text("Give the model a name.")).to_be_visible()
        expect(field(page, "Name")).to_be_focused()
        field(page, "ID").fill("taken")
        expect(page.get_by_text("An ID cannot contain spaces")).to_have_count(0)
        field(page, "Name").fill("Something else")
        expect(field(page, "ID")).to_have_value("taken")
        page.get_by_role("button", name=CREATE, exact=True).click()
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
    # The server tells tags apart by neither case nor space; what it made of them is what the form has then.
    add_chip(page, "Tags", "Sea", "SEA")
    save(page, CREATE)
    row = stored(house, "original-clone")
    expect(page).to_have_url(re.compile(r"/models/edit\?id=original-clone"))
    page.reload()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert (row["name"], row["params"], row["access_control"]) == ("Original (Clone)", {"system": "Hello"}, {})


def test_a_base_that_is_offline_stays(browser, house):
    made(house, "orphan", base_model_id=OFFLINE)
    with opened(browser, house.url, expected=("status of 404",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        edit(page, "orphan")
        expect(page.get_by_text("Offline: no connection offers this model")).to_be_visible()
        picture(page, "editor-offline-base")
        page.get_by_role("tab", name="Effective request").click()
        told = f"The base model {OFFLINE} is offline and cannot answer."
        expect(page.get_by_role("alert")).to_contain_text(told)
        page.get_by_role("tab", name="Chat").click()
        said = page.get_by_role("tabpanel").get_by_role("textbox")
        said.fill("Hello")
        said.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(told)
        field(page, "Description").fill("Waits for its base.")
        save(page)
    row = stored(house, "orphan")
    assert (row["base_model_id"], row["meta"]["description"]) == (OFFLINE, "Waits for its base.")


def test_settings_of_a_base_model_are_an_override_without_a_base(browser, house):
    with opened(browser, house.url, expected=("404",)) as page:  # it has no row of its own yet
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/models/edit?id=tiny-llama")
        expect(page.get_by_text("Settings of a base model")).to_be_visible()
        expect(field(page, "ID")).to_have_value("tiny-llama")
        expect(page.get_by_role("combobox", name="Base model")).to_have_count(0)
        field(page, "Description").fill("Small.")
        save(page, CREATE)
        page.goto("/models/edit?id=neither-row-nor-base")
        expect(page.get_by_role("heading", name="Model not found")).to_be_visible()
        assert faults(page) == []
        picture(page, "editor-unknown")
    row = stored(house, "tiny-llama")
    assert (row["base_model_id"], row["meta"]["description"], row["access_control"]) == (None, "Small.", {})


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


def test_tags_that_are_pasted_are_taken_apart(page, house):
    made(house, "tagged", meta={"tags": ["two"]})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    edit(page, "tagged")
    page.evaluate("navigator.clipboard.writeText('ne, two,two\\nthree ,, one')")
    tags = page.get_by_role("combobox", name=label_of("Tags"))
    tags.press_sequentially("o")
    tags.press("Control+v")
    for name in ("two", "one", "three"):
        expect(page.get_by_role("button", name=f"Remove {name}", exact=True)).to_have_count(1)
    tags.fill("four,five, four")
    tags.press("Enter")
    save(page)
    assert [tag["name"] for tag in stored(house, "tagged")["meta"]["tags"]] == ["two", "one", "three", "four", "five"]


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
    picture(page, "editor-access")
    # A field that is half behind the bar at the bottom is no fault.
    page.set_viewport_size({"width": 1440, "height": 4000})
    assert faults(page) == []
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


def test_nobody_is_offered_to_share_what_they_may_not(browser, house):
    maker = person(house, "maker")
    group = {"name": "Makers", "description": "", "permissions": {"workspace": {"models": True}}, "user_ids": [maker]}
    assert house.admin.post("/api/v1/groups/create", json=group).status_code == 200
    opening = {"id": "tiny-llama", "access_control": None}
    assert house.admin.post("/api/v1/models/model/access/update", json=opening).status_code == 200
    with opened(browser, house.url) as page:
        signed_in(page, "maker@example.com", PASSWORD)
        page.goto("/models/new?base=tiny-llama")
        field(page, "Name").fill("Of the maker")
        expect(page.get_by_role("radio", name="Private")).to_be_checked()
        expect(page.get_by_role("radio", name="Public")).to_be_disabled()
        expect(page.get_by_role("radio", name="Chosen")).to_be_disabled()
        save(page, CREATE)
    row = stored(house, "of-the-maker")
    assert (row["user_id"], row["access_control"]) == (maker, {})
