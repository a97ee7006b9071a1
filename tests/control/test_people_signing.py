"""Signing in and up, passwords and sessions: what opens, what ends, and what is slowed down."""

import itertools
import sqlite3
import time
from contextlib import closing

import pytest

from modelyard.control.people.sessions import MAX_SESSIONS
from tests.control.attempts import forget, later, slow_down
from tests.control.conftest import CONFINED_ADMIN_KEY, USER_KEY
from tests.control.test_people import OTHER_PASSWORD, PASSWORD, actions, is_in, make, sign_in, signed_in
from tests.yard import run_yard


@pytest.fixture(autouse=True)
def nothing_counts_yet(peopled):
    """What the other tests of the module have tried from the same address."""
    forget(peopled)


@pytest.fixture
def user(peopled):
    with peopled.client(USER_KEY) as client:
        yield client


# Sessions


def test_sessions_are_listed_with_where_they_come_from_and_ended(peopled):
    for email in ("sessions@example.com", "stranger@example.com"):
        make(peopled.admin, email, password=PASSWORD)
    agent = "Browser/1 " + "x" * 500
    with (
        signed_in(peopled, "sessions@example.com", **{"user-agent": agent}) as first,
        signed_in(peopled, "sessions@example.com", **{"user-agent": "tool"}) as second,
        signed_in(peopled, "stranger@example.com") as stranger,
    ):
        rows = first.get("/api/v1/auths/sessions").json()["items"]
        assert sorted(row["user_agent"] for row in rows) == sorted([agent[:200], "tool"])
        assert {row["address"] for row in rows} == {"127.0.0.1"}
        [current] = [row for row in rows if row["current"]]
        assert current["user_agent"] == agent[:200]
        assert all(row["expires_at"] > row["created_at"] > 0 for row in rows)
        assert "ses-my-" not in str(rows)
        assert stranger.delete(f"/api/v1/auths/sessions/{current['id']}").status_code == 404, "somebody else's"
        assert is_in(first)
        assert first.delete("/api/v1/auths/sessions").json() == {"status": True, "ended": 1}
        assert is_in(first)
        assert not is_in(second)
        assert first.delete(f"/api/v1/auths/sessions/{current['id']}").status_code == 200
        assert not is_in(first)
        assert is_in(stranger)
    assert actions(peopled, current["id"]) == ["session.ended"]


def test_an_administrator_sees_and_ends_somebodys_sessions(peopled):
    made = make(peopled.admin, "watched@example.com", password=PASSWORD)
    with signed_in(peopled, "watched@example.com") as session:
        [row] = peopled.admin.get(f"/api/v1/users/{made['id']}/sessions").json()["items"]
        assert row["current"] is False
        assert session.get(f"/api/v1/users/{made['id']}/sessions").status_code == 403
        assert peopled.admin.delete(f"/api/v1/users/{made['id']}/sessions").json()["ended"] == 1
        assert not is_in(session)


@pytest.mark.parametrize(
    ("before", "form", "ends"),
    [("user", {"password": OTHER_PASSWORD}, True), ("user", {"role": "pending"}, True), ("admin", {"role": "user"}, True),
     ("user", {"role": "admin"}, False), ("user", {"name": "New"}, False), ("user", {"role": "user"}, False)],
)  # fmt: skip
def test_a_new_password_and_a_lower_role_end_sessions_at_once(peopled, before, form, ends):
    made = make(peopled.admin, f"ends-{before}-{'-'.join(form)}-{form.get('role', '')}@example.com", role=before,
                password=PASSWORD)  # fmt: skip
    with signed_in(peopled, made["email"]) as session:
        assert peopled.admin.patch(f"/api/v1/users/{made['id']}", json=form).status_code == 200
        assert is_in(session) is not ends
    if "password" in form:
        assert sign_in(peopled, made["email"]).status_code == 401
        assert sign_in(peopled, made["email"], OTHER_PASSWORD).status_code == 200


def test_who_signs_in_without_end_fills_nothing(peopled):
    made = make(peopled.admin, "often@example.com", password=PASSWORD)
    with signed_in(peopled, "often@example.com") as oldest:
        with closing(sqlite3.connect(peopled.data_dir / "modelyard.db")) as database, database:
            database.execute("UPDATE sessions SET created_at = 0 WHERE user_id = ?", (made["id"],))
            database.executemany(
                "INSERT INTO sessions (id, user_id, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
                [(f"s{n}", made["id"], n.to_bytes(32), n, int(time.time()) + 1000) for n in range(1, MAX_SESSIONS)],
            )
        assert is_in(oldest)
        with signed_in(peopled, "often@example.com") as newest:
            assert not is_in(oldest)
            rows = newest.get("/api/v1/auths/sessions").json()["items"]
            assert len(rows) == MAX_SESSIONS
            assert rows[0]["current"]


# One's own password


