"""The playground with a real llama.cpp and with a backend that misbehaves on request: streaming, stopping, editing,
comparing, images, tools, samples of code, and its looks."""

import ast
import base64
import os
import re
import subprocess
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import NARROW, WIDE, assert_fits, faults, opened, picture, signed_in, signed_out
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.playground import ask, connect_models, until_done, until_streams
from tests.servers import Scripted
from tests.yard import Yard


@pytest.fixture(scope="module")
def models(house: Yard, upstream: Scripted) -> Yard:
    """The house with the models of these tests."""
    connect_models(house, upstream)
    return house


@pytest.fixture
def at(page: Page, models: Yard) -> Page:
    """A signed-in page, with the models there."""
    return page


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
RICH = """## A plan

Some **bold** words, `code` and [a link](https://example.com/).

- [x] first
- [ ] second

| model | tokens/s |
|:--|--:|
| small | 51.2 |

```python
print("a long line of code that does not fit into a narrow column of the page, so that it has to scroll")
```

> quoted"""


def test_a_real_model_answers_with_its_figures(at):
    at.goto("/playground?model=tiny-llama&prompt=Once")
    expect(at.get_by_label("Message", exact=True).last).to_have_value("Once")
    expect(at).to_have_url(re.compile(r"\?model=tiny-llama$"))
    at.get_by_role("button", name="Parameters").click()
    at.get_by_label("Longest answer").fill("400")
    at.get_by_label("Message", exact=True).last.press("Enter")
    until_done(at)
    figures = at.get_by_label("Figures of the answer")
    expect(figures).to_contain_text("to first token")
    expect(figures).to_contain_text("tokens/s")
    expect(figures).to_contain_text("400 out")
    expect(figures).to_contain_text("Connection openai")
    assert faults(at) == []
    picture(at, "playground-parameters")


def test_stop_keeps_what_came_and_frees_the_backend(at, upstream):
    upstream.reset()
    at.goto("/playground?model=stall")
    ask(at, "hello")
    answer = at.locator("article[aria-busy]")
    expect(answer).to_contain_text("lorem ipsum")
    until_streams(upstream, 1)
    at.get_by_label("Message", exact=True).last.press("Escape")
    expect(at.get_by_text("Stopped. What arrived stays in the conversation.")).to_be_visible()
    expect(answer).to_contain_text("lorem ipsum")
    until_streams(upstream, 0)


def test_a_message_is_edited_and_an_answer_given_again(at):
    at.goto("/playground?model=echo")
    ask(at, "first words")
    until_done(at)
    ask(at, "second words")
    expect(at.locator("article[aria-busy]")).to_have_count(2)
    until_done(at)
    at.get_by_role("button", name="Edit this message").first.click()
    editor = at.get_by_role("textbox", name="Edit this message")
    expect(editor).to_have_value("first words")
    editor.fill("other words")
    at.get_by_role("button", name="Send again").click()
    until_done(at)
    expect(at.locator("article[aria-busy]")).to_have_count(1)
    expect(at.locator("article[aria-busy]")).to_contain_text("other words")
    with at.expect_response("**/v1/chat/completions"):
        at.get_by_role("button", name="Answer again").click()
    until_done(at)
    expect(at.locator("article")).to_have_count(2)


def test_shift_enter_makes_a_line_and_enter_sends(at):
    at.goto("/playground?model=see")
    field = at.get_by_label("Message", exact=True).last
    field.fill("one")
    field.press("Shift+Enter")
    field.press_sequentially("two")
    expect(field).to_have_value("one\ntwo")
    field.press("Enter")
    expect(field).to_have_value("")
    expect(at.get_by_label("You", exact=True)).to_contain_text("one\ntwo")
    until_done(at)


