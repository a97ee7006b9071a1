"""Connections through the API: every field, every refusal, secrets sealed and masked, effects at once."""

import uuid
from contextlib import contextmanager

import pytest

from tests.control.attacking import run_stranger
from tests.control.conftest import USER_KEY
from tests.yard import run_yard

CANARY = "sk-canary-of-connections-0123456789"
HEADER_CANARY = "header-canary-0123456789"
ASK = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}


@contextmanager
def made(yard, base_url: str, **fields):
    """A connection for the length of a test."""
    row = yard.connect(f"c-{uuid.uuid4().hex[:8]}", base_url, **fields)
    try:
        yield row
    finally:
        yard.admin.delete(f"/api/v1/connections/{row['id']}")


def patch(yard, row, **fields):
    return yard.admin.patch(f"/api/v1/connections/{row['id']}", json=fields)


def names(yard) -> list[str]:
    return [row["id"] for row in yard.admin.get("/v1/models").json()["data"]]


def test_every_field_is_kept_and_shown(peopled, upstream, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    fields = {
        "flavour": "vllm", "enable": False, "prefix_id": "p", "model_ids": ["echo", "lorem"], "tags": ["a", "b"],
        "connection_type": "local", "priority": 7, "weight": 3,
        "timeouts": {"connect": 1.5, "first_byte": 20, "idle": 4}, "limits": {"rpm": 5, "tpm": 6, "concurrency": 7},
        "tls": {"verify": False, "ca_file": str(ca), "client_cert": None},
    }  # fmt: skip
    secrets = {"api_keys": [CANARY], "headers": {"X-Custom": HEADER_CANARY}}
    with made(peopled, upstream.base_url, **fields, **secrets) as row:
        assert {name: row[name] for name in fields} == fields
        assert row["kind"] == "openai"
        assert row["source"] == "database"
        assert row["api_keys"] == ["********" + CANARY[-4:]]
        assert row["headers"] == {"X-Custom": "********" + HEADER_CANARY[-4:]}
        listed = peopled.admin.get("/api/v1/connections").json()["items"]
        assert [each for each in listed if each["id"] == row["id"]] == [row]
        changed = patch(peopled, row, name="renamed", priority=-3, tags=[{"name": "c"}], timeouts={"idle": 9}).json()
        assert (changed["name"], changed["priority"], changed["tags"]) == ("renamed", -3, ["c"])
        assert changed["timeouts"] == {"connect": 1.5, "first_byte": 20, "idle": 9}
        assert changed["flavour"] == "vllm"
        same = {"name", "priority", "tags", "timeouts", "updated_at"}
        assert {k: v for k, v in changed.items() if k not in same} == {k: v for k, v in row.items() if k not in same}


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_base_url_is_taken_with_and_without_its_ending(peopled, upstream, ending):
    with made(peopled, upstream.root + ending, prefix_id="e") as row:
        assert "echo" in row["models"], row["error"]
        answer = peopled.admin.post("/v1/chat/completions", json={**ASK, "model": "e.echo"})
        assert answer.status_code == 200


def test_an_ollama_address_is_taken_with_and_without_api(peopled):
    for ending in ("", "/api", "/v1"):
        with made(peopled, "http://127.0.0.1:9" + ending, kind="ollama") as row:
            assert (row["flavour"], row["connection_type"]) == ("ollama", "local")
            assert row["error"]


def test_masked_secrets_sent_back_stay_as_they_are(peopled, upstream):
    secrets = {"api_keys": [CANARY, CANARY[:-4] + "zzzz"], "headers": {"X-Custom": HEADER_CANARY}}
    with made(peopled, upstream.base_url, prefix_id="m", **secrets) as row:
        sent = {name: row[name] for name in ("api_keys", "headers", "name", "kind", "base_url", "flavour")}
        assert patch(peopled, row, **sent).json()["api_keys"] == row["api_keys"]
        upstream.reset()
        for _ in range(12):
            peopled.admin.post("/v1/chat/completions", json={**ASK, "model": "m.echo"}).raise_for_status()
        seen = [call["headers"] for call in upstream.state()["requests"] if call["path"].endswith("/chat/completions")]
        assert {headers["authorization"] for headers in seen} <= {f"Bearer {key}" for key in secrets["api_keys"]}
        assert {headers["x-custom"] for headers in seen} == {HEADER_CANARY}
        assert patch(peopled, row, api_keys=["********nope"]).status_code == 422


def test_a_masked_value_for_a_header_that_is_not_there_is_refused_as_for_keys(peopled, upstream):
    with made(peopled, upstream.base_url) as row:
        assert patch(peopled, row, headers={"X-Other": "********nope"}).status_code == 422


KEPT_BY = {
    "left out": {},
    "masked": {"api_keys": ["********" + CANARY[-4:]], "headers": {"X-Custom": "********" + HEADER_CANARY[-4:]}},
    "null name": {"name": None},
    "other kind": {"kind": "anthropic", "flavour": "anthropic"},
    "masked among new": {"api_keys": ["new", "********" + CANARY[-4:]], "headers": {}},
}


@pytest.mark.parametrize("way", KEPT_BY)
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8", "https://127.0.0.1:9", "http://localhost:9", "http://127.0.0.1", "http://127.0.0.1.:9",
        "http://127.0.0.1.example.com:9", "http://127.0.0.1:9.example.com", "http://127.0.0.1:9@example.com",
    ],
)  # fmt: skip
def test_no_secret_goes_along_to_another_address(peopled, url, way):
    secrets = {"api_keys": [CANARY], "headers": {"X-Custom": HEADER_CANARY}}
    with made(peopled, "http://127.0.0.1:9", enable=False, **secrets) as row:
        answer = patch(peopled, row, base_url=url, **KEPT_BY[way])
        assert answer.status_code == 422, answer.text
        assert peopled.admin.get(f"/api/v1/connections/{row['id']}").json() == row


