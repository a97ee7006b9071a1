"""People, groups and permissions in the browser, and the matrix that tells why somebody may or may not."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.interface.browser import (
    MIDDLE,
    NARROW,
    WIDE,
    assert_fits,
    faults,
    opened,
    picture,
    sign_in,
    signed_in,
    signed_out,
)
from tests.interface.conftest import ADMINISTRATOR, EMAIL, PASSWORD
from tests.interface.names import HOSTILE
from tests.yard import run_yard

USERS, GROUPS = "/api/v1/users/", "/api/v1/groups"


@pytest.fixture(autouse=True)
def nobody(house):
    """No people but the administrator, no groups, the product's defaults."""
    yield
    for user in house.admin.get(USERS, params={"limit": 1000}).json()["items"]:
        if user["source"] == "database" and user["email"] != EMAIL:
            house.admin.delete(USERS + user["id"]).raise_for_status()
    for group in house.admin.get(GROUPS + "/").json():
        house.admin.delete(f"{GROUPS}/id/{group['id']}/delete").raise_for_status()
    house.admin.post(USERS + "default/permissions", json={"features": {"api_keys": False}, "chat": {"share": True}})


def person(house, name: str, **form) -> str:
    form = {"name": name, "email": f"{name.split(maxsplit=1)[0].lower()}@example.com", "role": "user", **form}
    answer = house.admin.post(USERS, json=form)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def group(house, name: str, **form) -> str:
    answer = house.admin.post(GROUPS + "/create", json={"name": name, **form})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def users(house) -> dict[str, dict]:
    return {user["name"]: user for user in house.admin.get(USERS, params={"limit": 1000}).json()["items"]}


def choose(page: Page, label: str, text: str, option: str) -> None:
    page.get_by_role("combobox", name=label).fill(text)
    page.get_by_role("option", name=option).first.click()


def copied(shown: Locator) -> None:
    """The password, which Done alone would not let go. The browser takes a moment to copy it."""
    shown.get_by_role("button", name="Copy the password").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()


def signs_in(house, email: str, password: str) -> int:
    with house.client(None) as client:
        return client.post("/api/v1/auths/signin", json={"email": email, "password": password}).status_code


def test_a_person_who_waits_is_approved_and_that_can_be_undone(house, page):
    person(house, "Ada Waiting", role="pending")
    page.goto("/people")
    panel = page.get_by_role("region", name="1 person is waiting for approval")
    expect(panel).to_contain_text("Ada Waiting")
    assert faults(page) == []
    picture(page, "people-waiting")
    panel.get_by_role("button", name="Approve Ada Waiting").click()
    expect(panel).to_be_hidden()
    assert users(house)["Ada Waiting"]["role"] == "user"
    page.get_by_role("button", name="Undo").click()
    expect(panel).to_be_visible()
    assert users(house)["Ada Waiting"]["role"] == "pending"


def test_a_person_who_waits_is_declined_after_a_question(house, page):
    person(house, "Eve Waiting", role="pending")
    page.goto("/people")
    panel = page.get_by_role("region", name="1 person is waiting for approval")
    panel.get_by_role("button", name="Decline Eve Waiting").click()
    asked = page.get_by_role("dialog", name="Decline “Eve Waiting”?")
    expect(asked).to_contain_text("This cannot be undone")
    asked.get_by_role("button", name="Cancel").click()
    assert users(house)["Eve Waiting"]["role"] == "pending"
    panel.get_by_role("button", name="Decline Eve Waiting").click()
    asked.get_by_role("button", name="Decline").click()
    expect(panel).to_be_hidden()
    assert "Eve Waiting" not in users(house)


