"""What has been tried against the management API: ways in, ways up, ways to read and keep what is somebody else's."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.conftest import UPSTREAM_SECRET
from tests.control.attacking import People, chat, done, preset, run_stranger
from tests.control.catalogue import PNG, M
from tests.servers import Scripted
from tests.yard import ADMIN_KEY, Yard, run_yard

KEY = "sk-attacked-upstream-key-0123456789"
HEADER = "attacked-header-of-an-upstream-0123456789"
CANARY = "canary-of-a-prompt"
PASSWORD = "a-long-enough-password"
PERMISSIONS = {
    "workspace": {"models": True, "models_import": True, "models_export": True},
    "sharing": {"models": True, "public_models": True},
    "access_grants": {"allow_users": True},
    "features": {"api_keys": True},
}


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Ordinary people have every permission that lets them make and share; `echo` is everybody's, `lorem` nobody's."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "yard.yaml").write_text("models: [{id: echo, access_control: null}]\n")
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": UPSTREAM_SECRET}
    with run_yard(folder / "data", environment, ("--config", str(folder / "yard.yaml"))) as running:
        done(running.admin.post("/api/v1/users/default/permissions", json=PERMISSIONS))
        done(running.admin.post(f"{M}/create", json={"id": "lorem", "name": "lorem"}))
        yield running


@pytest.fixture
def people(yard: Yard) -> Iterator[People]:
    """Makes people for one test."""
    made = People(yard)
    yield made
    for client in made.clients:
        client.close()


# Secrets of connections.


def _patch(yard: Yard, made: dict, url: str) -> httpx2.Response:
    return yard.admin.patch(f"/api/v1/connections/{made['id']}", json={"base_url": url})


def _patch_masked(yard: Yard, made: dict, url: str) -> httpx2.Response:
    form = {"base_url": url, "api_keys": made["api_keys"], "headers": made["headers"]}
    return yard.admin.patch(f"/api/v1/connections/{made['id']}", json=form)


def _patch_kind(yard: Yard, made: dict, url: str) -> httpx2.Response:
    form = {"base_url": url, "kind": "ollama", "flavour": "ollama"}
    return yard.admin.patch(f"/api/v1/connections/{made['id']}", json=form)


def _position(yard: Yard, made: dict, url: str) -> httpx2.Response:
    config = done(yard.admin.get("/openai/config"))
    urls = [url if each == made["base_url"] else each for each in config["OPENAI_API_BASE_URLS"]]
    form = {"OPENAI_API_BASE_URLS": urls, "OPENAI_API_KEYS": config["OPENAI_API_KEYS"]}
    return yard.admin.post("/openai/config/update", json=form)


def _as_code(yard: Yard, made: dict, url: str) -> httpx2.Response:
    document = yard.admin.get("/api/v1/yard").text
    assert made["base_url"] in document
    return yard.admin.post("/api/v1/yard/apply", json={"document": document.replace(made["base_url"], url)})


def _verify(yard: Yard, made: dict, url: str) -> httpx2.Response:
    form = {"url": url, "key": made["api_keys"][0], "config": {"headers": made["headers"]}}
    return yard.admin.post("/openai/verify", json=form)


def _tried(yard: Yard, made: dict, url: str) -> httpx2.Response:
    return yard.admin.post("/api/v1/connections/verify", json={"id": made["id"], "base_url": url})


def _tried_masked(yard: Yard, made: dict, url: str) -> httpx2.Response:
    form = {"id": made["id"], "base_url": url, "api_keys": made["api_keys"], "headers": made["headers"]}
    return yard.admin.post("/api/v1/connections/verify", json=form)


def _as_code_elsewhere(yard: Yard, made: dict, url: str) -> httpx2.Response:
    reference = '"${MODELYARD_MOVED_KEY_1}"'
    document = f"connections: [{{name: other, kind: openai, base_url: '{url}', api_keys: [{reference}]}}]"
    return yard.admin.post("/api/v1/yard/apply", json={"document": document, "keep": True})


def _of_the_environment(yard: Yard, made: dict, url: str) -> httpx2.Response:
    reference = '"${OPENAI_API_KEY}"'
    document = f"connections: [{{name: other, kind: openai, base_url: '{url}', api_keys: [{reference}]}}]"
    return yard.admin.post("/api/v1/yard/apply", json={"document": document, "keep": True})


@pytest.mark.parametrize(
    "move",
    [
        _patch,
        _patch_masked,
        _patch_kind,
        _position,
        _as_code,
        _verify,
        _tried,
        _tried_masked,
        _as_code_elsewhere,
        _of_the_environment,
    ],
    ids=lambda move: move.__name__,
)
def test_a_stored_key_is_never_sent_to_a_server_it_was_not_given_for(yard: Yard, upstream: Scripted, move) -> None:
    made = yard.connect("moved", f"{upstream.root}/moved/v1", api_keys=[KEY], headers={"x-org": HEADER})
    try:
        with run_stranger() as stranger:
            move(yard, made, f"{stranger.url}/v1")
            done(yard.admin.get("/api/v1/connections", params={"refresh": "true"}))
            assert not stranger.was_told(KEY, HEADER, UPSTREAM_SECRET)
    finally:
        for row in done(yard.admin.get("/api/v1/connections"))["items"]:
            if row["source"] == "database":
                done(yard.admin.delete(f"/api/v1/connections/{row['id']}"))


def test_the_audit_log_tells_that_a_key_was_replaced_by_one_that_looks_alike(yard: Yard, upstream: Scripted) -> None:
    made = yard.connect("alike", f"{upstream.root}/alike/v1", api_keys=[f"sk-one-{KEY}"])
    try:
        done(yard.admin.patch(f"/api/v1/connections/{made['id']}", json={"api_keys": [f"sk-two-{KEY}"]}))
        entry = done(yard.admin.get("/api/v1/audit", params={"entity_id": made["id"], "limit": "1"}))["items"][0]
        assert entry["action"] == "connection.updated"
        assert "api_keys" in (entry["changes"] or {})
        assert KEY not in json.dumps(entry)
    finally:
        done(yard.admin.delete(f"/api/v1/connections/{made['id']}"))


def test_a_file_of_others_does_not_send_our_own_secrets_away(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    reference = "os.environ/MODELYARD_ADMIN_API_KEY"
    file.write_text(
        "model_list:\n"
        f"- {{model_name: m, litellm_params: {{model: openai/m, api_base: 'http://127.0.0.1:9/v1', api_key: {reference}}}}}\n"
    )
    command = [sys.executable, "-m", "modelyard", "import", "litellm", str(file), "--data-dir", str(tmp_path / "data")]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MODELYARD_ADMIN_API_KEY": ADMIN_KEY}
    done_by = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    document = [*command[:3], "export", "--data-dir", str(tmp_path / "data")]
    exported = subprocess.run(document, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert exported.returncode == 0, exported.stderr
    assert "KEY_1" not in exported.stdout, done_by.stdout


def test_nobody_is_told_a_key_that_an_upstream_repeats_in_its_list(yard: Yard, people: People) -> None:
    _, bob = people.make()
    with run_stranger() as stranger:
        stranger.listed = [{"id": "talkative", "note": f"your key is {KEY}"}]
        made = yard.connect("talkative", f"{stranger.url}/v1", api_keys=[KEY])
        try:
            done(yard.admin.post(f"{M}/create", json={"id": "talkative", "name": "t", "access_control": None}))
            for path in ("/api/models", "/v1/models", "/api/tags", "/api/v1/models/list", "/openai/models/0"):
                for client in (bob, yard.admin):
                    assert KEY not in client.get(path).text, path
        finally:
            done(yard.admin.delete(f"/api/v1/connections/{made['id']}"))
            done(yard.admin.post(f"{M}/model/delete", json={"id": "talkative"}))


# Rights.


@pytest.mark.parametrize("way", ["another administrator", "own password", "a key in a document"])
def test_a_key_that_expires_makes_nothing_that_outlives_it(yard: Yard, people: People, way: str) -> None:
    user_id, boss = people.make("admin")
    email = done(boss.get("/api/v1/auths/"))["email"]
    client = people.with_key(user_id, expires_at=int(time.time()) + 3600)
    if way == "another administrator":
        form = {"email": f"heir-{email}", "role": "admin", "password": PASSWORD}
        answer = client.post("/api/v1/users/", json=form)
    elif way == "own password":
        answer = client.post(f"/api/v1/users/{user_id}/update", json={"password": PASSWORD})
    else:
        key = f"sk-my-{'x' * 40}"
        document = f'users: [{{email: "{email}", role: admin, keys: [{{name: forever, key: {key}}}]}}]'
        answer = client.post("/api/v1/yard/apply", json={"document": document, "keep": True})
    assert answer.status_code == 403, answer.text


def test_a_former_administrator_governs_no_base_model(yard: Yard, people: People) -> None:
    user_id, boss = people.make("admin")
    done(boss.post(f"{M}/create", json={"id": "unicode", "name": "unicode"}))
    try:
        done(yard.admin.post("/api/v1/users/update/role", json={"id": user_id, "role": "user"}))
        opened = boss.post(f"{M}/model/access/update", json={"id": "unicode", "access_control": None})
        assert opened.status_code in (403, 404), opened.text
        assert chat(boss, "unicode") == 404
    finally:
        done(yard.admin.post(f"{M}/model/delete", json={"id": "unicode"}))


def test_what_an_administrator_deleted_its_owner_does_not_bring_back(yard: Yard, people: People) -> None:
    _, owner = people.make()
    done(owner.post(f"{M}/create", json=preset("removed", access_control=None)))
    done(yard.admin.post(f"{M}/model/delete", json={"id": "removed"}))
    answer = owner.post(f"{M}/model/restore", json={"id": "removed"})
    assert answer.status_code in (403, 404), answer.text


def test_who_may_no_longer_share_does_not_share_by_restoring(yard: Yard, people: People) -> None:
    _, owner = people.make()
    _, other = people.make()
    done(owner.post(f"{M}/create", json=preset("shared-once", access_control=None)))
    done(owner.post(f"{M}/model/delete", json={"id": "shared-once"}))
    less = {"workspace": {"models": False}, "sharing": {"models": False, "public_models": False}}
    done(yard.admin.post("/api/v1/users/default/permissions", json=less))
    try:
        owner.post(f"{M}/model/restore", json={"id": "shared-once"})
        assert chat(other, "shared-once") == 404
    finally:
        done(yard.admin.post("/api/v1/users/default/permissions", json=PERMISSIONS))


def test_nobody_takes_the_other_spelling_of_somebody_elses_model(yard: Yard, people: People) -> None:
    _, alice = people.make()
    _, eve = people.make()
    _, other = people.make()
    done(alice.post(f"{M}/create", json=preset("team", access_control=None)))
    assert chat(other, "team:latest") == 200
    eve.post(f"{M}/create", json=preset("team:latest"))
    assert chat(other, "team:latest") == 200


def test_an_administrator_can_govern_a_base_model_whose_name_somebody_took(
    yard: Yard, people: People, upstream: Scripted
) -> None:
    _, eve = people.make()
    _, other = people.make()
    done(eve.post(f"{M}/create", json=preset("late.echo")))
    made = yard.connect("late", upstream.base_url, prefix_id="late", model_ids=["echo"])
    try:
        done(yard.admin.post(f"{M}/model/access/update", json={"id": "late.echo", "access_control": None}))
        assert chat(other, "late.echo") == 200
        info = [model for model in done(other.get("/api/models"))["data"] if model["id"] == "late.echo"]
        assert [model.get("preset", False) for model in info] == [False]
    finally:
        done(yard.admin.delete(f"/api/v1/connections/{made['id']}"))


def test_no_route_opens_a_base_model_to_who_may_not_use_it(yard: Yard, people: People) -> None:
    user_id, bob = people.make()
    _, alice = people.make()
    done(bob.post(f"{M}/create", json=preset("mine", access_control=None)))
    lend = {"read": {"user_ids": [user_id]}}
    done(yard.admin.post(f"{M}/model/access/update", json={"id": "lorem", "access_control": lend}))
    version = done(bob.post(f"{M}/model/update", json={"id": "mine", "base_model_id": "lorem"}))["version_id"]
    assert chat(alice, "mine") == 200
    done(yard.admin.post(f"{M}/model/access/update", json={"id": "lorem", "access_control": {}}))
    assert chat(alice, "mine") == 404
    done(bob.post(f"{M}/model/delete", json={"id": "mine"}))
    done(bob.post(f"{M}/model/restore", json={"id": "mine"}))
    assert chat(alice, "mine") == chat(bob, "mine") == 404
    done(bob.post(f"{M}/model/update", json={"id": "mine", "base_model_id": "echo"}))
    back = bob.post(f"{M}/model/update/version", params={"id": "mine"}, json={"version_id": version})
    assert back.status_code == 403
    for base in ("lorem", "lorem:latest", "LOREM", "l\u043erem", "mine"):  # the fourth looks like the first
        row = {"id": f"over {base}", "name": "x", "base_model_id": base}
        assert bob.post(f"{M}/create", json=row).status_code == 403, base
        assert bob.post(f"{M}/import", json=[row]).status_code == 422, base
        form = {"id": row["id"], "content": f"FROM {base}\n"}
        assert bob.post(f"{M}/import/modelfile", json=form).status_code == 403, base
    assert chat(alice, "mine") == 200
    # Nor is it opened when its owner is gone.
    done(yard.admin.post(f"{M}/model/access/update", json={"id": "lorem", "access_control": lend}))
    done(bob.post(f"{M}/model/update", json={"id": "mine", "base_model_id": "lorem"}))
    done(yard.admin.post(f"{M}/model/access/update", json={"id": "lorem", "access_control": {}}))
    done(yard.admin.delete(f"/api/v1/users/{user_id}"))
    assert chat(alice, "mine") == 404


def test_nobody_reads_or_changes_what_is_private_by_any_route(yard: Yard, people: People) -> None:
    alice_id, alice = people.make()
    bob_id, bob = people.make()
    _, service = people.make(kind="service")
    confined = people.with_key(alice_id, models=["echo"])
    model_id = "a/private:model"
    params = {"system": CANARY}
    meta = {"description": CANARY, "tags": [CANARY], "profile_image_url": PNG}
    made = done(alice.post(f"{M}/create", json=preset(model_id, params=params, meta=meta)))
    values = {
        "user_id": alice_id,
        "key_id": next(key["id"] for key in done(alice.get("/api/v1/keys"))["items"] if key["models"] is None),
        "version_id": made["version_id"],
        "index": "0",
        "revision_id": "1",
        "group_id": "x",
        "connection_id": "x",
        "session_id": "x",
    }
    query = {
        "id": model_id,
        "model_id": model_id,
        "ids": model_id,
        "from": made["version_id"],
        "to": made["version_id"],
    }
    row = {"id": model_id, "name": "taken", "base_model_id": "echo", "user_id": bob_id, "access_control": None}
    forms = (
        row,
        {"models": [row]},
        {"ids": [model_id], "action": "share", "access_control": None},
        {"id": model_id, "version_id": made["version_id"]},
        {"id": model_id, "content": "FROM echo"},
        {"model": model_id},
        {"user_id": alice_id, "role": "user"},
    )
    picture = PNG.partition(",")[2]
    for path, methods in done(yard.admin.get("/api/v1/openapi.json"))["paths"].items():
        for method in methods:
            # Whether a confined key ends others of its owner is a test of its own.
            ends_keys = (method, path) == ("delete", "/api/v1/keys/{key_id}")
            for client in (bob, service) if ends_keys else (bob, service, confined):
                for form in forms if method != "get" else (None,):
                    answer = client.request(method.upper(), path.format(**values), params=query, json=form)
                    place = (method, path, form, answer.text[:200])
                    assert answer.status_code < 500, place
                    assert CANARY not in answer.text, place
                    assert picture not in answer.text, place
                    assert b"some pixels" not in answer.content, place
    left = done(alice.get(f"{M}/model", params={"id": model_id}))
    assert left == made
    assert done(alice.get("/api/v1/auths/"))["role"] == "user"


def test_a_confined_key_ends_no_other_key(yard: Yard, people: People) -> None:
    user_id, alice = people.make()
    key_id = done(alice.get("/api/v1/keys"))["items"][0]["id"]
    confined = people.with_key(user_id, models=["echo"])
    assert confined.delete(f"/api/v1/keys/{key_id}").status_code == 403
    assert alice.get("/api/v1/auths/").status_code == 200


def test_a_deleted_model_can_be_restored_although_a_stranger_used_its_id_meanwhile(yard: Yard, people: People) -> None:
    _, alice = people.make()
    _, bob = people.make()
    done(alice.post(f"{M}/create", json=preset("id-of-two")))
    done(alice.post(f"{M}/model/delete", json={"id": "id-of-two"}))
    done(bob.post(f"{M}/create", json=preset("id-of-two")))
    done(bob.post(f"{M}/model/delete", json={"id": "id-of-two"}))
    done(alice.post(f"{M}/model/restore", json={"id": "id-of-two"}))


# Requests from elsewhere, and floods.


def test_no_changing_route_obeys_the_cookie_of_a_request_from_another_page(yard: Yard, people: People) -> None:
    people.make("admin", email="cookie@example.com", password=PASSWORD)
    with httpx2.Client(base_url=yard.url, timeout=30) as browser:
        signed_in = done(
            browser.post("/api/v1/auths/signin", json={"email": "cookie@example.com", "password": PASSWORD})
        )
        doors = [
            (method, path.replace("{", "").replace("}", ""))
            for path, methods in done(browser.get("/api/v1/openapi.json"))["paths"].items()
            for method in methods
            if method != "get" and not path.endswith(("/signin", "/signup", "/setup"))
        ]
        assert ("post", "/openai/config/update") in doors
        assert ("post", "/api/models/unload") in doors
        pages = (
            {},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "http://evil.example"},
        )
        for method, path in [*doors, ("post", "/v1/chat/completions"), ("post", "/api/chat")]:
            for page in pages:
                answer = browser.request(method.upper(), path, headers=page, content=b"{}")
                assert answer.status_code == 403, (method, path, page, answer.text)
        assert browser.get("/api/v1/auths/").status_code == 200
        assert signed_in["token"] not in yard.output()


@pytest.mark.parametrize("path", ["/api/v1/auths/signin", "/api/v1/auths/signup", "/api/v1/setup"])
def test_without_a_credential_nobody_makes_the_server_read_a_large_body(yard: Yard, path: str) -> None:
    body = b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}"
    with httpx2.Client(base_url=yard.url, timeout=30) as anybody:
        answer = anybody.post(path, content=body)
    assert answer.status_code == 413
    assert len(answer.content) < 10_000


def test_a_form_with_many_faults_is_answered_in_short(yard: Yard, people: People) -> None:
    _, bob = people.make()
    body = b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}"
    answer = bob.post("/api/v1/keys", content=body)
    assert answer.status_code in (413, 422)
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("path", ["/api/v1/keys", f"{M}/model/restore"])
def test_a_small_form_is_never_read_out_of_megabytes(yard: Yard, people: People, path: str) -> None:
    _, bob = people.make()
    wide_form = b"{" + b",".join(b'"k%d":1' % number for number in range(200_000)) + b"}"
    assert bob.post(path, content=wide_form).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000 + b"]" * 200_000,
        b'{"id":"d","name":"d","base_model_id":"echo","params":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"id":"d","name":"d","base_model_id":"echo","params":{"seed":' + b"9" * 100_000 + b"}}",
        b'{"id":"d","name":"d","base_model_id":"echo","params":{"seed":1e999}}',
        b'{"id":"d","name":"\\ud800","base_model_id":"echo"}',
        b'{"id":"d","name":"d","base_model_id":"echo","access_control":{"read":{"user_ids":["\\ud800"]}}}',
        b'{"id":"d","name":"\\u0000","base_model_id":"echo"}',
        b'{"id":"d","name":"d","base_model_id":"echo","meta":{"profile_image_url":"data:image/svg+xml;base64,PHN2Zz4="}}',
        b'{"id":"d","name":"d","base_model_id":"echo","meta":{"profile_image_url":"javascript:alert(1)"}}',
    ],
    ids=("array", "object", "integer", "infinite", "surrogate", "surrogate user", "nul", "svg", "script"),
)
def test_what_cannot_be_a_model_is_refused_without_a_fault_of_ours(yard: Yard, people: People, body: bytes) -> None:
    _, bob = people.make()
    assert bob.post(f"{M}/create", content=body).status_code in (400, 422)
    assert bob.post(f"{M}/import", content=b"[" + body + b"]").status_code in (400, 422)
    assert "Traceback" not in yard.output()


# Things at once.


def test_one_of_several_administrators_remains_when_all_remove_each_other(tmp_path: Path) -> None:
    environment = {
        "MODELYARD_ADMIN_API_KEY": "",
        "MODELYARD_ADMIN_EMAIL": "a0@example.com",
        "MODELYARD_ADMIN_PASSWORD": PASSWORD,
    }
    with run_yard(tmp_path / "data", environment) as lonely, ExitStack() as stack:

        def sign_in(email: str) -> tuple[str, httpx2.Client]:
            with lonely.client(None) as door:
                session = done(door.post("/api/v1/auths/signin", json={"email": email, "password": PASSWORD}))
            return session["id"], stack.enter_context(lonely.client(session["token"]))

        people = [sign_in("a0@example.com")]
        for number in range(1, 4):
            form = {"email": f"a{number}@example.com", "role": "admin", "password": PASSWORD}
            done(people[0][1].post("/api/v1/users/", json=form))
            people.append(sign_in(f"a{number}@example.com"))

        def remove(at: int) -> int:
            victim = people[(at + 1) % 4][0]
            if at % 2:
                return people[at][1].delete(f"/api/v1/users/{victim}").status_code
            form = {"id": victim, "role": "user"}
            return people[at][1].post("/api/v1/users/update/role", json=form).status_code

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(remove, range(4)))
        still = [client for _, client in people if client.get("/api/v1/users/").status_code == 200]
        assert still
        assert still[0].post("/api/v1/yard/apply", json={"document": "users: []"}).status_code in (409, 422)


def test_of_many_who_do_the_same_at_once_one_succeeds(yard: Yard, people: People) -> None:
    user_id, _ = people.make()
    clients = [people.with_key(user_id) for _ in range(8)]

    def at_once(path: str, form: dict) -> list[int]:
        with ThreadPoolExecutor(len(clients)) as pool:
            return sorted(pool.map(lambda client: client.post(path, json=form).status_code, clients))

    assert at_once(f"{M}/create", preset("raced")) == [200, *[409] * 7]
    assert at_once(f"{M}/model/delete", {"id": "raced"}) == [200, *[404] * 7]
    assert at_once(f"{M}/model/restore", {"id": "raced"}) == [200, *[404] * 7]
    key_id = done(clients[0].post("/api/v1/keys", json={"name": "raced"}))["id"]
    assert at_once(f"/api/v1/keys/{key_id}/rotate", {"overlap_seconds": 600}) == [200, *[409] * 7]


def test_groups_that_are_put_below_each_other_at_once_make_no_circle(yard: Yard) -> None:
    groups = [done(yard.admin.post("/api/v1/groups/create", json={"name": f"ring {at}"}))["id"] for at in range(4)]

    def below(at: int) -> int:
        form = {"parent_id": groups[(at + 1) % 4]}
        return yard.admin.post(f"/api/v1/groups/id/{groups[at]}/update", json=form).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(below, range(4))) == [200, 200, 200, 409]


# Last: what the whole module has left behind.


def test_refused_changes_leave_no_entry_and_secrets_are_nowhere(yard: Yard, people: People) -> None:
    _, bob = people.make()
    before = done(yard.admin.get("/api/v1/audit", params={"limit": "1"}))["items"][0]["position"]
    bob.post(f"{M}/create", json={"id": "no", "name": "no", "base_model_id": "lorem"})
    bob.post(f"{M}/import", json=[preset("yes"), {"id": "", "name": "bad"}])
    bob.post("/api/v1/groups/create", json={"name": "no"})
    bad = "models: [{id: z1, base_model_id: echo}, {id: z2, base_model_id: echo, params: {temperature: hot}}]"
    assert yard.admin.post("/api/v1/yard/apply", json={"document": bad, "keep": True}).status_code == 422
    entries = yard.admin.get("/api/v1/audit/export").text
    assert json.loads(entries.splitlines()[-1])["position"] == before
    assert done(yard.admin.post("/api/v1/audit/verify"))["ok"] is True
    secrets = (KEY, HEADER, UPSTREAM_SECRET, PASSWORD)
    with sqlite3.connect(next(yard.data_dir.glob("*.db"))) as database:
        dump = "\n".join(database.iterdump())
    database.close()
    for text in (entries, yard.admin.get("/api/v1/yard").text, yard.output(), dump):
        assert not [secret for secret in secrets if secret in text]