@pytest.mark.parametrize("left", ["api_keys", "headers"])
def test_a_moved_connection_needs_both_its_keys_and_its_headers_anew(peopled, left):
    given = {"api_keys": ["new-key"], "headers": {"X-Custom": "new-value"}}
    secrets = {"api_keys": [CANARY], "headers": {"X-Custom": HEADER_CANARY}}
    with made(peopled, "http://127.0.0.1:9", enable=False, **secrets) as row:
        half = {name: value for name, value in given.items() if name != left}
        answer = patch(peopled, row, base_url="http://127.0.0.1:8", **half)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"{left}: This connection's address changes: give its ")
        assert patch(peopled, row, base_url="http://127.0.0.1:8", **given).json()["base_url"] == "http://127.0.0.1:8"
        empty = patch(peopled, row, base_url="http://127.0.0.1:7", api_keys=[], headers={}).json()
        assert (empty["api_keys"], empty["headers"]) == ([], {})
        assert patch(peopled, row, base_url="http://127.0.0.1:6").status_code == 200, "nothing secret is left"


def test_another_path_or_spelling_of_the_same_address_keeps_the_secrets(peopled):
    secrets = {"api_keys": [CANARY], "headers": {"X-Custom": HEADER_CANARY}}
    with made(peopled, "https://Host.invalid/v1", enable=False, **secrets) as row:
        for url in ("https://host.invalid:443", "HTTPS://HOST.INVALID/other/v1"):
            changed = patch(peopled, row, base_url=url, kind="ollama", flavour="ollama")
            assert changed.status_code == 200, changed.text
            assert (changed.json()["api_keys"], changed.json()["headers"]) == (row["api_keys"], row["headers"])


