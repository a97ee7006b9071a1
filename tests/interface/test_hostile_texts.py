"""Every field that somebody else can fill is filled with attacks; then every page is opened. Nothing runs, nothing goes out."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import opened, sign_in, signed_in
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.interface.hostile import ALL, CORPUS, LONG, OVERRIDES, RAN, SHORT, hostile_backend
from tests.yard import Yard, run_yard

PRESET = "victim/preset"
# Where the attack is to be read, once all is there.
HOLDING = {
    "/overview": SHORT, "/models": RAN, "/models/deleted": RAN, "/models/edit": LONG, "/models/history": SHORT,
    "/playground": RAN, "/connections": SHORT, "/keys": SHORT, "/people": SHORT, "/people/groups": SHORT, "/audit": RAN,
    "/yard": RAN,
}  # fmt: skip


def made(answer) -> dict:
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A server whose every name, description, prompt and tag attacks, in front of a backend that does."""
    folder = tmp_path_factory.mktemp("besieged")
    with hostile_backend() as backend, run_yard(folder / "data", ADMINISTRATOR) as yard:
        yard.connect(SHORT, backend, tags=[{"name": SHORT}], prefix_id=None)
        for number, text in enumerate((*CORPUS, OVERRIDES, LONG)):
            form = {
                "id": f"attack-{number}",
                "name": text[:200],
                "base_model_id": "talks",
                "meta": {
                    "description": text,
                    "tags": [{"name": text[:60]}],
                    "suggestion_prompts": [{"title": [text, text], "content": text}],
                    "unknown": {text: text},
                },
                "params": {"system": text, "stop": [text[:30]], "custom_params": {text[:60]: text}},
            }
            made(yard.admin.post("/api/v1/models/create", json=form))
        made(yard.admin.post("/api/v1/models/create", json={"id": PRESET, "name": SHORT, "base_model_id": "thinks"}))
        made(
            yard.admin.post("/api/v1/models/model/update", json={"id": PRESET, "name": LONG, "params": {"system": ALL}})
        )
        group = made(yard.admin.post("/api/v1/groups/create", json={"name": SHORT, "description": ALL}))
        person = {"email": "victim@example.com", "name": SHORT, "password": PASSWORD, "role": "user"}
        user = made(yard.admin.post("/api/v1/users/", json=person))
        yard.admin.post(f"/api/v1/groups/id/{group['id']}/users/add", json={"user_ids": [user["id"]]})
        yard.make_key(name=SHORT)
        assert yard.admin.post("/api/v1/models/model/delete", json={"id": "attack-0"}).status_code == 200
        yield yard


def addresses(yard: Yard) -> list[str]:
    """Every page, with a drawer open where there is one."""
    first = {
        "connections": yard.admin.get("/api/v1/connections").json()["items"][0]["id"],
        "people": yard.admin.get("/api/v1/users/").json()["users"][0]["id"],
        "people/groups": yard.admin.get("/api/v1/groups/").json()[0]["id"],
        "audit": yard.admin.get("/api/v1/audit").json()["items"][0]["id"],
        "models/edit": PRESET,
        "models/history": PRESET,
    }
    plain = ["overview", "models", "models/deleted", "models/new", "models/import", "playground", "connections", "keys", "people",
             "people/groups", "people/permissions", "audit", "settings", "yard", "reference", "account"]  # fmt: skip
    return [f"/{name}" for name in plain] + [f"/{name}?{urlencode({'id': value})}" for name, value in first.items()]


def assert_harmless(page: Page) -> None:
    assert page.evaluate("window.__ran") is None
    inserted = (
        "script:not([src]), iframe, object, embed, base:not([href='/']), [onerror], [onload], [ontoggle], [srcdoc]"
    )
    assert page.locator(inserted).count() == 0
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map((link) => link.href)")
    assert [link for link in links if not link.startswith(("http://127.0.0.1", "https://", "mailto:", "blob:"))] == []


def test_no_page_runs_what_others_wrote(browser, besieged):
    asked: list[str] = []
    with opened(browser, besieged.url) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
        sign_in(page, EMAIL, PASSWORD)
        for address in addresses(besieged):
            page.goto(address)
            expect(page.get_by_role("heading", level=1).first).to_be_visible()
            page.wait_for_load_state("networkidle")
            expect(page.get_by_role("status", name="Loading")).to_have_count(0)
            if text := HOLDING.get(address.partition("?")[0]):
                expect(page.locator("body")).to_contain_text(text)
            assert_harmless(page)
    elsewhere = [url for url in asked if not url.startswith((besieged.url, "data:", "blob:"))]
    assert elsewhere == []


@pytest.mark.parametrize("model", ["talks", "thinks", "fails"])
def test_an_answer_is_only_text(browser, besieged, model):
    expected = ("400",) if model == "fails" else ()
    with opened(browser, besieged.url, expected=expected) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto(f"/playground?model={model}")
        box = page.get_by_role("textbox", name="Message").first
        box.fill(ALL)
        box.press("Enter")
        # All of it has come; the question, which holds the same, was there before.
        expect(page.get_by_text(re.compile(r"^The answer (is complete|failed)\.$"))).to_be_attached()
        expect(page.locator("article").last).to_contain_text(RAN)
        if model != "fails":
            expect(page.locator("article").last.locator("pre code").first).to_be_visible()  # it is Markdown by now
        assert_harmless(page)


def test_an_svg_is_not_taken_as_a_picture(besieged):
    svg = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4="
    form = {"id": PRESET, "meta": {"profile_image_url": svg}}
    assert besieged.admin.post("/api/v1/models/model/update", json=form).status_code == 422
