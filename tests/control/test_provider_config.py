"""`/openai` and `/ollama` beside calls of models: connections by position, and what is not passed on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import UPSTREAM_SECRET
from tests.control.conftest import CONFINED_ADMIN_KEY, KEYS, PENDING_KEY, PEOPLE, USER_KEY
from tests.yard import run_yard

CANARY = "sk-canary-of-positions-0123456789"
SECOND = "sk-second-canary-of-positions-98765"
HEADER_CANARY = "header-canary-of-positions-0123456"
MASKED = "********"


@pytest.fixture(scope="module")
def declared(upstream, tmp_path_factory) -> Iterator:
    """A server with one declared connection of kind openai, and people."""
    folder = tmp_path_factory.mktemp("declared")
    (folder / "yard.yaml").write_text(PEOPLE)
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": UPSTREAM_SECRET, **KEYS}
    with run_yard(folder / "data", environment, ("--config", str(folder / "yard.yaml"))) as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator:
    """A server without any connection."""
    with run_yard(tmp_path_factory.mktemp("empty") / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(request) -> Iterator[None]:
    """Each test leaves no connection of its own behind."""
    yield
    for name in {"declared", "empty"} & set(request.fixturenames):
        yard = request.getfixturevalue(name)
        for row in yard.admin.get("/api/v1/connections").json()["items"]:
            if row["source"] == "database":
                assert yard.admin.delete(f"/api/v1/connections/{row['id']}").status_code == 200


def openai(yard) -> dict:
    answer = yard.admin.get("/openai/config")
    assert answer.status_code == 200, answer.text
    return answer.json()


def update(yard, status: int = 200, kind: str = "openai", **form) -> dict:
    answer = yard.admin.post(f"/{kind}/config/update", json=form)
    assert answer.status_code == status, answer.text
    return answer.json()


def put(yard, urls: list[str], status: int = 200, **more) -> dict:
    return update(yard, status, OPENAI_API_BASE_URLS=urls, **more)


def rows(yard) -> list[dict]:
    return yard.admin.get("/api/v1/connections").json()["items"]


def key_used(yard, upstream, model: str) -> str:
    """The key that reaches the backend with a call of this model."""
    asked = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    assert yard.admin.post("/v1/chat/completions", json=asked).status_code == 200
    return upstream.state()["requests"][-1]["headers"]["authorization"].removeprefix("Bearer ")


def test_connections_are_lists_by_position_with_masked_keys(declared):
    config = openai(declared)
    assert config["ENABLE_OPENAI_API"] is True
    assert config["OPENAI_API_KEYS"] == [MASKED + UPSTREAM_SECRET[-4:]]
    assert config["OPENAI_API_CONFIGS"]["0"]["source"] == "environment"
    assert UPSTREAM_SECRET not in declared.admin.get("/openai/config").text
    assert declared.admin.get("/ollama/config").json() == {
        "ENABLE_OLLAMA_API": False, "OLLAMA_BASE_URLS": [], "OLLAMA_API_CONFIGS": {},
    }  # fmt: skip


def test_what_is_shown_can_be_sent_back_and_changes_nothing(declared, upstream):
    mine = upstream.root + "/mine/v1"
    put(declared, [upstream.base_url, mine], OPENAI_API_KEYS=[MASKED + UPSTREAM_SECRET[-4:], CANARY],
        OPENAI_API_CONFIGS={"1": {"headers": {"X-Team": HEADER_CANARY}, "tags": [{"name": "t"}]}})  # fmt: skip
    before, config = rows(declared), openai(declared)
    assert HEADER_CANARY not in str(config) and CANARY not in str(config)
    audited = len(declared.admin.get("/api/v1/audit", params={"entity_type": "connection"}).json()["items"])
    assert update(declared, **config) == config
    strip = ("models_age", "error")
    assert [{k: v for k, v in row.items() if k not in strip} for row in rows(declared)] == [
        {k: v for k, v in row.items() if k not in strip} for row in before
    ]
    after = len(declared.admin.get("/api/v1/audit", params={"entity_type": "connection"}).json()["items"])
    assert after == audited


def test_connections_made_at_once_keep_their_positions(empty, upstream):
    urls = [f"{upstream.root}/{name}/v1" for name in "dbeca"]
    shown = put(empty, urls, OPENAI_API_KEYS=[f"{CANARY}{i}" for i in range(5)],
                OPENAI_API_CONFIGS={str(i): {"prefix_id": f"p{i}"} for i in range(5)} | {"9": {"prefix_id": "x"}})  # fmt: skip
    assert shown["OPENAI_API_BASE_URLS"] == urls
    assert [shown["OPENAI_API_CONFIGS"][str(i)]["prefix_id"] for i in range(5)] == [f"p{i}" for i in range(5)]
    assert set(shown["OPENAI_API_CONFIGS"]) == {"0", "1", "2", "3", "4"}
    ids = [shown["OPENAI_API_CONFIGS"][str(i)]["id"] for i in range(5)]
    assert len({row["name"] for row in rows(empty)}) == 5
    # One is taken out of the middle: the others stay what they were.
    kept = [0, 1, 3, 4]
    shown = put(empty, [urls[i] for i in kept], OPENAI_API_KEYS=[shown["OPENAI_API_KEYS"][i] for i in kept])
    assert [shown["OPENAI_API_CONFIGS"][str(i)]["id"] for i in range(4)] == [ids[i] for i in kept]
    assert [shown["OPENAI_API_CONFIGS"][str(i)]["prefix_id"] for i in range(4)] == ["p0", "p1", "p3", "p4"]
    # And one gets another address in its place.
    moved = [urls[0], urls[1] + "/moved", urls[3], urls[4]]
    shown = put(empty, moved)
    assert shown["OPENAI_API_BASE_URLS"] == moved
    assert [shown["OPENAI_API_CONFIGS"][str(i)]["id"] for i in range(4)] == [ids[i] for i in kept]


def test_models_of_a_new_connection_can_be_called_with_its_key(empty, upstream):
    put(empty, [upstream.base_url], OPENAI_API_KEYS=[CANARY], OPENAI_API_CONFIGS={"0": {"prefix_id": "first"}})
    assert key_used(empty, upstream, "first.echo") == CANARY
    shown = openai(empty)["OPENAI_API_KEYS"]
    put(empty, [upstream.base_url], OPENAI_API_KEYS=shown, OPENAI_API_CONFIGS={"0": {"prefix_id": "again"}})
    assert key_used(empty, upstream, "again.echo") == CANARY
    put(empty, [upstream.base_url], OPENAI_API_KEYS=[SECOND])
    assert key_used(empty, upstream, "again.echo") == SECOND
    raw = empty.admin.get("/openai/models/0").json()
    assert (
        raw["object"] == "list"
        and {"id": "echo", "object": "model", "created": 0, "owned_by": "scripted"} in raw["data"]
    )
    assert empty.admin.get("/openai/models/1").status_code == 404
    put(empty, [])
    assert empty.admin.get("/v1/models/again.echo").status_code == 404


def test_a_connection_of_several_keys_keeps_them_when_the_shown_one_comes_back(empty, upstream):
    empty.connect("several", upstream.base_url, api_keys=[CANARY, SECOND])
    put(empty, urls=[upstream.base_url], OPENAI_API_KEYS=openai(empty)["OPENAI_API_KEYS"],
        OPENAI_API_CONFIGS={"0": {"tags": ["new"]}})  # fmt: skip
    row = rows(empty)[0]
    assert row["tags"] == ["new"] and row["name"] == "several"
    assert row["api_keys"] == [MASKED + CANARY[-4:], MASKED + SECOND[-4:]]


@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("key", ["masked", "left out"])
def test_no_secret_goes_along_to_another_address(empty, upstream, kind, key):
    empty.connect("stays", "http://127.0.0.1:9", kind=kind, enable=False, api_keys=[CANARY], headers={"X": "value"})

    def moved(status: int, key: str | None, **config) -> None:
        name = kind.upper()
        config = config if key is None else {**config, "key": key}
        urls = "OPENAI_API_BASE_URLS" if kind == "openai" else "OLLAMA_BASE_URLS"
        form = {urls: ["http://127.0.0.1:8"], f"{name}_API_CONFIGS": {"0": config}}
        if kind == "openai" and key is not None:
            form["OPENAI_API_KEYS"] = [key]
        update(empty, status, kind, **form)

    kept = MASKED + CANARY[-4:] if key == "masked" else None
    before = rows(empty)
    moved(422, kept)
    moved(422, kept, headers={})
    moved(422, SECOND)
    moved(422, SECOND, headers={"X": MASKED})
    assert rows(empty) == before
    moved(200, SECOND, headers={})
    [row] = rows(empty)
    assert (row["base_url"], row["api_keys"], row["headers"]) == ("http://127.0.0.1:8", [MASKED + SECOND[-4:]], {})


def test_a_declared_connection_is_not_moved_whatever_key_is_given(declared):
    for more in ({}, {"OPENAI_API_KEYS": openai(declared)["OPENAI_API_KEYS"]}, {"OPENAI_API_KEYS": [CANARY]}):
        put(declared, ["http://127.0.0.1:9/v1"], 409, **more)


def test_keys_are_cut_and_filled_up_to_the_number_of_urls(empty, upstream):
    urls = [upstream.root + "/a/v1", upstream.root + "/b/v1"]
    assert put(empty, urls, OPENAI_API_KEYS=[CANARY])["OPENAI_API_KEYS"] == [MASKED + CANARY[-4:], ""]
    shown = put(empty, urls, OPENAI_API_KEYS=["", SECOND, "sk-of-nobody-at-all-000"])
    assert shown["OPENAI_API_KEYS"] == ["", MASKED + SECOND[-4:]]


def test_switching_off_switches_all_off_and_on_again(empty, upstream):
    put(empty, [upstream.root + "/a/v1", upstream.root + "/b/v1"])
    config = {**openai(empty), "ENABLE_OPENAI_API": False}
    off = update(empty, **config)
    assert off["ENABLE_OPENAI_API"] is False and not any(row["enable"] for row in rows(empty))
    assert update(empty, **off) == off
    assert update(empty, **{**off, "ENABLE_OPENAI_API": True})["ENABLE_OPENAI_API"] is True
    assert all(row["enable"] for row in rows(empty))
    one = {**openai(empty), "OPENAI_API_CONFIGS": {"1": {"enable": False}}}
    assert update(empty, **one)["ENABLE_OPENAI_API"] is True
    assert [row["enable"] for row in rows(empty)] == [True, False]


def test_a_declared_connection_is_changed_where_it_is_declared(declared, upstream):
    before = openai(declared)
    own = upstream.base_url
    for form in (
        {"OPENAI_API_BASE_URLS": []},
        {"OPENAI_API_BASE_URLS": [own + "/other"]},
        {"OPENAI_API_BASE_URLS": [own], "OPENAI_API_KEYS": [CANARY]},
        {"OPENAI_API_BASE_URLS": [own], "OPENAI_API_KEYS": []},
        {"OPENAI_API_BASE_URLS": [own], "OPENAI_API_CONFIGS": {"0": {"enable": False}}},
        {"OPENAI_API_BASE_URLS": [own], "OPENAI_API_CONFIGS": {own: {"prefix_id": "p"}}},
        {**before, "ENABLE_OPENAI_API": False},
        # One change of many is refused: none is made.
        {"OPENAI_API_BASE_URLS": [own, upstream.root + "/new/v1"], "OPENAI_API_CONFIGS": {"0": {"enable": False}}},
    ):
        assert "environment" in update(declared, 409, **form)["detail"]
        assert openai(declared) == before


BAD = [
    {},
    {"OPENAI_API_BASE_URLS": "http://x"},
    {"OPENAI_API_BASE_URLS": [""]},
    {"OPENAI_API_BASE_URLS": ["file:///etc/passwd"]},
    {"OPENAI_API_BASE_URLS": ["http://[::1"]},
    {"OPENAI_API_BASE_URLS": ["http://user:password@host/v1"]},
    {"OPENAI_API_BASE_URLS": ["http://x/" + "a" * 2000]},
    {"OPENAI_API_BASE_URLS": ["http://x.test"] * 101},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_KEYS": [MASKED + "abcd"]},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_KEYS": ["line\nbreak"]},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_CONFIGS": {"0": {"auth_type": "session"}}},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_CONFIGS": {"0": {"headers": {"Host": "y"}}}},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_CONFIGS": {"0": {"prefix_id": "a/b"}}},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_CONFIGS": {"0": {"tags": [{"title": "x"}]}}},
    {"OPENAI_API_BASE_URLS": ["http://x.test"], "OPENAI_API_CONFIGS": {"0": 7}},
]


@pytest.mark.parametrize("form", BAD)
def test_a_wrong_list_is_refused_and_nothing_is_written(empty, form):
    update(empty, 422, **form)
    assert rows(empty) == []


def test_nodes_of_ollama_have_their_key_in_their_config(empty, upstream):
    form = {"OLLAMA_BASE_URLS": [upstream.root], "OLLAMA_API_CONFIGS": {"0": {"key": CANARY, "prefix_id": "node"}}}
    shown = update(empty, kind="ollama", ENABLE_OLLAMA_API=True, **form)
    config = shown["OLLAMA_API_CONFIGS"]["0"]
    assert shown["ENABLE_OLLAMA_API"] is True
    assert (config["key"], config["connection_type"], config["prefix_id"]) == (MASKED + CANARY[-4:], "local", "node")
    assert openai(empty)["OPENAI_API_BASE_URLS"] == []
    entry = next(m for m in empty.admin.get("/api/models").json()["data"] if m["id"].startswith("node."))
    assert (entry["owned_by"], entry["connection_type"], entry["ollama"]["urls"]) == ("ollama", "local", [0])
    assert update(empty, kind="ollama", **shown) == shown
    cleared = {**shown, "OLLAMA_API_CONFIGS": {upstream.root: {"key": ""}}}
    assert update(empty, kind="ollama", **cleared)["OLLAMA_API_CONFIGS"]["0"]["key"] == ""


def verify(yard, kind: str = "openai", status: int = 200, **form) -> dict:
    answer = yard.admin.post(f"/{kind}/verify", json=form)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_backend_is_tried_without_being_connected(empty, upstream):
    assert "echo" in [row["id"] for row in verify(empty, url=upstream.base_url, key=CANARY)["data"]]
    assert set(verify(empty, "ollama", url=upstream.root)) == {"version"}
    assert rows(empty) == []


def test_a_masked_key_is_tried_only_where_it_belongs(empty, upstream):
    empty.connect("known", upstream.base_url, api_keys=[CANARY])
    shown = openai(empty)["OPENAI_API_KEYS"][0]
    assert verify(empty, url=upstream.base_url + "/", key=shown)["data"]
    assert CANARY not in str(verify(empty, status=422, url=upstream.root + "/elsewhere/v1", key=shown))


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives every request this answer; its address and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    asked.append(peer.recv(65536))
                    peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def answer_of(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


HOSTILE = [
    (b"", 502), (b"nonsense\r\n\r\n", 502), (answer_of(b"<html>"), 502), (answer_of(b"[" * 100_000), 502),
    (answer_of(b"{}"), 502), (answer_of(b'{"version": 7}'), 502), (answer_of(b'{"version": "' + b"x" * 70_000 + b'"}'), 502),
    (answer_of(b"no", b"500 No"), 502), (answer_of(b"", b"302 Found\r\nlocation: http://127.0.0.1/"), 502),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "status"), HOSTILE)
@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_a_backend_that_answers_nonsense_is_told_as_such(empty, kind, answer, status):
    with answering(answer) as (url, _):
        told = verify(empty, kind, status, url=url, key=CANARY)
    assert CANARY not in str(told)


def test_a_backend_that_repeats_its_key_does_not_tell_it_to_us(empty):
    body = b'{"data": [{"id": "m", "%b": ["%b"]}], "version": "%b"}' % ((CANARY.encode(),) * 3)
    with answering(answer_of(body)) as (url, asked):
        assert CANARY not in str(verify(empty, url=url, key=CANARY))
        assert CANARY not in str(verify(empty, "ollama", url=url, key=CANARY))
    assert all(CANARY.encode() in request for request in asked) and len(asked) == 2


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x", "http://", "http://a b/", "\u202ehttp://x", "x"])
@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_only_addresses_that_could_be_connected_are_tried(empty, kind, url):
    verify(empty, kind, 422, url=url)


PATHS = [
    ("GET", "/openai/config"), ("POST", "/openai/config/update"), ("POST", "/openai/verify"), ("GET", "/openai/models/0"),
    ("GET", "/ollama/config"), ("POST", "/ollama/config/update"), ("POST", "/ollama/verify"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_connections_are_the_administrators_own(declared, method, path):
    for key, status in ((USER_KEY, 403), (PENDING_KEY, 403), (CONFINED_ADMIN_KEY, 403), (None, 401)):
        with declared.client(key) as client:
            assert client.request(method, path, json={}).status_code == status, key


@pytest.mark.parametrize("path", ["files", "embeddings/x", "v2/chat", "config/other", "..%2fv1", "admin/keys", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nothing_is_passed_on_by_its_path(declared, upstream, method, path):
    before = upstream.state()["paths"]
    with declared.client(USER_KEY) as client:
        refused = client.request(method, f"/openai/{path}")
        assert refused.status_code == 403 and "passed on" in refused.text
    with declared.client(None) as client:
        assert client.request(method, f"/openai/{path}").status_code == 401
    assert {k: v for k, v in upstream.state()["paths"].items() if "models" not in k} == {
        k: v for k, v in before.items() if "models" not in k
    }


def test_the_list_and_single_models_stay_where_clients_look_for_them(declared):
    with declared.client(USER_KEY) as client:
        assert [row["id"] for row in client.get("/openai/models").json()["data"]] == ["echo"]
        assert client.get("/openai/models/echo").json()["id"] == "echo"
        assert client.get("/openai/v1/models").status_code == 200
        assert client.get("/openai/models/lorem").status_code == 404


def test_positions_are_reached_behind_a_base_path(upstream, tmp_path):
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "MODELYARD_BASE_PATH": "/yard"}
    with run_yard(tmp_path / "data", environment) as yard:
        for path in ("/openai/config", "/openai/models/0", "/ollama/config", "/api/models"):
            assert yard.admin.get("/yard" + path).status_code == 200, path
            assert yard.admin.get(path).status_code == 200, path
