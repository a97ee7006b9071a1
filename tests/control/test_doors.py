"""Who gets in where: setup, sign-in, cookies, foreign pages, host names, proxies, and every route by enumeration."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.control.attempts import later, slow_down
from tests.control.conftest import CONFINED_ADMIN_KEY, KEYS, OTHER_KEY, PENDING_KEY, USER_KEY
from tests.yard import ADMIN_KEY, run_yard, setup_token

PASSWORD = "correct horse battery staple"
EMAIL = "you@example.com"
SESSION_COOKIE = "modelyard_session"
NO_ADMIN = {"MODELYARD_ADMIN_API_KEY": ""}
WITH_ADMIN = {"MODELYARD_ADMIN_EMAIL": EMAIL, "MODELYARD_ADMIN_PASSWORD": PASSWORD}


def form(token: str, **changes: str) -> dict[str, str]:
    return {"token": token, "email": EMAIL, "password": PASSWORD, **changes}


def sign_in(client, password: str = PASSWORD, email: str = EMAIL):
    return client.post("/api/v1/auths/signin", json={"email": email, "password": password})


@pytest.fixture
def empty(data_dir):
    """A server without an administrator."""
    with run_yard(data_dir, NO_ADMIN) as yard:
        yield yard


@pytest.fixture
def owned(data_dir):
    """A server whose administrator has a password."""
    with run_yard(data_dir, WITH_ADMIN) as yard:
        yield yard


def test_the_setup_link_is_printed_once_and_opens_the_interface(empty):
    token = setup_token(empty)
    assert empty.output().count("/setup?token=") == 1
    with empty.client(None) as client:
        page = client.get("/setup", params={"token": token}, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert token not in page.text
        assert page.headers["referrer-policy"] == "no-referrer"
        assert client.get("/api/v1/setup").json() == {"needed": True, "sign_up": False}


def test_a_stranger_is_told_which_way_in_there_is(owned):
    with owned.client(None) as client:
        assert client.get("/api/v1/setup").json() == {"needed": False, "sign_up": False}
        owned.admin.post("/api/v1/auths/admin/config", json={"ENABLE_SIGNUP": True}).raise_for_status()
        assert client.get("/api/v1/setup").json() == {"needed": False, "sign_up": True}


def test_setup_by_api_answers_session_and_key_and_works_once(empty):
    token = setup_token(empty)
    with empty.client(None) as client:
        assert client.post("/api/v1/setup", json=form(token, password="short")).status_code == 422
        assert client.post("/api/v1/setup", json=form(token, email="nonsense")).status_code == 422
        made = client.post("/api/v1/setup", json=form(token))
        assert made.status_code == 200
        for secret in (made.json()["token"], made.json()["key"]):
            who = client.get("/api/v1/auths/", headers={"authorization": f"Bearer {secret}", "cookie": ""})
            assert who.json()["role"] == "admin"
        assert client.post("/api/v1/setup", json=form(token, email="two@example.com")).status_code == 403
        assert sign_in(client).status_code == 200


def test_two_who_use_the_link_at_once_make_one_administrator(empty):
    token = setup_token(empty)

    def use(number: int) -> int:
        with empty.client(None) as client:
            return client.post("/api/v1/setup", json=form(token, email=f"n{number}@example.com")).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [200, 403, 403, 403]


def test_guessing_the_setup_token_is_refused_and_slowed_down(empty):
    with empty.client(None) as client:
        token = setup_token(empty)
        assert [client.post("/api/v1/setup", json=form("guess")).status_code for _ in range(5)] == [403] * 5
        slow_down(empty)
        refused = client.post("/api/v1/setup", json=form("guess"))
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 300
        assert client.post("/api/v1/setup", json=form(token)).status_code == 200, "nobody is kept from using the link"
        assert client.post("/api/v1/setup", json=form("guess")).status_code == 403, "there is nothing left to guess"


def test_a_restart_prints_a_new_link_and_voids_the_old_one(data_dir):
    with run_yard(data_dir, NO_ADMIN) as yard:
        old = setup_token(yard)
    with run_yard(data_dir, NO_ADMIN) as yard, yard.client(None) as client:
        assert setup_token(yard) != old
        assert client.post("/api/v1/setup", json=form(old)).status_code == 403
        assert client.post("/api/v1/setup", json=form(setup_token(yard))).status_code == 200


def test_sign_in_and_sign_out(owned):
    with owned.client(None) as client:
        answer = sign_in(client, email="  You@Example.COM ")
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        assert "secure" not in cookie, "plain http on this machine"
        token = answer.json()["token"]
        bearer = {"authorization": f"Bearer {token}"}
    with owned.client(None) as client:
        assert client.get("/api/v1/auths/", headers=bearer).json()["email"] == EMAIL
        assert client.get("/v1/models", headers=bearer).status_code == 200
        assert client.get("/api/v1/auths/", headers={"cookie": f"{SESSION_COOKIE}={token}"}).status_code == 200
        assert client.post("/api/v1/auths/signout", headers=bearer).status_code == 200
        for path in ("/api/v1/auths/", "/v1/models"):
            assert client.get(path, headers=bearer).status_code == 401
            assert client.get(path, headers={"cookie": f"{SESSION_COOKIE}={token}"}).status_code == 401


def test_a_wrong_password_and_an_unknown_user_are_told_alike(owned):
    with owned.client(None) as client:
        wrong, unknown = sign_in(client, "wrong password"), sign_in(client, email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_guessing_a_password_is_slowed_down_and_retry_after_is_enough(owned):
    with owned.client(None) as client:
        assert [sign_in(client, "wrong").status_code for _ in range(5)] == [401] * 5
        slow_down(owned)
        refused = sign_in(client)
        assert refused.status_code == 429, "even with the right password"
        assert 1 <= int(refused.headers["retry-after"]) <= 300
        later(owned, int(refused.headers["retry-after"]))
        assert sign_in(client).status_code == 200, "after as long as the server itself asked for"


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_an_account_that_waits_is_told_like_one_that_is_not_there(owned, email):
    with owned.client(None) as client:
        assert [sign_in(client, "wrong", email).status_code for _ in range(5)] == [401] * 5
        slow_down(owned)
        refused = sign_in(client, "wrong", email)
        assert (refused.status_code, refused.json()) == (
            429,
            {"detail": "Too many failed attempts. Wait and try again."},
        )


def test_what_somebody_types_makes_no_address_wait_and_no_set_up(data_dir):
    victim = {"x-forwarded-for": "203.0.113.9"}
    typed = [prefix + "203.0.113.9" for prefix in ("", "address ", "sign-up ", "set-up ")]
    environment = {**NO_ADMIN, "MODELYARD_TRUSTED_PROXIES": "127.0.0.0/8", "ENABLE_SIGNUP": "true"}
    with run_yard(data_dir, environment) as yard, yard.client(None) as client:
        for number, email in enumerate([*typed, "first administrator", EMAIL]):
            form_typed = {"email": email, "password": "wrong password"}
            elsewhere = {"x-forwarded-for": f"198.51.100.{number}"}
            assert client.post("/api/v1/auths/signin", json=form_typed, headers=elsewhere).status_code == 401
            assert client.post("/api/v1/setup", json=form("guess"), headers=elsewhere).status_code == 403
        slow_down(yard)
        answers = [
            client.post("/api/v1/setup", json=form(setup_token(yard)), headers=victim),
            client.post("/api/v1/auths/signup", json={"email": "n@example.com", "password": PASSWORD}, headers=victim),
            client.post("/api/v1/auths/signin", json={"email": "n@example.com", "password": PASSWORD}, headers=victim),
        ]
        assert [answer.status_code for answer in answers] == [200] * 3
        waits = client.post("/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}, headers=victim)
        assert waits.status_code == 429, "those that were made count"


def test_guessing_many_passwords_at_once_is_slowed_down_too(owned):
    def guess(number: int) -> int:
        with owned.client(None) as client:
            return sign_in(client, f"guess {number}").status_code

    with ThreadPoolExecutor(30) as pool:
        answers = Counter(pool.map(guess, range(30)))
    assert answers[401] <= 8, answers


FOREIGN = [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"},
    {"origin": "null"}, {},
]  # fmt: skip


def test_a_page_of_another_site_cannot_use_the_cookie(owned):
    with owned.client(None) as client:
        token = sign_in(client).json()["token"]
    with owned.client(None) as client:
        cookie = {"cookie": f"{SESSION_COOKIE}={token}"}
        for foreign in FOREIGN:
            for path in ("/api/v1/keys", "/api/v1/auths/signout", "/v1/chat/completions"):
                answer = client.post(path, json={"name": "stolen", "model": "echo"}, headers={**cookie, **foreign})
                assert answer.status_code == 403, (path, foreign)
        own = owned.url.removeprefix("http://")
        for friendly in ({"sec-fetch-site": "same-origin"}, {"origin": f"http://{own}"}):
            answer = client.post("/api/v1/keys", json={"name": "mine"}, headers={**cookie, **friendly})
            assert answer.status_code == 200, friendly
        assert client.get("/api/v1/keys", headers={**cookie, "sec-fetch-site": "cross-site"}).status_code == 200
        bearer = {"authorization": f"Bearer {token}", "sec-fetch-site": "cross-site"}
        assert client.post("/api/v1/keys", json={"name": "tool"}, headers=bearer).status_code == 200


@pytest.mark.parametrize(
    "other", ['prefs={"a":1,"b":[2]}', "odd name=1", 'quoted="a;b"', "a=b=c", "umlaut=\u00fc", ";;"]
)
def test_other_cookies_of_the_same_host_do_not_hide_the_session(owned, other):
    """All ports of a host share their cookies, and other programs write what they like."""
    with owned.client(None) as client:
        token = sign_in(client).json()["token"]
    with owned.client(None) as client:
        for cookies in (f"{other}; {SESSION_COOKIE}={token}", f"{SESSION_COOKIE}={token}; {other}"):
            answer = client.get("/api/v1/auths/", headers={"cookie": cookies.encode("latin-1")})
            assert answer.status_code == 200, cookies


def test_only_known_host_names_are_answered(owned):
    for host, status in (
        ("127.0.0.1", 200), ("localhost:1234", 200), ("[::1]:80", 200), ("LOCALHOST", 200),
        ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example:8484", 421),
    ):  # fmt: skip
        for path in ("/health", "/v1/models", "/api/v1/keys", "/", "/theme.js"):
            assert owned.admin.get(path, headers={"host": host}).status_code == status, (host, path)


def test_allowed_hosts_may_be_named(data_dir):
    with run_yard(data_dir, {"MODELYARD_ALLOWED_HOSTS": "Models.example.com, other.example.com"}) as yard:
        for host, status in (("models.example.com", 200), ("OTHER.example.com:443", 200), ("third.example.com", 421)):
            assert yard.admin.get("/v1/models", headers={"host": host}).status_code == status


@pytest.mark.parametrize("base", ["/modelyard", "/api", "/v1"])
def test_everything_works_below_a_base_path(upstream, data_dir, base):
    environment = {"MODELYARD_BASE_PATH": base, "OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(data_dir, environment) as yard:
        for path in (
            "/health",
            "/ready",
            "/v1/models",
            "/api/v1/keys",
            "/api/v1/openapi.json",
            "/",
            "/theme.js",
        ):
            assert yard.admin.get(base + path).status_code == 200, base + path
        assert f'<base href="{base}/" />' in yard.admin.get(base + "/models", headers={"accept": "text/html"}).text
        redirect = yard.admin.get(base + "/api/v1/auths")
        if redirect.status_code in (307, 308):
            assert base + "/api/v1/auths/" in redirect.headers["location"]


def test_forwarded_addresses_are_believed_of_trusted_proxies_only(data_dir):
    forwarded = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}

    def address(yard) -> str:
        answer = yard.admin.post("/api/v1/keys", json={"name": "k"}, headers=forwarded)
        [entry] = yard.admin.get("/api/v1/audit", params={"entity_id": answer.json()["id"]}).json()["items"]
        return entry["audit_metadata"]["address"]

    with run_yard(data_dir, WITH_ADMIN) as yard:
        assert address(yard) == "127.0.0.1"
        assert (
            "secure"
            not in yard.admin.post(
                "/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}, headers=forwarded
            )
            .headers["set-cookie"]
            .lower()
        )
    with run_yard(data_dir, {**WITH_ADMIN, "MODELYARD_TRUSTED_PROXIES": "127.0.0.0/8"}) as yard:
        assert address(yard) == "203.0.113.9"
        assert (
            "secure"
            in yard.admin.post("/api/v1/auths/signin", json={"email": EMAIL, "password": PASSWORD}, headers=forwarded)
            .headers["set-cookie"]
            .lower()
        )


# Reached without a credential; every other route of the OpenAPI document must not be.
OPEN = {
    ("post", "/api/v1/auths/signin"), ("post", "/api/v1/auths/signup"), ("post", "/api/v1/setup"), ("get", "/api/v1/setup")
}  # fmt: skip
# Everyone's own, or decided by a permission, a grant or ownership: what these show and change is checked in the tests of
# their rooms. All others are for administrators.
MODELS = {
    ("get", "/list"), ("get", "/tags"), ("get", "/state"), ("get", "/deleted"), ("get", "/model"),
    ("get", "/model/profile/image"), ("get", "/model/history"), ("get", "/model/history/diff"),
    ("get", "/model/history/{version_id}"), ("delete", "/model/history/{version_id}"), ("post", "/create"), ("post", "/import"),
    ("post", "/bulk"), ("post", "/model/update"), ("post", "/model/update/version"), ("post", "/model/access/update"),
    ("post", "/model/toggle"), ("post", "/model/delete"), ("delete", "/model/delete"), ("post", "/model/restore"),
    ("get", "/model/modelfile"), ("post", "/import/modelfile"),
}  # fmt: skip
OWN = {
    *((method, "/api/v1/models" + path) for method, path in MODELS), ("get", "/api/v1/config"),
    ("get", "/openai/models/{index}"),
    ("get", "/api/v1/auths/"), ("post", "/api/v1/auths/signout"), ("get", "/api/v1/keys"), ("post", "/api/v1/keys"),
    ("delete", "/api/v1/keys/{key_id}"), ("patch", "/api/v1/keys/{key_id}"), ("post", "/api/v1/keys/{key_id}/rotate"),
    ("get", "/api/v1/usage"), ("post", "/api/v1/auths/update/password"), ("get", "/api/v1/auths/sessions"),
    ("delete", "/api/v1/auths/sessions"), ("delete", "/api/v1/auths/sessions/{session_id}"),
    ("get", "/api/v1/users/permissions"), ("get", "/api/v1/users/search"), ("get", "/api/v1/groups/"),
    ("get", "/api/v1/users/{user_id}/rights"),
}  # fmt: skip


def routes(yard) -> list[tuple[str, str]]:
    with yard.client(None) as client:
        document = client.get("/api/v1/openapi.json").json()
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


def test_every_route_is_denied_without_a_credential_and_to_users_by_default(peopled):
    found = routes(peopled)
    assert set(found) >= OPEN | OWN
    with peopled.client(None) as stranger, peopled.client(USER_KEY) as user, peopled.client(PENDING_KEY) as pending:
        wrong = []
        for method, path in found:
            place = path.replace("{", "").replace("}", "")
            if (method, path) in OPEN:
                continue
            for client, allowed in ((stranger, {401}), (pending, {403})):
                status = client.request(method, place, json={}).status_code
                if status not in allowed:
                    wrong.append((method, path, status, "stranger" if client is stranger else "pending"))
            if (method, path) not in OWN:
                # Whatever the body: refused before anything is looked at.
                for body in (None, {}, {"name": "x", "kind": "openai", "base_url": "http://127.0.0.1:9", "id": "x"}):
                    status = user.request(method, place, json=body).status_code
                    if status != 403:
                        wrong.append((method, path, status, "user"))
        assert wrong == [], "\n".join(map(str, wrong))


def test_a_user_without_rights_gets_403_and_not_hints_about_the_form(peopled):
    with peopled.client(USER_KEY) as user:
        assert user.post("/api/v1/connections", json={
            "name": "x", "kind": "openai", "base_url": "http://127.0.0.1:9"
        }).status_code == 403  # fmt: skip
        assert user.post("/api/v1/models/create", json={"id": "x", "name": "x"}).status_code == 403
        assert user.get("/api/v1/audit").status_code == 403
        assert user.get("/metrics").status_code == 403


def test_a_pending_user_can_do_nothing_at_all(peopled):
    with peopled.client(PENDING_KEY) as pending:
        for path in ("/v1/models", "/v1/models/echo", "/api/v1/auths/", "/api/v1/keys", "/api/v1/usage", "/metrics"):
            assert pending.get(path).status_code == 403, path
        assert pending.post("/v1/chat/completions", json={"model": "echo", "messages": []}).status_code == 403


def test_health_and_ready_are_open_and_metrics_need_an_administrator(peopled):
    with peopled.client(None) as stranger:
        assert stranger.get("/health").json() == {"status": "ok"}
        assert stranger.get("/ready").json() == {"status": "ready"}
        assert stranger.get("/metrics").status_code == 401
        for path in ("/favicon.ico", "/api/v1", "/api/v1/", "/api/v2/keys", "/docs", "/redoc", "/api/v1/setup/"):
            assert stranger.get(path).status_code in (401, 404, 307), path
    metrics = peopled.admin.get("/metrics")
    assert metrics.status_code == 200
    assert "modelyard_models" in metrics.text
    assert peopled.admin.get("/api/v1/nothing-here").status_code == 404


def test_the_document_names_every_answer(peopled):
    document = peopled.admin.get("/api/v1/openapi.json").json()
    assert document["info"]["title"] == "Modelyard"
    silent = [
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not any(status.startswith("2") for status in operation["responses"])
    ]
    assert silent == []


def test_no_secret_is_in_the_log_of_all_this(peopled):
    with peopled.client("sk-my-a-stranger-s-key-that-nobody-knows") as stranger:
        assert stranger.get("/v1/models").status_code == 401
    log = peopled.output()
    for secret in (*KEYS.values(), ADMIN_KEY, "sk-my-a-stranger"):
        assert secret not in log
    assert {USER_KEY, OTHER_KEY, CONFINED_ADMIN_KEY} <= set(KEYS.values())