def test_who_called_a_model_was_active(house, page):
    ada = person(house, "Ada")
    person(house, "Bea")
    with house.client(house.make_key(user_id=ada, name="theirs")) as client:
        ask = {"model": "tiny-llama", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        before = sum(item["calls"] for item in house.usage("user").values())
        house.admin.post("/api/v1/models/model/access/update", json={"id": "tiny-llama", "access_control": None})
        try:
            assert client.post("/v1/chat/completions", json=ask).status_code == 200
        finally:
            house.admin.post("/api/v1/models/model/delete", json={"id": "tiny-llama"}).raise_for_status()
    house.wait_for_calls(before + 1, 60)
    page.goto("/people")
    expect(page.get_by_role("row", name="Bea")).to_contain_text("Not in 30 days")
    expect(page.get_by_role("row", name="Ada")).not_to_contain_text("Not in 30 days")
    expect(page.get_by_role("row", name="Ada").locator("time").first).to_be_visible()


def test_what_was_saved_is_told_when_the_groups_are_not(house, browser):
    person(house, "Ada")
    authors = group(house, "Authors")
    with opened(browser, house.url, expected=("status of 503",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/people?query=ada")
        page.get_by_role("button", name="Ada", exact=True).click()
        drawer = page.get_by_role("dialog", name="Ada")
        drawer.get_by_label("New password").fill("a long new password")
        choose(page, "Groups", "auth", "Authors")
        refused = f"**/api/v1/groups/id/{authors}/users/add"
        page.route(refused, lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
        drawer.get_by_role("button", name="Save").click()
        shown = page.get_by_role("dialog", name="Ada can sign in")
        expect(shown.get_by_label("The password", exact=True)).to_have_text("a long new password")
        copied(shown)
        shown.get_by_role("button", name="Done").click()
        expect(drawer.get_by_text("the groups were not")).to_be_visible()
        expect(drawer.get_by_role("alert")).to_contain_text("Not now.")
        assert signs_in(house, "ada@example.com", "a long new password") == 200
        page.unroute(refused)
        drawer.get_by_role("button", name="Save").click()
        expect(drawer).to_be_hidden()
        assert users(house)["Ada"]["group_ids"] == [authors]


@pytest.mark.parametrize(("path", "noun"), [("people", "person"), ("people/groups", "group")])
def test_an_address_of_what_is_gone_says_so(house, browser, path, noun):
    with opened(browser, house.url, expected=("status of 404",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto(f"/{path}?id=nowhere")
        drawer = page.get_by_role("dialog")
        expect(drawer).to_contain_text(f"There is no such {noun}.")
        assert faults(page) == []
        drawer.get_by_role("button", name="Close").click()
        expect(page).to_have_url(re.compile(rf"/{path}$"))


def test_what_was_answered_before_the_drawer_was_loaded_is_shown_in_it(house, browser):
    held: list[Route] = []

    def hold(request: Route) -> None:
        held.append(request)

    with opened(browser, house.url, expected=("status of 404",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.route("**/assets/DialogBox-*.js", hold)
        with page.expect_response("**/api/v1/users/nowhere") as answer:
            page.goto("/people?id=nowhere")
        answer.value.finished()
        expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()
        expect(page.get_by_role("table")).to_contain_text(EMAIL)  # answered later than what was asked about nobody
        held[0].continue_()
        expect(page.get_by_role("dialog")).to_contain_text("There is no such person.")


def test_a_person_is_added_with_a_password_that_is_seen_once(house, page):
    group(house, "Authors")
    page.goto("/people")
    page.get_by_role("button", name="New person").click()
    drawer = page.get_by_role("dialog", name="New person")
    drawer.get_by_label("Name").fill("Grace")
    drawer.get_by_label("E-mail").fill("grace@example.com")
    drawer.get_by_role("button", name="Generate").click()
    expect(drawer.get_by_label("Password")).not_to_have_value("")
    password = drawer.get_by_label("Password").input_value()
    choose(page, "Groups", "auth", "Authors")
    expect(drawer.get_by_role("combobox", name="Groups")).to_have_value("")
    assert faults(page) == []
    picture(page, "people-new")
    drawer.get_by_role("button", name="Create").click()
    shown = page.get_by_role("dialog", name="Grace can sign in")
    expect(shown.get_by_label("The password", exact=True)).to_have_text(password)
    picture(page, "people-password")
    shown.get_by_role("button", name="Done").click()
    expect(shown.get_by_role("alert")).to_contain_text("cannot be shown again")
    copied(shown)
    shown.get_by_role("button", name="Done").click()
    expect(page.get_by_role("row", name="Grace")).to_contain_text("Authors")
    assert password not in page.content()
    assert signs_in(house, "grace@example.com", password) == 200


def test_a_service_account_has_no_password(house, page):
    page.goto("/people?new=1")
    drawer = page.get_by_role("dialog", name="New person")
    drawer.get_by_label("Kind").select_option("Service account")
    expect(drawer.get_by_label("Password")).to_be_hidden()
    drawer.get_by_label("E-mail").fill("builds@example.com")
    drawer.get_by_role("button", name="Create").click()
    expect(page.get_by_role("row", name="builds")).to_contain_text("service")
    assert users(house)["builds"]["kind"] == "service"


def test_a_taken_address_is_told_and_nothing_typed_is_lost(house, browser):
    person(house, "Ada")
    with opened(browser, house.url, expected=("status of 409",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/people?new=1")
        drawer = page.get_by_role("dialog", name="New person")
        drawer.get_by_label("E-mail").fill("ada@example.com")
        drawer.get_by_role("button", name="Create").click()
        expect(drawer.get_by_role("alert")).to_contain_text("already")
        expect(drawer.get_by_label("E-mail")).to_have_value("ada@example.com")


def test_a_person_is_changed_signed_out_and_deleted_with_their_models_handed_on(house, page):
    heir = person(house, "Heir")
    leaver = person(house, "Leaver", role="admin", password=PASSWORD)
    authors = group(house, "Authors")
    with house.client(house.make_key(user_id=leaver, name="theirs")) as client:
        form = {"id": "helper", "name": "Helper", "base_model_id": "tiny-llama"}
        assert client.post("/api/v1/models/create", json=form).status_code == 200
    assert signs_in(house, "leaver@example.com", PASSWORD) == 200
    page.goto("/people?query=leaver")
    page.get_by_role("button", name="Leaver", exact=True).click()
    drawer = page.get_by_role("dialog", name="Leaver")
    expect(drawer.get_by_role("button", name="Save")).to_be_disabled()
    drawer.get_by_role("button", name="Sign out everywhere").click()
    expect(drawer.get_by_text("Not signed in anywhere.")).to_be_visible()
    drawer.get_by_label("Name").fill("Leaver Two")
    drawer.get_by_label("Role").select_option("User")
    choose(page, "Groups", "auth", "Authors")
    drawer.get_by_label("New password").fill("another long password")
    assert faults(page) == []
    picture(page, "people-drawer")
    drawer.get_by_role("button", name="Save").click()
    shown = page.get_by_role("dialog", name="Leaver Two can sign in")
    copied(shown)
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_have_count(0)
    changed = users(house)["Leaver Two"]
    assert (changed["role"], changed["group_ids"]) == ("user", [authors])
    assert signs_in(house, "leaver@example.com", "another long password") == 200

    page.get_by_role("button", name="Leaver Two", exact=True).click()
    # The drawer knows at once what was saved.
    drawer = page.get_by_role("dialog", name="Leaver Two")
    expect(drawer.get_by_label("Name")).to_have_value("Leaver Two")
    expect(drawer.get_by_label("Role")).to_have_value("user")
    expect(drawer.get_by_role("list", name="Groups")).to_contain_text("Authors")
    drawer.get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog", name="Delete “Leaver Two”?")
    expect(asked).to_contain_text("1 key stops working")
    go = asked.get_by_role("button", name="Delete")
    expect(go).to_be_disabled()
    choose(page, "Their models go to", "heir", "Heir")
    asked.get_by_label("Type leaver@example.com to confirm").fill("leaver@example.com")
    assert faults(page) == []
    picture(page, "people-delete")
    go.click()
    expect(page.get_by_role("heading", name="Nobody matches")).to_be_visible()
    assert "Leaver Two" not in users(house)
    model = house.admin.get("/api/v1/models/model", params={"id": "helper"}).json()
    assert model["user_id"] == heir
    house.admin.post("/api/v1/models/model/delete", json={"id": "helper"})


def test_the_last_administrator_stays_and_the_server_says_so_in_place(browser, tmp_path):
    alone = {**ADMINISTRATOR, "MODELYARD_ADMIN_API_KEY": ""}
    with run_yard(tmp_path / "data", alone) as yard, opened(browser, yard.url, expected=("status of 409",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        page.goto("/people?role=admin")
        page.get_by_role("button", name="admin", exact=True).click()
        drawer = page.get_by_role("dialog", name="admin")
        drawer.get_by_label("Role").select_option("User")
        drawer.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Give up the role").click()
        expect(drawer.get_by_role("alert")).to_contain_text("last administrator")
        expect(drawer.get_by_label("Role")).to_have_value("user")
        drawer.get_by_role("button", name="Delete").click()
        asked = page.get_by_role("dialog", name="Delete “admin”?")
        asked.get_by_label(f"Type {EMAIL} to confirm").fill(EMAIL)
        asked.get_by_role("button", name="Delete").click()
        expect(asked.get_by_role("alert")).to_contain_text("last administrator")


def test_giving_up_ones_own_role_or_account_says_what_is_lost_first(house, browser):
    own = USERS + person(house, "Second", role="admin", password=PASSWORD)
    with opened(browser, house.url, expected=("status of 401",)) as page:
        signed_in(page, "second@example.com", PASSWORD)
        page.goto("/people?query=second")
        page.get_by_role("button", name="Second", exact=True).click()
        drawer = page.get_by_role("dialog", name="Second")
        drawer.get_by_label("Role").select_option("User")
        drawer.get_by_role("button", name="Save").click()
        asked = page.get_by_role("dialog", name="Give up your own administrator role?")
        expect(asked).to_contain_text("Only another administrator can give the role back.")
        assert faults(page) == []
        picture(page, "people-give-up-role")
        asked.get_by_role("button", name="Cancel").click()
        expect(asked).to_be_hidden()
        assert house.admin.get(own).json()["role"] == "admin"
        drawer.get_by_role("button", name="Save").click()
        asked.get_by_role("button", name="Give up the role").click()
        signed_out(page)
        assert house.admin.get(own).json()["role"] == "user"

        house.admin.patch(own, json={"role": "admin"}).raise_for_status()
        signed_in(page, "second@example.com", PASSWORD)
        page.goto("/people?query=second")
        page.get_by_role("button", name="Second", exact=True).click()
        drawer.get_by_role("button", name="Delete").click()
        asked = page.get_by_role("dialog", name="Delete “Second”?")
        expect(asked).to_contain_text("This is your own account.")
        asked.get_by_label("Type second@example.com to confirm").fill("second@example.com")
        asked.get_by_role("button", name="Delete").click()
        signed_out(page)
        assert house.admin.get(own).status_code == 404


@pytest.mark.parametrize(
    ("path", "first"), [("people", "Kind"), ("people/groups", "Name"), ("keys", "Owner"), ("connections", "Kind")]
)
def test_what_is_made_new_begins_at_its_first_field(page, path, first):
    page.goto(f"/{path}")
    page.locator("[data-create]").click()
    field = page.get_by_role("dialog").get_by_label(first, exact=True).and_(page.locator("input, select"))
    expect(field).to_be_focused()


def test_people_are_found_filtered_and_sorted_by_the_address(house, page):
    for name in ("Ada", "Bea", "Cem"):
        person(house, name)
    person(house, "Dan", role="pending")
    page.goto("/people")
    page.get_by_label("Search name, e-mail").fill("bea")
    expect(page).to_have_url(re.compile(r"query=bea"))
    expect(page.get_by_role("row")).to_have_count(2)
    page.goto("/people?role=pending")
    expect(page.get_by_role("row", name="Dan")).to_be_visible()
    expect(page.get_by_role("row", name="Ada")).to_be_hidden()
    page.goto("/people?role=user")
    page.get_by_role("button", name="Name").click()
    expect(page).to_have_url(re.compile("order=name$"))
    page.get_by_role("button", name="Name").click()
    expect(page).to_have_url(re.compile(r"direction=desc"))
    expect(page.get_by_role("row").nth(1)).to_contain_text("Cem")


def test_a_nested_group_is_made_and_the_matrix_tells_what_it_gives(house, page):
    ada = person(house, "Ada")
    page.goto("/people/groups")
    expect(page.get_by_role("heading", name="No groups yet")).to_be_visible()
    picture(page, "groups-empty")
    page.get_by_role("button", name="New group").first.click()
    drawer = page.get_by_role("dialog", name="New group")
    drawer.get_by_role("textbox", name="Name").fill("Lab")
    drawer.get_by_role("switch", name="Create and edit models").click()
    drawer.get_by_role("button", name="Create").click()
    drawer = page.get_by_role("dialog", name="Lab")
    drawer.get_by_role("button", name="Cancel").click()

    page.get_by_role("button", name="New group").click()
    drawer = page.get_by_role("dialog", name="New group")
    drawer.get_by_role("textbox", name="Name").fill("Research")
    drawer.get_by_label("Part of").select_option("Lab")
    expect(drawer.get_by_text("Already given by Lab")).to_be_visible()
    drawer.get_by_role("button", name="Create").click()
    drawer = page.get_by_role("dialog", name="Research")
    choose(page, "Add a member", "ada", "Ada")
    expect(drawer.get_by_role("button", name="Remove Ada")).to_be_visible()
    drawer.get_by_label("Description").fill("Who tries things")
    assert faults(page) == []
    picture(page, "groups-drawer")
    drawer.get_by_role("button", name="Save").click()
    expect(drawer).to_be_hidden()
    stored = {one["name"]: one for one in house.admin.get(GROUPS + "/").json()}
    assert stored["Research"]["parent_id"] == stored["Lab"]["id"]
    assert (stored["Research"]["description"], stored["Research"]["member_count"]) == ("Who tries things", 1)
    assert stored["Lab"]["permissions"]["workspace"]["models"] is True

    form = {"id": "tiny-llama", "name": "Tiny", "access_control": {"read": {"group_ids": [stored["Lab"]["id"]]}}}
    assert house.admin.post("/api/v1/models/create", json=form).status_code == 200
    try:
        page.get_by_role("link", name="Check access", exact=True).click()
        choose(page, "Person or service account", "ada", "Ada")
        row = page.get_by_role("row", name="Create and edit models")
        expect(row).to_contain_text("Allowed — through Lab, which contains Research")
        expect(page.get_by_role("row", name="Create, edit and rotate API keys")).to_contain_text(
            "Denied — no role, default or group grants it"
        )
        expect(page.get_by_role("row", name="Write notes")).to_be_hidden()
        page.get_by_text("Used only by other apps").click()
        expect(page.get_by_role("row", name="Write notes")).to_contain_text("Allowed — by default")
        choose(page, "Model", "tiny", "tiny-llama")
        about = page.get_by_role("heading", name="Tiny", exact=True).locator("..")
        expect(about).to_contain_text("Allowed — through Lab, which contains Research")
        expect(about).to_contain_text("Denied — not shared with them")
        assert faults(page) == []
        picture(page, "permissions-matrix", whole=True)
        expect(page).to_have_url(re.compile(rf"user={ada}"))
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        assert_fits(page)
        picture(page, "permissions-matrix-narrow")
    finally:
        house.admin.post("/api/v1/models/model/delete", json={"id": "tiny-llama"})


def test_members_go_and_come_back_a_group_is_exported_and_deleted(house, page):
    ada = person(house, "Ada")
    lab = group(house, "Lab", user_ids=[ada])
    group(house, "Team", parent_id=lab)
    shared = {"id": "shared", "name": "Shared", "access_control": {"read": {"group_ids": [lab]}}}
    shared["base_model_id"] = "tiny-llama"
    assert house.admin.post("/api/v1/models/create", json=shared).status_code == 200
    page.goto(f"/people/groups?id={lab}")
    drawer = page.get_by_role("dialog", name="Lab")
    drawer.get_by_role("button", name="Remove Ada").click()
    expect(drawer.get_by_text("Nobody yet.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(drawer.get_by_role("button", name="Remove Ada")).to_be_visible()
    with page.expect_download() as download:
        drawer.get_by_role("button", name="Export").click()
    saved = json.loads(download.value.path().read_text())
    assert (saved["name"], saved["user_ids"]) == ("Lab", [ada])
    drawer.get_by_role("button", name="Delete", exact=True).click()
    asked = page.get_by_role("dialog", name="Delete “Lab”?")
    expect(asked).to_contain_text("1 model is shared with it")
    expect(asked).to_contain_text("1 member loses what it gives.")
    expect(asked).to_contain_text("1 group below it will stand alone.")
    picture(page, "groups-delete")
    asked.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row", name="Team")).to_be_visible()
    expect(page.get_by_role("button", name="Lab", exact=True)).to_be_hidden()
    house.admin.post("/api/v1/models/model/delete", json={"id": "shared"}).raise_for_status()


def test_a_search_among_members_saves_nothing(house, page):
    members = [person(house, f"Member{number:02}") for number in range(51)]
    lab = group(house, "Lab", user_ids=members)
    page.goto(f"/people/groups?id={lab}")
    drawer = page.get_by_role("dialog", name="Lab")
    drawer.get_by_label("Description").fill("not to be saved yet")
    search = drawer.get_by_label("Search members")
    search.fill("Member42")
    search.press("Enter")
    expect(drawer.get_by_role("button", name="Remove Member42")).to_be_visible()
    expect(drawer.get_by_role("button", name="Remove Member41")).to_be_hidden()
    expect(drawer.get_by_label("Description")).to_have_value("not to be saved yet")
    assert house.admin.get(f"{GROUPS}/id/{lab}").json()["description"] == ""


def test_only_what_is_allowed_is_shown_when_asked_for(house, page):
    ada = person(house, "Ada")
    page.goto(f"/people/permissions?view=access&user={ada}")
    denied = page.get_by_role("row", name="Create, edit and rotate API keys")
    expect(denied).to_contain_text("Denied")
    page.get_by_label("Only what is allowed").check()
    expect(page).to_have_url(re.compile("only=allowed"))
    expect(denied).to_have_count(0)
    expect(page.get_by_role("row", name="Share with individual people")).to_contain_text("Allowed — by default")


def test_a_default_that_is_switched_on_shows_and_permits_and_off_hides_and_refuses(house, page, browser):
    person(house, "Plain", password=PASSWORD)
    page.goto("/people/permissions")
    save = page.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    assert faults(page) == []
    picture(page, "permissions-defaults", whole=True)
    with opened(browser, house.url) as theirs:
        sign_in(theirs, "plain@example.com", PASSWORD)
        for wanted in (True, False):
            page.get_by_role("switch", name="Create, edit and rotate API keys").click()
            expect(page.get_by_text("1 change", exact=True)).to_be_visible()
            save.click()
            expect(page.get_by_text("1 change", exact=True)).to_be_hidden()
            tree = house.admin.get(USERS + "default/permissions").json()
            assert tree["features"]["api_keys"] is wanted
            theirs.reload()
            expect(theirs.get_by_role("link", name="Models")).to_be_visible()
            expect(theirs.get_by_role("link", name="Keys")).to_be_visible(visible=wanted)
            with house.client(None) as client:
                form = {"email": "plain@example.com", "password": PASSWORD}
                token = client.post("/api/v1/auths/signin", json=form).json()["token"]
                bearer = {"authorization": f"Bearer {token}", "cookie": ""}
                made = client.post("/api/v1/keys", json={"name": "mine"}, headers=bearer)
            assert made.status_code == (200 if wanted else 403)
        theirs.goto("/people")
        expect(theirs.get_by_role("heading", name="You don't have access to this page")).to_be_visible()


def test_hostile_names_stay_names(house, page):
    for number, name in enumerate(HOSTILE):
        person(house, name[:100], email=f"h{number}@example.com")
        group(house, name[:100])
    page.goto("/people")
    expect(page.get_by_role("row", name="h7@example.com")).to_be_visible()
    page.get_by_role("button", name=HOSTILE[0][:100], exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0][:20])
    choose(page, "Groups", "script", HOSTILE[1])
    page.goto("/people/groups")
    page.get_by_role("button", name=HOSTILE[4][:100], exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[4][:20])
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(house, browser, theme):
    lab = group(house, "Laboratory for very long names of groups", description="d" * 300)
    group(house, "Research", parent_id=lab, permissions={"workspace": {"models": True}})
    group(house, "نموذج عربي", parent_id=lab, share=False)
    for number, name in enumerate(HOSTILE):
        person(house, name[:100], email=f"h{number}@example.com", group_ids=[lab])
    person(house, "Wanda", role="pending")
    with opened(browser, house.url, theme=theme) as page:
        sign_in(page, EMAIL, PASSWORD)
        for (width, height), label in ((WIDE, "wide"), (MIDDLE, "middle"), (NARROW, "narrow")):
            page.set_viewport_size({"width": width, "height": height})
            for path in ("people", "people/groups", "people/permissions"):
                page.goto(f"/{path}")
                shown = page.get_by_role("table" if path != "people/permissions" else "switch").first
                expect(shown).to_be_visible()
                assert_fits(page)
                assert faults(page) == [], (path, label)
                picture(page, f"{path.replace('/', '-')}-{label}-{theme}")
        page.goto(f"/people/groups?id={lab}")
        expect(page.get_by_role("switch").first).to_be_visible()
        picture(page, f"groups-drawer-narrow-{theme}")


def test_a_new_group_without_the_permissions_there_are_says_what_is_wrong(house, browser):
    with opened(browser, house.url, expected=("status of 403",)) as page:
        signed_in(page, EMAIL, PASSWORD)
        refused = "**/api/v1/users/default/permissions"
        page.route(
            refused, lambda route: route.fulfill(status=403, json={"detail": "A proxy in between refused this."})
        )
        page.goto("/people/groups")
        page.get_by_role("button", name="New group").first.click()
        drawer = page.get_by_role("dialog", name="New group")
        expect(drawer.get_by_role("alert")).to_contain_text("A proxy in between refused this.")
        assert faults(page) == []
        page.unroute(refused)
        drawer.get_by_role("button", name="Try again").click()
        expect(drawer.get_by_label("Name", exact=True)).to_be_visible()


def test_those_who_wait_are_let_in_by_keyboard_one_after_the_other(house, page):
    for name in ("Ada", "Bea", "Cem", "Dora"):
        person(house, name, role="pending")
    page.goto("/people")
    panel = page.get_by_role("region", name="waiting for approval")
    approve = panel.get_by_role("button", name=re.compile("^Approve"))
    decline = panel.get_by_role("button", name=re.compile("^Decline"))
    expect(approve).to_have_count(4)
    approve.first.press("Enter")
    expect(approve).to_have_count(3)
    expect(approve.first).to_be_focused()
    decline.first.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Decline").press("Enter")
    expect(decline).to_have_count(2)
    expect(decline.first).to_be_focused()
    approve.last.press("Enter")
    expect(approve).to_have_count(1)
    expect(approve).to_be_focused()
    approve.press("Enter")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("main")).to_be_focused()


def test_members_are_taken_out_by_keyboard_one_after_the_other(house, page):
    lab = group(house, "Lab", user_ids=[person(house, name) for name in ("Ada", "Bea")])
    page.goto(f"/people/groups?id={lab}")
    drawer = page.get_by_role("dialog", name="Lab")
    remove = drawer.get_by_role("button", name=re.compile("^Remove"))
    remove.first.press("Enter")
    expect(remove).to_have_count(1)
    expect(remove).to_be_focused()
    remove.press("Enter")
    expect(remove).to_have_count(0)
    expect(drawer.get_by_role("combobox", name="Add a member")).to_be_focused()
    drawer.get_by_role("button", name="Undo").press("Enter")
    expect(remove).to_have_count(1)
    expect(drawer.get_by_role("combobox", name="Add a member")).to_be_focused()