def test_two_models_side_by_side(at):
    at.goto("/playground?models=echo,pace-1")
    expect(at.get_by_role("combobox", name="Model 1")).to_have_value("echo")
    expect(at.get_by_role("combobox", name="Model 2")).to_have_value("Pace 1")
    ask(at, "both of you")
    until_done(at, 2)
    expect(at.get_by_label("Figures of the answer")).to_have_count(2)
    expect(at.get_by_role("region", name="Conversation with echo")).to_contain_text("both of you")
    expect(at.get_by_role("region", name="Conversation with Pace 1")).to_contain_text("lorem ipsum")
    assert faults(at) == []
    at.get_by_role("button", name="Compare with another model").click()
    expect(at.get_by_role("combobox", name="Model 3")).to_be_visible()
    at.get_by_role("button", name="Remove echo").click()
    expect(at.get_by_role("combobox", name="Model 3")).to_have_count(0)
    expect(at.get_by_role("combobox", name="Model 1")).to_have_value("Pace 1")
    expect(at.get_by_role("region", name="Conversation with Pace 1")).to_contain_text("lorem ipsum")


def test_another_model_is_picked(at):
    at.goto("/playground?model=echo")
    at.get_by_role("combobox", name="Model 1").click()
    expect(at.get_by_role("option").first).to_be_visible()  # what is clicked first gives way to what has the list
    at.get_by_role("combobox", name="Model 1").press_sequentially("pace 2")
    at.get_by_role("option", name="Pace 2").click()
    expect(at).to_have_url(re.compile(r"\?model=pace-2$"))
    ask(at, "now you")
    until_done(at)
    expect(at.locator("article[aria-busy]")).to_contain_text("lorem ipsum")


def test_thinking_is_folded_and_tools_go_on_with_typed_results(at):
    at.goto("/playground?model=thinking")
    ask(at, "why")
    until_done(at)
    thought = at.get_by_text("Let me think. The user wants an answer.")
    expect(thought).to_be_hidden()
    at.get_by_text("Thinking", exact=True).click()
    expect(thought).to_be_visible()
    at.goto("/playground?model=tool-loop")
    at.get_by_role("button", name="New conversation").click()
    at.get_by_role("button", name="Parameters").click()
    tools = at.get_by_label("Tools")
    tools.fill("[1]")
    expect(at.get_by_text("This must be a JSON list of objects")).to_be_visible()
    at.get_by_label("Message", exact=True).last.fill("weather?")
    expect(at.get_by_role("button", name="Send")).to_be_disabled()
    tools.fill('[{"type": "function", "function": {"name": "look_outside", "parameters": {"type": "object"}}}]')
    at.get_by_label("Message", exact=True).last.press("Enter")
    expect(at.get_by_label("Arguments of look_outside")).to_contain_text('"city": "Zürich",\n  "days": 3')
    at.get_by_label("Result of look_outside").fill("Sun and 24 degrees")
    picture(at, "playground-tools")
    assert faults(at) == []
    at.get_by_role("button", name="Send results").click()
    expect(at.get_by_text("The tools said: Sun and 24 degrees")).to_be_visible()


def test_images_are_added_pasted_and_sent(at):
    at.goto("/playground?model=see")
    file = {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}
    at.locator("input[type=file]").set_input_files([file])
    expect(at.get_by_role("button", name="Remove dot.png")).to_be_visible()
    at.evaluate(
        """([bytes, width]) => {
            const put = (file, type) => {
                const data = new DataTransfer();
                data.items.add(file);
                const field = document.querySelector("form textarea");
                field.dispatchEvent(type === "paste"
                    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
                    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
            };
            put(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }), "paste");
            const canvas = new OffscreenCanvas(width, 30);
            canvas.getContext("2d").fillRect(0, 0, width, 30);
            return canvas.convertToBlob({ type: "image/png" }).then((blob) =>
                put(new File([blob], "dropped.png", { type: "image/png" }), "drop"));
        }""",
        [list(PIXEL), 4000],
    )
    expect(at.get_by_role("button", name="Remove pasted.png")).to_be_visible()
    expect(at.get_by_role("button", name="Remove dropped.png")).to_be_visible()
    width = "async image => { await image.decode(); return image.naturalWidth; }"
    assert at.get_by_alt_text("dropped.png").evaluate(width) == 2048
    assert faults(at) == []
    ask(at, "what is it")
    until_done(at)
    expect(at.locator("article[aria-busy]")).to_contain_text('"media_type":"image/png"')
    expect(at.get_by_label("You", exact=True).get_by_role("img")).to_have_count(3)
    picture(at, "playground-images")
    at.locator("input[type=file]").set_input_files([{**file, "name": "x.svg", "mimeType": "image/svg+xml"}])
    expect(at.get_by_text("x.svg is not a PNG, JPEG, WebP or GIF image.")).to_be_visible()
    at.locator("input[type=file]").set_input_files([{**file, "name": "bad.png", "buffer": b"no image"}])
    expect(at.get_by_text("bad.png could not be read as an image.")).to_be_visible()