def test_people_change_their_own_password_and_every_session_ends(peopled):
    make(peopled.admin, "own@example.com", password=PASSWORD)
    change = {"password": PASSWORD, "new_password": OTHER_PASSWORD}
    with signed_in(peopled, "own@example.com") as first, signed_in(peopled, "own@example.com") as second:
        for wrong, status in (
            ({**change, "password": "wrong"}, 403), ({**change, "new_password": "short"}, 422), ({"new_password": "x" * 9}, 422),
        ):  # fmt: skip
            assert first.post("/api/v1/auths/update/password", json=wrong).status_code == status, wrong
        more = {**change, "id": "file-other@example.com", "email": "root@example.com", "role": "admin"}
        answer = first.post("/api/v1/auths/update/password", json=more)
        assert answer.status_code == 200
        assert not is_in(first), "also the one that asked: its token may be known to others"
        assert not is_in(second)
        cookie = answer.headers["set-cookie"]
        assert answer.json()["token"] in cookie
        assert "httponly" in cookie.lower()
    with peopled.client(answer.json()["token"]) as fresh:
        assert fresh.get("/api/v1/auths/").json()["role"] == "user", "what a form does not name is not taken"
    assert sign_in(peopled, "own@example.com").status_code == 401
    assert sign_in(peopled, "own@example.com", OTHER_PASSWORD).status_code == 200


def test_guessing_the_present_password_with_a_stolen_session_is_slowed_down(peopled):
    make(peopled.admin, "stolen@example.com", password=PASSWORD)
    with signed_in(peopled, "stolen@example.com") as thief:

        def guess(number: int):
            form = {"password": f"guess {number}", "new_password": OTHER_PASSWORD}
            return thief.post("/api/v1/auths/update/password", json=form)

        assert [guess(number).status_code for number in range(5)] == [403] * 5
        slow_down(peopled)
        refused = guess(5)
        assert refused.status_code == 429
        assert sign_in(peopled, "stolen@example.com").status_code == 429, "they count as guesses at signing in"
    later(peopled, int(refused.headers["retry-after"]))
    assert sign_in(peopled, "stolen@example.com").status_code == 200