def test_a_certificate_that_is_no_longer_checked_is_in_the_audit_log(peopled):
    with made(peopled, "https://127.0.0.1:9", enable=False, api_keys=[CANARY]) as row:
        assert patch(peopled, row, tls={"verify": False}).status_code == 200
        [entry, _] = peopled.admin.get("/api/v1/audit", params={"entity_id": row["id"]}).json()["items"]
    assert (entry["changes"]["tls"]["old"]["verify"], entry["changes"]["tls"]["new"]["verify"]) == (True, False)


def test_the_audit_log_tells_a_replaced_secret_from_one_that_stayed(peopled):
    secrets = {"api_keys": ["short-one", CANARY], "headers": {"X-A": "old", "X-B": HEADER_CANARY}}
    with made(peopled, "http://127.0.0.1:9", enable=False, **secrets) as row:
        given = {"api_keys": [CANARY, "short-two"], "headers": {"X-A": "new", "X-B": row["headers"]["X-B"]}}
        assert patch(peopled, row, **given).status_code == 200
        assert patch(peopled, row, api_keys=[row["api_keys"][1], "********"]).status_code == 200, "unchanged"
        [unchanged, entry, _] = peopled.admin.get("/api/v1/audit", params={"entity_id": row["id"]}).json()["items"]
    key, header = "********" + CANARY[-4:], "********" + HEADER_CANARY[-4:]
    assert entry["changes"] == {
        "api_keys": {"old": ["********", key], "new": [key, "******** (replaced)"]},
        "headers": {
            "old": {"X-A": "********", "X-B": header},
            "new": {"X-A": "******** (replaced)", "X-B": header},
        },
    }
    assert unchanged["changes"] is None


@pytest.mark.parametrize(
    "url",
    [
        "https://u:secretpw@ho st/v1", "https://u:secretpw@host", "u:secretpw@host", "https://u:secretpw@", "http://@host",
        "https://u:secret/pw@host", "https://u:secretpw%40host", "https://u:secretpw@[::1", "https://u:secretpw@ho℀st",
        "host?key=secretpw", "host#secretpw",
    ],
)  # fmt: skip
def test_a_credential_in_an_address_is_refused_and_not_repeated(peopled, url):
    answer = peopled.admin.post("/api/v1/connections", json={"name": "x", "kind": "openai", "base_url": url})
    assert answer.status_code == 422
    assert "secret" not in answer.text


def test_two_short_keys_look_alike_and_both_survive_being_sent_back(peopled, upstream):
    with made(peopled, upstream.base_url, api_keys=["short-one", "short-two"]) as row:
        assert len(row["api_keys"]) == 2
        back = patch(peopled, row, api_keys=row["api_keys"])
        assert back.status_code == 200
        assert len(back.json()["api_keys"]) == 2, "one of the two keys was thrown away"


def test_secrets_are_only_sealed_in_the_database_and_nowhere_else(peopled, upstream):
    with made(peopled, upstream.base_url, api_keys=[CANARY], headers={"X-Custom": HEADER_CANARY}) as row:
        patch(peopled, row, api_keys=[CANARY + "-new"])
        audit = peopled.admin.get("/api/v1/audit", params={"entity_id": row["id"]}).text
        for canary in (CANARY, HEADER_CANARY):
            for file in (path for path in peopled.data_dir.rglob("*") if path.is_file()):
                assert canary.encode() not in file.read_bytes(), file
            assert canary not in audit
            assert canary not in peopled.output()
            assert canary not in peopled.admin.get("/api/v1/connections").text
        assert "********" in audit


def test_verify_tells_what_is_there_or_what_is_wrong(peopled, upstream):
    with made(peopled, upstream.base_url) as row:
        verdict = peopled.admin.post(f"/api/v1/connections/{row['id']}/verify").json()
        assert verdict["ok"]
        assert "echo" in verdict["models"]
    with made(peopled, "http://127.0.0.1:9", api_keys=[CANARY]) as row:
        verdict = peopled.admin.post(f"/api/v1/connections/{row['id']}/verify").json()
        assert not verdict["ok"]
        assert row["error"] == verdict["error"] == "Connection refused. Is it running?", "the address stands beside it"
        assert CANARY not in str(verdict)