def test_a_model_without_sight_says_so_and_offers_beginnings(at):
    at.goto("/playground?model=guide")
    at.get_by_role("button", name="This model does not take images.").click(force=True)
    expect(at.get_by_role("status").get_by_text("This model does not take images.")).to_be_visible()
    at.get_by_role("button", name="Tell me a story").click()
    expect(at.get_by_label("Message", exact=True).last).to_have_value("Tell me a story")
    picture(at, "playground-empty")
    assert faults(at) == []


def test_the_conversation_survives_a_reload(at):
    at.goto("/playground?models=echo,see")
    ask(at, "remember this")
    until_done(at, 2)
    at.get_by_label("Message", exact=True).last.fill("half a thou")
    at.reload()
    expect(at.get_by_label("Message", exact=True).last).to_have_value("half a thou")
    expect(at.get_by_role("region", name="Conversation with echo").locator("article[aria-busy]")).to_contain_text(
        "remember this"
    )
    at.get_by_role("button", name="New conversation").click()
    expect(at.locator("article")).to_have_count(0)
    at.reload()
    expect(at.get_by_label("Message", exact=True).last).to_be_visible()
    expect(at.locator("article")).to_have_count(0)


def test_leaving_the_page_ends_the_answer_and_keeps_what_came(at, upstream):
    upstream.reset()
    at.goto("/playground?model=stall")
    ask(at, "hello")
    expect(at.locator("article[aria-busy]")).to_contain_text("lorem ipsum")
    at.get_by_role("link", name="Models").click()
    expect(at.get_by_role("heading", name="Models", level=1)).to_be_visible()
    until_streams(upstream, 0)
    at.get_by_role("link", name="Playground").click()
    expect(at.locator("article[aria-busy]")).to_contain_text("lorem ipsum")
    expect(at.get_by_text("Stopped. What arrived stays in the conversation.")).to_be_visible()
    at.get_by_role("button", name="Sign out").click()
    signed_out(at)
    assert at.evaluate("Object.keys(sessionStorage).filter((name) => name.includes('playground'))") == []


ODD = "it's \"quoted\" `id` $HOME $(id) \\ \\n\n'; exit 1 # 日本語 👩\u200d👧 \u2028"


