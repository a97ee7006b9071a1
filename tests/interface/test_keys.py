"""Keys in the browser: made, seen once, used, rotated, changed and deleted; and what an ordinary person sees of it."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.interface.browser import MIDDLE, NARROW, WIDE, assert_fits, faults, opened, picture, sign_in, signed_in
from tests.interface.conftest import EMAIL, PASSWORD
from tests.interface.names import HOSTILE

PLAIN = "plain@example.com"


@pytest.fixture
def nothing(house):
    """No keys but those that the environment declares."""
    for key in house.admin.get("/api/v1/keys").json()["items"]:
        if key["source"] == "database":
            house.admin.delete(f"/api/v1/keys/{key['id']}").raise_for_status()


def create(page: Page, name: str) -> str:
    """A key made through the form, with what it has by default; the key itself."""
    page.get_by_role("button", name="New key").first.click()
    drawer = page.get_by_role("dialog", name="New key")
    drawer.get_by_label("Name").fill(name)
    drawer.get_by_role("button", name="Create").click()
    return secret_of(page)


def secret_of(page: Page) -> str:
    shown = page.get_by_role("dialog", name="Your new key")
    secret = shown.get_by_label("The key", exact=True).inner_text()
    shown.get_by_role("button", name="Copy the key").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_be_hidden()
    return secret


def listed(house, name: str) -> dict:
    return next(key for key in house.admin.get("/api/v1/keys").json()["items"] if key["name"] == name)


def status(house, key: str, path: str = "/v1/models") -> int:
    with house.client(key) as client:
        return client.get(path).status_code


def test_a_key_is_made_seen_once_and_works(house, page, nothing):
    page.goto("/keys")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New key").first.click()
    drawer = page.get_by_role("dialog", name="New key")
    expect(drawer.get_by_role("button", name="Create")).to_be_disabled()
    drawer.get_by_label("Name").fill("agent")
    models = drawer.get_by_role("combobox", name="Models")
    models.fill("tiny")
    page.get_by_role("option", name="tiny-llama").click()
    drawer.get_by_label("Expires").select_option("In 90 days")
    drawer.get_by_label("Calls", exact=True).fill("60")
    drawer.get_by_label("Calls at once").fill("4")
    assert faults(page) == []
    picture(page, "keys-new")
    drawer.get_by_role("button", name="Create").click()

    shown = page.get_by_role("dialog", name="Your new key")
    secret = shown.get_by_label("The key", exact=True).inner_text()
    expect(shown.get_by_label("Command that tries the key")).to_contain_text(f"curl {house.url}/v1/models")
    picture(page, "keys-made")
    assert faults(page) == []
    shown.get_by_role("button", name="Done").click()
    expect(shown.get_by_role("alert")).to_contain_text("cannot be shown again")
    shown.get_by_role("button", name="Copy the key").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_be_hidden()

    row = page.get_by_role("row", name="agent")
    expect(row).to_contain_text("Active")
    assert secret not in page.content()
    assert status(house, secret) == 200
    key = listed(house, "agent")
    assert key["models"] == ["tiny-llama"]
    assert (key["limits"]["rpm"], key["limits"]["tpm"], key["limits"]["concurrency"]) == (60, None, 4)
    assert key["expires_at"] - key["created_at"] == pytest.approx(90 * 86_400, abs=120)


def test_what_was_typed_is_not_lost_by_a_slip(page, nothing):
    page.goto("/keys?new=1")
    drawer = page.get_by_role("dialog", name="New key")
    drawer.get_by_label("Name").fill("half done")
    page.keyboard.press("Escape")
    asked = page.get_by_role("dialog", name="Leave without saving?")
    asked.get_by_role("button", name="Stay").click()
    expect(asked).to_have_count(0)
    expect(drawer.get_by_label("Name")).to_have_value("half done")
    page.keyboard.press("Escape")
    asked.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_key_is_rotated_with_an_overlap_then_without(house, page, nothing):
    page.goto("/keys")
    first = create(page, "turning")
    page.get_by_role("button", name="Actions for turning").click()
    page.get_by_role("menuitem", name="Rotate").click()
    dialog = page.get_by_role("dialog", name="Rotate turning")
    dialog.get_by_label("The old key stops working").select_option("In 1 hour")
    picture(page, "keys-rotate")
    assert faults(page) == []
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("The old key works until")).to_be_visible()
    second = secret_of(page)
    assert first != second
    assert status(house, first) == status(house, second) == 200
    expect(page.get_by_role("row", name="turning")).to_have_count(2)
    expect(page.get_by_role("row", name="Being replaced")).to_have_count(1)
    # The old one is deleted; then the new one is rotated at once.
    page.get_by_role("row", name="Being replaced").get_by_role("button", name="Actions for turning").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog", name="Delete “turning”?").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="turning")).to_have_count(1)
    assert status(house, first) == 401
    page.get_by_role("button", name="Actions for turning").click()
    page.get_by_role("menuitem", name="Rotate").click()
    dialog.get_by_label("The old key stops working").select_option("At once")
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("The old key has stopped working.")).to_be_visible()
    third = secret_of(page)
    assert (status(house, second), status(house, third)) == (401, 200)
    page.get_by_label("State").select_option("Expired")
    expect(page).to_have_url(house.url + "/keys?state=expired")
    expect(page.get_by_role("row", name="turning")).to_have_count(1)


def test_a_key_is_changed_and_deleted(house, page, nothing):
    secret = house.make_key(name="old name", limits={"rpm": 5})
    page.goto("/keys")
    page.get_by_role("button", name="old name", exact=True).click()
    drawer = page.get_by_role("dialog", name="old name")
    save = drawer.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    drawer.get_by_label("Name").fill("new name")
    drawer.get_by_label("Calls", exact=True).fill("0")
    expect(save).to_be_enabled()
    drawer.get_by_label("Calls", exact=True).fill("7")
    drawer.get_by_label("Tokens").fill("1000")
    drawer.get_by_label("Ollama").check()
    assert faults(page) == []
    picture(page, "keys-edit")
    save.click()
    expect(drawer).to_be_hidden()
    key = listed(house, "new name")
    assert (key["limits"]["rpm"], key["limits"]["tpm"], key["dialects"]) == (7, 1000, ["ollama"])
    page.get_by_role("button", name="new name", exact=True).click()
    page.get_by_role("dialog", name="new name").get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog", name="Delete “new name”?")
    expect(asked).to_contain_text("cannot come back")
    picture(page, "keys-delete")
    asked.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="new name", exact=True)).to_be_hidden()
    assert status(house, secret) == 401


def test_a_key_tells_when_it_was_last_used(house, page, nothing):
    house.make_key(name="idle")
    with house.client(house.make_key(name="busy")) as client:
        ask = {"model": "tiny-llama", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        before = sum(item["calls"] for item in house.usage("key").values())
        assert client.post("/v1/chat/completions", json=ask).status_code == 200
    house.wait_for_calls(before + 1, 60)
    page.goto("/keys")
    expect(page.get_by_role("columnheader", name="Last used")).to_be_visible()
    expect(page.get_by_role("row", name="idle")).to_contain_text("Not in 30 days")
    expect(page.get_by_role("row", name="busy").locator("time")).to_be_visible()
    declared = next(one for one in house.admin.get("/api/v1/keys").json()["items"] if one["source"] == "environment")
    expect(page.get_by_role("row", name=declared["name"])).to_contain_text("environment")


def test_a_change_leaves_what_somebody_else_changed_meanwhile(house, page, nothing):
    house.make_key(name="shared key", limits={"rpm": 5})
    page.goto("/keys")
    page.get_by_role("button", name="shared key", exact=True).click()
    drawer = page.get_by_role("dialog", name="shared key")
    drawer.get_by_label("Name").fill("renamed key")
    key = listed(house, "shared key")
    house.admin.patch(f"/api/v1/keys/{key['id']}", json={"limits": {"rpm": 9}}).raise_for_status()
    drawer.get_by_role("button", name="Save").click()
    expect(drawer).to_be_hidden()
    assert listed(house, "renamed key")["limits"]["rpm"] == 9


def test_the_new_key_is_shown_although_the_list_cannot_be_had(house, browser, nothing):
    with opened(browser, house.url, expected=("status of 503",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/keys")
        expect(page.get_by_role("table")).to_be_visible()

        def refuse(route):
            if route.request.method == "GET":
                route.fulfill(status=503, json={"detail": "Not now."})
            else:
                route.continue_()

        page.route("**/api/v1/keys", refuse)
        assert status(house, create(page, "seen")) == 200
        # What was had before stays below what went wrong.
        expect(page.get_by_role("alert").filter(has_text="Not now.")).to_be_visible()
        expect(page.get_by_role("table")).to_be_visible()


def test_a_key_that_has_expired_says_so_and_is_refused(house, page, nothing):
    secret = house.make_key(name="short", expires_at=int(time.time()) + 3600)
    page.goto("/keys")
    expect(page.get_by_role("row", name="short")).to_contain_text("Active")
    # Its end is brought near once that was seen: the server takes no end that has passed.
    ends = int(time.time()) + 5
    near = house.admin.patch(f"/api/v1/keys/{listed(house, 'short')['id']}", json={"expires_at": ends})
    assert near.status_code == 200, near.text
    page.wait_for_function("ends => Date.now() / 1000 > ends", arg=ends)
    assert status(house, secret) == 401
    page.reload()
    expect(page.get_by_role("row", name="short")).to_contain_text("Expired")
    page.get_by_role("button", name="Actions for short").click()
    expect(page.get_by_role("menuitem", name="Rotate")).to_be_disabled()


def test_an_administrator_makes_a_key_for_a_service_account(house, page, nothing):
    form = {"email": "builds@example.com", "name": "Builds", "kind": "service", "role": "user"}
    user = house.admin.post("/api/v1/users/", json=form).json()["id"]
    page.goto("/keys?new=1")
    drawer = page.get_by_role("dialog", name="New key")
    owner = drawer.get_by_role("combobox", name="Owner")
    owner.fill("builds")
    page.get_by_role("option", name="Builds").click()
    drawer.get_by_label("Name").fill("for builds")
    drawer.get_by_role("button", name="Create").click()
    secret = secret_of(page)
    assert listed(house, "for builds")["user_id"] == user
    with house.client(secret) as client:
        assert client.get("/api/v1/auths/").json()["email"] == "builds@example.com"
    expect(page.get_by_role("row", name="for builds")).to_contain_text("Builds")


def test_a_plain_person_sees_and_makes_only_their_own(house, browser, nothing):
    form = {"email": PLAIN, "name": "Plain", "role": "user", "password": PASSWORD}
    user = house.admin.post("/api/v1/users/", json=form).json()["id"]
    house.make_key(name="somebody else's")
    given = house.admin.post("/api/v1/keys", json={"name": "given", "user_id": user, "limits": {"rpm": 3}}).json()
    with opened(browser, house.url, expected=("/api/v1/keys/", "status of 403")) as page:
        sign_in(page, PLAIN, PASSWORD)
        # Without the permission there is no place in the navigation, and nothing to make; what is theirs can go.
        expect(page.get_by_role("link", name="Keys")).to_be_hidden()
        page.goto("/keys")
        expect(page.get_by_role("row", name="given")).to_be_visible()
        expect(page.get_by_role("row", name="somebody else's")).to_be_hidden()
        expect(page.get_by_role("button", name="New key")).to_be_hidden()
        expect(page.get_by_role("columnheader", name="Owner")).to_be_hidden()
        house.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": True}})
        try:
            page.reload()
            page.get_by_role("button", name="given", exact=True).click()
            drawer = page.get_by_role("dialog", name="given")
            drawer.get_by_label("Calls", exact=True).fill("9")
            drawer.get_by_role("button", name="Save").click()
            expect(drawer.get_by_role("alert")).to_contain_text("only an administrator may raise")
            drawer.get_by_label("Calls", exact=True).fill("2")
            drawer.get_by_role("button", name="Save").click()
            expect(drawer).to_be_hidden()
            assert listed(house, "given")["limits"]["rpm"] == 2
            secret = create(page, "mine")
            assert listed(house, "mine")["user_id"] == user
            assert status(house, secret) == 200
        finally:
            house.admin.post("/api/v1/users/default/permissions", json={"features": {"api_keys": False}})
    assert given["user_id"] == user


def test_an_address_of_a_key_that_is_gone_says_so(page, nothing):
    page.goto("/keys?id=nowhere")
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("There is no such key")
    assert faults(page) == []
    drawer.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r"/keys$"))


def test_the_page_is_not_for_those_who_may_have_no_keys(house, browser, nothing):
    form = {"email": "keyless@example.com", "name": "Keyless", "role": "user", "password": PASSWORD}
    house.admin.post("/api/v1/users/", json=form).raise_for_status()
    with opened(browser, house.url) as page:
        signed_in(page, "keyless@example.com", PASSWORD)
        page.goto("/keys")
        expect(page.get_by_role("heading", name="You don't have access to this page")).to_be_visible()
        expect(page.get_by_role("button", name="New key")).to_have_count(0)
        assert faults(page) == []


def test_hostile_names_stay_names(house, page, nothing):
    for name in HOSTILE:
        house.make_key(name=name[:100])
    page.goto("/keys")
    expect(page.get_by_role("row")).to_have_count(len(HOSTILE) + 2)
    assert page.evaluate("window.hit") is None
    page.get_by_role("button", name=HOSTILE[0][:100], exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0][:20])
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_full_and_narrow(house, browser, nothing, theme):
    for number in range(4):
        house.make_key(name=f"agent {number}", limits={"rpm": 60, "tpm": 100_000, "concurrency": 4})
    for name in HOSTILE:
        house.make_key(name=name[:100], models=["tiny-llama"])
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        for (width, height), label in ((WIDE, "wide"), (MIDDLE, "middle"), (NARROW, "narrow")):
            page.set_viewport_size({"width": width, "height": height})
            page.goto("/keys")
            expect(page.get_by_role("row", name="agent 0")).to_be_visible()
            assert_fits(page)
            assert faults(page) == []
            picture(page, f"keys-full-{label}-{theme}")
        page.goto("/keys?new=1")
        expect(page.get_by_role("dialog", name="New key")).to_be_visible()
        picture(page, f"keys-new-narrow-{theme}")


def test_a_dead_list_is_told_in_its_place(house, browser):
    with opened(browser, house.url, expected=("status of 400",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/api/v1/keys", lambda route: route.fulfill(status=400, json={"detail": "The disk is full."}))
        page.goto("/keys")
        expect(page.get_by_role("alert")).to_contain_text("The disk is full.")
        picture(page, "keys-error")
        page.unroute("**/api/v1/keys")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("table")).to_be_visible()


def test_a_key_is_deleted_from_its_drawer_without_another_question(house, page, nothing):
    house.make_key(name="going")
    page.goto("/keys")
    page.get_by_role("button", name="going", exact=True).click()
    drawer = page.get_by_role("dialog", name="going")
    drawer.get_by_label("Name").fill("not saved")
    drawer.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete “going”?").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(house.url + "/keys")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_is_saved_does_not_wait_for_the_list(house, page, nothing):
    house.make_key(name="slow list")
    page.goto("/keys")
    page.get_by_role("button", name="slow list", exact=True).click()
    drawer = page.get_by_role("dialog", name="slow list")
    drawer.get_by_label("Name").fill("renamed")
    held = []

    def hold(route):
        if route.request.method == "GET":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/keys", hold)
    drawer.get_by_role("button", name="Save").click()
    expect(drawer).to_be_hidden()
    expect(page).to_have_url(house.url + "/keys")
    for route in held:
        route.continue_()
    page.unroute("**/api/v1/keys")
    expect(page.get_by_role("button", name="renamed", exact=True)).to_be_visible()