def tried(yard, status: int = 200, **form) -> dict:
    answer = yard.admin.post("/api/v1/connections/verify", json=form)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_connection_is_tried_before_it_is_made(peopled, upstream):
    before = peopled.admin.get("/api/v1/connections").json()["items"]
    assert "echo" in tried(peopled, kind="openai", base_url=upstream.base_url, api_keys=[CANARY])["models"]
    dead = tried(peopled, kind="ollama", base_url="http://127.0.0.1:9", api_keys=[CANARY])
    assert (dead["ok"], dead["models"], CANARY in str(dead)) == (False, [], False)
    assert "base_url" in tried(peopled, 422, kind="openai", base_url="127.0.0.1")["detail"]
    assert "base_url" in tried(peopled, 422, kind="openai")["detail"]
    tried(peopled, 422, id=before[0]["id"], flavour="nothing")
    tried(peopled, 404, id="absent")
    assert [row["id"] for row in peopled.admin.get("/api/v1/connections").json()["items"]] == [
        row["id"] for row in before
    ]


def test_a_change_is_tried_with_the_secrets_that_are_stored(peopled):
    secrets = {"api_keys": [CANARY], "headers": {"X-Custom": HEADER_CANARY}}
    with run_stranger() as backend, made(peopled, backend.url, enable=False, **secrets) as row:
        assert not backend.was_told(CANARY, HEADER_CANARY)
        tried(peopled, id=row["id"], name="other", **{name: row[name] for name in (*secrets, "base_url")})
        assert backend.was_told(CANARY)
        assert backend.was_told(HEADER_CANARY)
        kept = peopled.admin.get(f"/api/v1/connections/{row['id']}").json()
        assert (kept["name"], kept["enable"]) == (row["name"], False)


def test_what_can_be_connected_is_told(peopled):
    told = peopled.admin.get("/api/v1/connections/kinds").json()
    by_name = {row["name"]: row for row in told["items"]}
    assert (by_name["ollama"]["kind"], by_name["ollama"]["default_for_kind"], by_name["ollama"]["loads"]) == (
        "ollama", True, True,
    )  # fmt: skip
    assert by_name["groq"]["base_url"].startswith("https://")
    assert {row["kind"] for row in told["items"] if row["default_for_kind"]} == {"openai", "ollama", "anthropic"}
    assert told["timeouts"]["connect"] > 0
    for method, path in (("get", "kinds"), ("post", "verify")):
        with peopled.client(USER_KEY) as user:
            assert user.request(method, f"/api/v1/connections/{path}").status_code == 403


def test_prefix_allow_list_and_switch_change_the_models_at_once(peopled, upstream):
    with made(peopled, upstream.base_url, prefix_id="first") as row:
        assert "first.echo" in names(peopled)
        patch(peopled, row, prefix_id="second", model_ids=["echo"])
        assert [name for name in names(peopled) if name.startswith(("first.", "second."))] == ["second.echo"]
        patch(peopled, row, enable=False)
        assert "second.echo" not in names(peopled)
        gone = peopled.admin.post("/v1/chat/completions", json={**ASK, "model": "second.echo"})
        assert gone.status_code == 404
        patch(peopled, row, enable=True, model_ids=None)
        assert "second.lorem" in names(peopled)
    assert not [name for name in names(peopled) if name.startswith("second.")]


def test_an_allow_list_stands_in_for_a_list_that_cannot_be_had(peopled):
    with made(peopled, "http://127.0.0.1:9", prefix_id="blind", model_ids=["known"]):
        assert "blind.known" in names(peopled)