def test_the_samples_of_code_run_as_shown(at, models):
    at.goto(f"/playground?model=echo&prompt={quote(ODD)}")
    expect(at.get_by_label("Message", exact=True).last).to_have_value(ODD)
    at.get_by_role("button", name="Show as code").click()
    code = at.get_by_role("region", name="The request in")
    curl = code.text_content() or ""
    assert models.base_url in curl
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "MODELYARD_API_KEY": models.make_key()}
    done = subprocess.run(
        ["bash", "-c", curl], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert "data: [DONE]" in done.stdout
    picture(at, "playground-code")
    assert faults(at) == []
    at.get_by_label("Language").select_option("Python")
    expect(code).to_contain_text("from openai import OpenAI")
    calls = [node for node in ast.walk(ast.parse(code.text_content() or "")) if isinstance(node, ast.Call)]
    create = next(call for call in calls if getattr(call.func, "attr", "") == "create")
    told = {str(word.arg): ast.literal_eval(word.value) for word in create.keywords}
    assert told["messages"] == [{"role": "user", "content": ODD}]
    at.get_by_label("Language").select_option("JavaScript")
    expect(code).to_contain_text("baseURL")


def test_the_page_scrolls_along_only_at_the_bottom(at):
    at.set_viewport_size({"width": 600, "height": 420})
    at.goto("/playground?model=pace-1")
    ask(at, "long one")
    log = at.get_by_role("log").element_handle()
    # What comes is first drawn, then scrolled to.
    at.wait_for_function(
        "box => box.scrollTop > 100 && box.scrollHeight - box.scrollTop - box.clientHeight < 40", arg=log
    )
    # In one step, because more text may come at any moment: the page knows of it when the event has been told.
    log.evaluate(
        "box => new Promise((told) => { box.addEventListener('scroll', told, { once: true }); box.scrollTo(0, 0); })"
    )
    at.evaluate("box => { box.scrollTop = 0; }", log)
    until_done(at)
    assert log.evaluate("box => box.scrollTop") < 5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("size", "width"), [(WIDE, "wide"), (NARROW, "narrow")])
def test_it_looks_right(browser, models, theme, size, width):
    with opened(browser, models.url, theme=theme) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto("/playground?model=echo")
        ask(page, RICH)
        until_done(page)
        expect(page.get_by_role("table")).to_be_visible()  # it is Markdown by now
        picture(page, f"playground-one-{width}-{theme}")
        assert faults(page) == []
        page.goto("/playground?models=echo,pace-1,guide,tiny-llama")
        page.get_by_role("button", name="New conversation").click()
        page.get_by_role("button", name="Parameters").click()
        page.get_by_label("Longest answer").fill("40")
        picture(page, f"playground-parameters-{width}-{theme}")
        assert faults(page) == []
        if width == "narrow":
            page.get_by_role("dialog").get_by_role("button", name="Close").click()
        else:
            page.get_by_role("button", name="Parameters").click()
        ask(page, RICH)
        until_done(page, 4)
        picture(page, f"playground-four-{width}-{theme}")
        assert_fits(page)
        assert faults(page) == []
        if width == "narrow":
            page.get_by_role("button", name="Pace 1", exact=True).click()
            expect(page.get_by_role("region", name="Conversation with Pace 1")).to_be_visible()


def test_what_was_begun_with_a_model_goes_on_with_it(browser, models):
    """Also when another one becomes the default meanwhile, and when the page is left."""
    form = {"name": "Second", "email": "second@example.com", "password": PASSWORD, "role": "admin"}
    person = models.admin.post("/api/v1/users/", json=form).json()
    before = models.admin.get("/api/v1/configs/models").json()

    def default(model: str) -> None:
        answer = models.admin.post("/api/v1/configs/models", json={**before, "DEFAULT_MODELS": model})
        assert answer.status_code == 200, answer.text

    default("echo")
    with opened(browser, models.url) as page:
        signed_in(page, form["email"], PASSWORD)
        page.goto("/playground")
        ask(page, "first")
        until_done(page)
        default("pace-1")
        models.admin.patch(f"/api/v1/users/{person['id']}", json={"name": "Looked up again"}).raise_for_status()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("link", name="Looked up again")).to_be_visible()
        expect(page.get_by_role("combobox", name="Model")).to_have_value("echo")
        page.get_by_role("link", name="Keys").click()
        expect(page.get_by_role("heading", name="Keys", level=1)).to_be_visible()
        page.get_by_role("link", name="Playground").click()
        expect(page.get_by_role("log")).to_contain_text("first")
        with page.expect_request("**/v1/chat/completions") as asked:
            ask(page, "second")
        assert asked.value.post_data_json["model"] == "echo"
        page.get_by_role("button", name="New conversation").click()
        expect(page.get_by_role("combobox", name="Model")).to_have_value("Pace 1")
    models.admin.post("/api/v1/configs/models", json=before).raise_for_status()
    models.admin.delete(f"/api/v1/users/{person['id']}").raise_for_status()