def test_a_declared_user_and_a_confined_key_set_no_password(peopled, user):
    form = {"password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert user.post("/api/v1/auths/update/password", json=form).status_code == 409
    with peopled.client(CONFINED_ADMIN_KEY) as confined:
        assert confined.post("/api/v1/auths/update/password", json=form).status_code == 403


# Services


def test_a_service_has_keys_and_no_password(peopled):
    made = make(peopled.admin, "robot@example.com", kind="service", name="Robot")
    assert made["kind"] == "service"
    assert peopled.admin.patch(f"/api/v1/users/{made['id']}", json={"password": PASSWORD}).status_code == 422
    assert sign_in(peopled, "robot@example.com").status_code == 401
    key = peopled.make_key(user_id=made["id"])
    with peopled.client(key) as robot:
        assert robot.get("/api/v1/auths/").json()["name"] == "Robot"
        assert robot.get("/v1/models").status_code == 200
        form = {"password": "", "new_password": OTHER_PASSWORD}
        assert robot.post("/api/v1/auths/update/password", json=form).status_code == 403


# Signing up


@pytest.fixture(scope="module")
def town(upstream, tmp_path_factory):
    """A server where anybody may make an account."""
    environment = {
        "ENABLE_SIGNUP": "true",
        "OPENAI_API_BASE_URL": upstream.base_url,
        "MODELYARD_TRUSTED_PROXIES": "127.0.0.0/8",
    }
    with run_yard(tmp_path_factory.mktemp("town") / "data", environment) as running:
        yield running


@pytest.fixture
def rules(town):
    def change(**form):
        answer = town.admin.post("/api/v1/auths/admin/config", json=form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    yield change
    change(ENABLE_SIGNUP=True, DEFAULT_USER_ROLE="pending", DEFAULT_GROUP_ID=None)


def sign_up(yard, email, address=None, **form):
    headers = {} if address is None else {"x-forwarded-for": address}
    with yard.client(None) as client:
        form = {"name": "New", "email": email, "password": PASSWORD, **form}
        return client.post("/api/v1/auths/signup", json=form, headers=headers)


ADDRESSES = (f"198.51.{number // 250}.{number % 250 + 1}" for number in itertools.count())


@pytest.fixture
def elsewhere(town):
    """Signing up from an address of one's own: what comes from one address in a row is slowed down."""
    return lambda email, **form: sign_up(town, email, next(ADDRESSES), **form)


def test_nobody_signs_up_where_it_is_not_wanted(peopled):
    assert sign_up(peopled, "stranger2@example.com").status_code == 403
    assert peopled.admin.get("/api/v1/auths/admin/config").json() == {
        "ENABLE_SIGNUP": False, "DEFAULT_USER_ROLE": "pending", "DEFAULT_GROUP_ID": None,
    }  # fmt: skip


def test_who_signs_up_waits_for_approval_and_then_goes_on(town, elsewhere):
    answer = elsewhere("Waiting@example.com", name="Wai Ting")
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["email"], made["name"], made["role"]) == ("waiting@example.com", "Wai Ting", "pending")
    assert "httponly" in answer.headers["set-cookie"].lower()
    with town.client(made["token"]) as waiting:
        for path in ("/api/v1/auths/", "/v1/models", "/api/v1/keys", "/api/v1/users/permissions", "/api/v1/groups/"):
            assert waiting.get(path).status_code == 403, path
        town.admin.post("/api/v1/users/update/role", json={"id": made["id"], "role": "user"})
        assert waiting.get("/api/v1/auths/").json()["role"] == "user"


def test_who_waits_for_approval_may_sign_out(town, elsewhere):
    made = elsewhere("leaving@example.com").json()
    with town.client(made["token"]) as waiting:
        assert waiting.post("/api/v1/auths/signout").status_code == 200
        assert waiting.get("/api/v1/auths/").status_code == 401


@pytest.mark.parametrize(
    "extra",
    [{"role": "admin"}, {"group_ids": ["x"]}, {"kind": "service"}, {"id": "x"}, {"is_admin": 1},
     {"profile_image_url": "/user.png"}],
)  # fmt: skip
def test_nobody_gives_themselves_anything_by_signing_up(town, elsewhere, extra):
    email = f"eve-{next(iter(extra))}@example.com".replace("_", "-")
    answer = elsewhere(email, **extra)
    assert answer.status_code == 200, answer.text
    [made] = town.admin.get("/api/v1/users/", params={"query": email}).json()["items"]
    assert (made["role"], made["kind"], made["group_ids"]) == ("pending", "person", [])
    assert made["id"] == answer.json()["id"] != "x"


def test_the_rules_say_role_and_group_and_never_administrator(town, rules, elsewhere):
    group = town.admin.post("/api/v1/groups/create", json={"name": "Newcomers"}).json()
    assert rules(DEFAULT_USER_ROLE="user", DEFAULT_GROUP_ID=group["id"]) == {
        "ENABLE_SIGNUP": True, "DEFAULT_USER_ROLE": "user", "DEFAULT_GROUP_ID": group["id"],
    }  # fmt: skip
    made = elsewhere("newcomer@example.com").json()
    assert town.admin.get(f"/api/v1/users/{made['id']}").json()["group_ids"] == [group["id"]]
    with town.client(made["token"]) as newcomer:
        assert newcomer.get("/api/v1/auths/").json()["group_ids"] == [group["id"]]
        assert newcomer.get("/api/v1/auths/admin/config").status_code == 403
        assert newcomer.post("/api/v1/auths/admin/config", json={"ENABLE_SIGNUP": False}).status_code == 403
    for form, status in (
        ({"DEFAULT_USER_ROLE": "admin"}, 422), ({"DEFAULT_GROUP_ID": "absent"}, 404), ({"ENABLE_SIGNUP": "maybe"}, 422),
        ({"DEFAULT_GROUP_ID": "x" * 301}, 422),
    ):  # fmt: skip
        assert town.admin.post("/api/v1/auths/admin/config", json=form).status_code == status, form
    more = {"SHOW_ADMIN_DETAILS": True, "JWT_EXPIRES_IN": "4w", "WEBUI_URL": "", "sign_up.role": "admin"}
    assert rules(**more).keys() == {"ENABLE_SIGNUP", "DEFAULT_USER_ROLE", "DEFAULT_GROUP_ID"}
    town.admin.delete(f"/api/v1/groups/id/{group['id']}/delete")
    assert elsewhere("late@example.com").status_code == 200, "the group is gone"
    rules(ENABLE_SIGNUP=False)
    assert sign_up(town, "too-late@example.com").status_code == 403


def test_a_taken_address_is_409_and_keeps_its_account(town, elsewhere):
    assert elsewhere("mine@example.com").status_code == 200
    again = elsewhere("MINE@example.com", password=OTHER_PASSWORD)
    assert again.status_code == 409
    assert "token" not in again.text
    assert sign_in(town, "mine@example.com", OTHER_PASSWORD).status_code == 401
    assert sign_in(town, "mine@example.com").status_code == 200


def test_signing_up_in_a_row_is_slowed_down_also_when_it_succeeds(data_dir):
    with run_yard(data_dir, {"ENABLE_SIGNUP": "true"}) as yard:
        assert [sign_up(yard, f"n{number}@example.com").status_code for number in range(5)] == [200] * 5
        slow_down(yard)
        assert sign_up(yard, "n5@example.com").status_code == 429
        assert sign_in(yard, "n0@example.com").status_code == 200, "those who are known do not wait for them"


def test_another_sites_page_signs_nobody_in(town):
    """Else somebody would work in an account that the page's owner reads."""
    town.admin.post("/api/v1/users/", json={"email": "evil@example.com", "role": "user", "password": PASSWORD})
    with town.client(None) as client:
        for path in ("/api/v1/auths/signin", "/api/v1/auths/signup"):
            for foreign in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}):
                form = {"email": "evil@example.com", "password": PASSWORD}
                answer = client.post(path, json=form, headers=foreign)
                assert answer.status_code == 403, (path, foreign)
                assert "set-cookie" not in answer.headers
        own = {"origin": town.url, "sec-fetch-site": "same-origin"}
        form = {"email": "evil@example.com", "password": PASSWORD}
        assert client.post("/api/v1/auths/signin", json=form, headers=own).status_code == 200