@pytest.mark.parametrize("limits", [{"rpm": 2}, {"concurrency": 1}])
def test_the_limits_of_a_connection_hold_for_all_its_callers(peopled, upstream, limits):
    """control.connections.schemas: "What all callers together may use of this connection."."""
    from concurrent.futures import ThreadPoolExecutor

    slow = {"x-script-delay-ms": "700"}
    with made(peopled, upstream.base_url, prefix_id="lim", limits=limits, headers=slow):
        body = {**ASK, "model": "lim.slow"}

        def call(number: int) -> int:
            with peopled.client(peopled.admin.headers["authorization"].removeprefix("Bearer ")) as client:
                return client.post("/v1/chat/completions", json=body).status_code

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(call, range(6)))
    assert 1 <= answers.count(200) <= max(limits.values()), answers


WRONG = {
    "no host": {"base_url": "http://"},
    "no scheme": {"base_url": "gpu1:11434"},
    "file": {"base_url": "file:///etc/passwd"},
    "user in url": {"base_url": "http://user:secret@host"},
    "query": {"base_url": "http://host?x=1"},
    "port": {"base_url": "http://host:99999"},
    "bracket": {"base_url": "http://[::1"},
    "space in path": {"base_url": "http://127.0.0.1:9/a b"},
    "line in path": {"base_url": "http://127.0.0.1:9/a\r\nX-Injected: 1"},
    "kind": {"kind": "gopher"},
    "function": {"kind": "function"},
    "flavour": {"flavour": "mystery"},
    "flavour of another kind": {"flavour": "ollama"},
    "header line": {"headers": {"X-A": "1\r\nX-B: 2"}},
    "header name": {"headers": {"X A": "1"}},
    "header name line": {"headers": {"X-A\r\nX-B": "1"}},
    "host header": {"headers": {"Host": "other"}},
    "framing header": {"headers": {"Content-Length": "5"}},
    "key line": {"api_keys": ["sk\r\nX-B: 2"]},
    "prefix": {"prefix_id": "a b"},
    "weight": {"weight": 0},
    "timeout": {"timeouts": {"idle": 0}},
    "unknown timeout": {"timeouts": {"total": 5}},
    "limit": {"limits": {"rpm": 0}},
    "tls": {"tls": {"ca_file": "/no/such/file"}},
    "unknown": {"colour": "red"},
    "name": {"name": "   "},
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_malformed_connection_is_422_when_made_and_when_changed(peopled, upstream, fault):
    form = {"name": f"w-{fault}", "kind": "openai", "base_url": upstream.base_url}
    answer = peopled.admin.post("/api/v1/connections", json={**form, **WRONG[fault]})
    assert answer.status_code == 422, answer.text
    assert "secret" not in answer.text
    with made(peopled, upstream.base_url) as row:
        assert patch(peopled, row, **WRONG[fault]).status_code == 422


def test_a_name_is_there_once(peopled, upstream):
    with made(peopled, upstream.base_url) as row, made(peopled, upstream.base_url) as second:
        form = {"name": row["name"], "kind": "openai", "base_url": upstream.base_url}
        assert peopled.admin.post("/api/v1/connections", json=form).status_code == 409
        assert patch(peopled, second, name=row["name"]).status_code == 409
        assert patch(peopled, second, name=second["name"]).status_code == 200


def test_the_name_of_a_connection_of_the_environment_is_taken_too(peopled, upstream):
    form = {"name": "openai", "kind": "openai", "base_url": upstream.base_url}
    answer = peopled.admin.post("/api/v1/connections", json=form)
    if answer.status_code == 200:
        peopled.admin.delete(f"/api/v1/connections/{answer.json()['id']}")
    assert answer.status_code == 409


def test_what_is_absent_is_404_and_what_is_declared_is_409(peopled):
    for method, path in (("patch", ""), ("delete", ""), ("post", "/verify")):
        status = peopled.admin.request(method, f"/api/v1/connections/absent{path}", json={}).status_code
        assert status == 404
    [declared] = [
        row for row in peopled.admin.get("/api/v1/connections").json()["items"] if row["source"] != "database"
    ]
    assert declared["source"] == "environment"
    assert patch(peopled, declared, enable=False).status_code == 409
    assert peopled.admin.delete(f"/api/v1/connections/{declared['id']}").status_code == 409
    assert peopled.admin.post(f"/api/v1/connections/{declared['id']}/verify").json()["ok"]


def test_every_change_is_in_the_audit_log_with_old_and_new(peopled, upstream):
    with made(peopled, upstream.base_url, priority=1) as row:
        patch(peopled, row, priority=2, base_url=upstream.root)
    entries = peopled.admin.get("/api/v1/audit", params={"entity_id": row["id"]}).json()["items"]
    by_action = {entry["action"]: entry for entry in entries}
    assert set(by_action) == {"connection.created", "connection.updated", "connection.deleted"}
    assert by_action["connection.updated"]["changes"] == {
        "priority": {"old": 1, "new": 2},
        "base_url": {"old": upstream.base_url, "new": upstream.root},
    }
    assert by_action["connection.created"]["changes"]["priority"] == {"old": None, "new": 1}
    assert by_action["connection.deleted"]["changes"]["name"] == {"old": row["name"], "new": None}
    assert {entry["user_id"] for entry in entries} == {"built-in-administrator"}
    assert all(entry["audit_metadata"]["request_id"] for entry in entries)


def test_a_refused_change_leaves_no_audit_entry(peopled, upstream):
    def count() -> int:
        return len(peopled.admin.get("/api/v1/audit", params={"limit": 1000}).json()["items"])

    before = count()
    with peopled.client(USER_KEY) as user:
        user.post("/api/v1/connections", json={"name": "x", "kind": "openai", "base_url": upstream.base_url})
    peopled.admin.post("/api/v1/connections", json={"name": "x", "kind": "gopher", "base_url": upstream.base_url})
    assert count() == before


def test_a_lost_secret_key_switches_connections_off_and_does_not_send_calls_without_credentials(upstream, data_dir):
    with run_yard(data_dir, {"MODELYARD_SECRET_KEY": "first-secret-key-of-this-test-012345"}) as yard:
        yard.connect("sealed", upstream.base_url, api_keys=[CANARY])
        assert "echo" in names(yard)
    upstream.reset()
    with run_yard(data_dir, {"MODELYARD_SECRET_KEY": "other-secret-key-of-this-test-012345"}) as yard:
        [row] = yard.admin.get("/api/v1/connections").json()["items"]
        assert not row["enable"]
        assert names(yard) == []
    with run_yard(
        data_dir, {"MODELYARD_SECRET_KEY": "new-secret-key-of-this-test-01234567,first-secret-key-of-this-test-012345"}
    ) as yard:
        assert "echo" in names(yard), "an old key behind the new one opens what it sealed"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("localhost:11434", "for example http://localhost:11434"),
        (" 10.0.0.7:8000/v1", "for example http://10.0.0.7:8000/v1"),
        ("models.example.com", "for example http://models.example.com"),
    ],
)
def test_an_address_without_a_scheme_is_refused_with_what_to_write(peopled, address, told):
    form = {"name": "bare", "kind": "openai", "base_url": address}
    answer = peopled.admin.post("/api/v1/connections", json=form)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("base_url: The address has no scheme. Put http:// or https:// in front")
    assert answer.json()["detail"].endswith(told)


@pytest.mark.parametrize(
    "address", [f"me:{CANARY}@host:1", f"host?key={CANARY}", f"host#{CANARY}", f"%{CANARY}", "a b"]
)
def test_an_address_without_a_scheme_that_may_hold_a_secret_is_not_repeated(peopled, address):
    form = {"name": "bare", "kind": "openai", "base_url": address}
    answer = peopled.admin.post("/api/v1/connections", json=form)
    assert answer.status_code == 422
    assert "The address cannot be used: it " in answer.json()["detail"]
    assert CANARY not in answer.text
