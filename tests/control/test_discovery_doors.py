"""`GET /api/models` and its neighbours: who sees what, in which shape and order, and what a client may keep."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from modelyard.control.settings import queries, table
from modelyard.db.engine import Database, parse_url
from tests.conftest import UPSTREAM_SECRET
from tests.control.conftest import CONFINED_ADMIN_KEY, KEYS, OTHER_KEY, PENDING_KEY, USER_KEY
from tests.postgres import run_postgres
from tests.yard import run_yard

TWINS = {"TWIN_1": "key-of-the-first-twin-0123456789abcdefgh", "TWIN_2": "key-of-the-second-twin-0123456789abcdefg"}
PEOPLE = """
users:
  - {email: user@example.com, role: user, keys: [{name: main, key: "${USER_KEY}"}]}
  - {email: other@example.com, role: user, keys: [{name: main, key: "${OTHER_KEY}"}]}
  - {email: pending@example.com, role: pending, keys: [{name: main, key: "${PENDING_KEY}"}]}
  - {email: boss@example.com, role: admin, keys: [{name: confined, key: "${CONFINED_ADMIN_KEY}", models: [echo]}]}
  - {email: twin1@example.com, role: user, keys: [{name: main, key: "${TWIN_1}"}]}
  - {email: twin2@example.com, role: user, keys: [{name: main, key: "${TWIN_2}"}]}
models:
  - {id: echo, access_control: null, meta: {tags: [{name: fast}, {name: fast}], context_window: 8192}}
  - {id: lorem, access_control: {read: {user_ids: [other@example.com]}}}
  - {id: slow, access_control: {read: {user_ids: [twin1@example.com, twin2@example.com]}}}
  - {id: declared-preset, name: Helper, base_model_id: echo, params: {system: "the secret prompt"}, access_control: null}
"""


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory) -> Iterator:
    folder = tmp_path_factory.mktemp("discovery")
    (folder / "yard.yaml").write_text(PEOPLE)
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": UPSTREAM_SECRET,
        "MODELS_CACHE_TTL": "3600",
    }
    with run_yard(
        folder / "data", {**environment, **KEYS, **TWINS}, ("--config", str(folder / "yard.yaml"))
    ) as running:
        yield running


def get(yard, key: str | None = None, path: str = "/api/models", **headers: str) -> httpx2.Response:
    if key is None:
        return yard.admin.get(path, headers=headers)
    with yard.client(key) as client:
        return client.get(path, headers=headers)


def listed(yard, key: str | None = None, path: str = "/api/models") -> dict[str, dict]:
    answer = get(yard, key, path)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["data"]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


@contextmanager
def made(yard, **fields) -> Iterator[str]:
    """A row of the catalogue for the length of a test; its id."""
    form = {"id": f"row-{uuid.uuid4().hex[:8]}", "name": "A row", "meta": {}, "params": {}, **fields}
    answer = yard.admin.post("/api/v1/models/create", json=form)
    assert answer.status_code == 200, answer.text
    try:
        yield form["id"]
    finally:
        gone = yard.admin.post("/api/v1/models/model/delete", json={"id": form["id"]})
        assert gone.status_code == 200, gone.text


@contextmanager
def settings(yard, path: str, **fields) -> Iterator[None]:
    """Settings for the length of a test."""
    before = yard.admin.get(path).json()
    answer = yard.admin.post(path, json=fields)
    assert answer.status_code == 200, answer.text
    try:
        yield
    finally:
        assert yard.admin.post(path, json=before).status_code == 200


def test_an_entry_holds_what_the_backend_says_and_what_the_row_lays_over_it(yard):
    found = listed(yard)
    echo = found["echo"]
    assert {name: echo[name] for name in ("id", "object", "created", "owned_by", "connection_type", "urlIdx")} == {
        "id": "echo", "object": "model", "created": 0, "owned_by": "openai", "connection_type": "external", "urlIdx": 0,
    }  # fmt: skip
    assert echo["openai"]["owned_by"] == "scripted"
    assert echo["tags"] == [{"name": "fast"}]
    assert echo["context_window"] == 8192
    assert (echo["actions"], echo["filters"]) == ([], [])
    assert echo["info"]["id"] == "echo" and "params" not in echo["info"]
    assert "info" not in found["huge"]
    preset = found["declared-preset"]
    assert (preset["preset"], preset["name"], preset["owned_by"], preset["connection_type"]) == (
        True, "Helper", "openai", "external",
    )  # fmt: skip
    assert preset["context_window"] == 8192
    assert "the secret prompt" not in get(yard).text


@pytest.mark.parametrize("path", ["/api/models", "/api/v1/models", "/api/models/", "/api/v1/models/"])
def test_a_caller_sees_what_they_may_use_and_nothing_else(yard, path):
    assert set(listed(yard, USER_KEY, path)) == {"echo", "declared-preset"}
    assert set(listed(yard, OTHER_KEY, path)) == {"echo", "lorem", "declared-preset"}
    assert set(listed(yard, CONFINED_ADMIN_KEY, path)) == {"echo"}
    assert {"echo", "lorem", "huge", "declared-preset"} < set(listed(yard, None, path))
    assert get(yard, PENDING_KEY, path).status_code == 403
    unknown = get(yard, "sk-my-nobody-knows-this-key", path)
    assert unknown.status_code == 401 and set(unknown.json()) == {"detail"}


def test_a_request_without_a_credential_and_another_method_are_refused(yard):
    with yard.client(None) as client:
        assert client.get("/api/models").status_code == 401
        assert client.get("/api/models/base").status_code == 401
    for path in ("/api/models", "/api/v1/models", "/api/models/base"):
        refused = yard.admin.post(path, json={})
        assert refused.status_code == 405 and set(refused.json()) == {"detail"}
        head = yard.admin.head(path)
        assert head.status_code == 200 and not head.content and head.headers["etag"]


def test_a_key_for_another_dialect_does_not_list(yard):
    key = yard.make_key(dialects=["ollama"])
    assert get(yard, key).status_code == 403


def test_two_callers_of_equal_rights_get_the_same_list_and_the_same_etag(yard):
    first, second = (get(yard, key) for key in TWINS.values())
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert get(yard, USER_KEY).headers["etag"] != first.headers["etag"]
    with made(yard, base_model_id="echo", access_control={"read": {"user_ids": ["file-twin1@example.com"]}}) as name:
        assert name in listed(yard, TWINS["TWIN_1"])
        assert name not in listed(yard, TWINS["TWIN_2"])
        assert get(yard, TWINS["TWIN_2"]).content == second.content


def test_a_client_that_has_the_list_is_told_so_until_it_changes(yard):
    first = get(yard)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert "authorization" in first.headers["vary"]
    for known in (etag, f'"other", {etag}', f"W/{etag}"):
        again = get(yard, **{"if-none-match": known})
        assert again.status_code == 304 and not again.content and again.headers["etag"] == etag
    assert get(yard, **{"if-none-match": '"other"'}).status_code == 200
    assert get(yard, USER_KEY, **{"if-none-match": etag}).status_code == 200
    with made(yard, base_model_id="echo"):
        assert get(yard, **{"if-none-match": etag}).status_code == 200
    assert get(yard, **{"if-none-match": etag}).status_code == 304


def test_a_row_renames_hides_and_shows(yard):
    meta = {
        "description": "words",
        "profile_image_url": "data:image/png;base64,iVBORw0KGgo=",
        "tags": [{"name": "ünï"}],
    }
    pricing = {"input": 1.5, "output": 2}
    with made(
        yard, id="huge", name="Renamed", meta={**meta, "pricing": pricing, "max_tokens": 77}, access_control=None
    ):
        entry = listed(yard, USER_KEY)["huge"]
        assert (entry["name"], entry["pricing"], entry["max_tokens"]) == ("Renamed", pricing, 77)
        assert entry["tags"] == [{"name": "ünï"}]
        assert "profile_image_url" not in entry["info"]["meta"]
        assert "base64" not in get(yard, USER_KEY).text
        toggled = yard.admin.post("/api/v1/models/model/toggle", params={"id": "huge"})
        assert toggled.status_code == 200
        assert "huge" not in listed(yard) and "huge" not in listed(yard, USER_KEY)
        base = listed(yard, None, "/api/models/base")["huge"]
        assert base["name"] == "huge" and "info" not in base
    assert "huge" in listed(yard)


def test_a_preset_whose_base_is_missing_stays_listed_and_an_inactive_one_does_not(yard):
    with made(yard, name="Orphan", base_model_id="gone:7b", access_control=None) as orphan:
        entry = listed(yard, USER_KEY)[orphan]
        assert (entry["preset"], entry["owned_by"], entry["connection_type"]) == (True, "openai", None)
    with made(yard, base_model_id="echo", access_control=None, is_active=False) as off:
        assert off not in listed(yard)


HOSTILE = [
    "</script><script>alert(1)</script>",
    "quo\"te's \\ back",
    "控制 😀 \u202e",
    "tab\tline\nescape\x1b[31m\x7f",
    "%_*;--",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_comes_out_as_it_went_in(yard, name):
    with made(
        yard, name=name, base_model_id="echo", meta={"tags": [{"name": name.strip()}]}, access_control=None
    ) as row:
        answer = get(yard, USER_KEY)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        entry = next(entry for entry in answer.json()["data"] if entry["id"] == row)
        assert entry["name"] == name


def test_what_backends_offer_is_told_to_administrators_alone_and_as_it_is(yard):
    offered = listed(yard, None, "/api/models/base")
    assert {"echo", "lorem", "huge"} <= set(offered) and "declared-preset" not in offered
    assert offered["echo"]["tags"] == [] and "info" not in offered["echo"]
    for key in (USER_KEY, PENDING_KEY, CONFINED_ADMIN_KEY):
        assert get(yard, key, "/api/models/base").status_code == 403
    first = get(yard, path="/api/models/base")
    again = get(yard, path="/api/models/base", **{"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


def test_only_an_administrator_makes_the_backends_work(yard, upstream):
    def asked() -> int:
        return upstream.state()["paths"].get("GET /v1/models", 0)

    before = asked()
    assert get(yard, USER_KEY, "/api/models?refresh=true").status_code == 200
    assert asked() == before
    assert get(yard, path="/api/models?refresh=true").status_code == 200
    assert asked() == before + 1


def test_the_order_that_administrators_set_comes_first_then_names(yard):
    natural = list(listed(yard))
    with settings(yard, "/api/v1/configs/models", MODEL_ORDER_LIST=["lorem", "nobody-has-this", "echo"]):
        ordered = list(listed(yard).values())
        assert [entry["id"] for entry in ordered[:2]] == ["lorem", "echo"]
        names = [entry["name"] for entry in ordered[2:]]
        assert names == sorted(names) and len(ordered) == len(natural)
        assert list(listed(yard, OTHER_KEY)) == ["lorem", "echo", "declared-preset"]
    assert list(listed(yard)) == natural


def test_the_arena_has_an_entry_when_it_is_on_and_without_rules_it_is_the_administrators_own(yard):
    path = "/api/v1/evaluations/config"
    assert "arena-model" not in listed(yard)
    with settings(yard, path, ENABLE_EVALUATION_ARENA_MODELS=True):
        entry = listed(yard)["arena-model"]
        assert (entry["arena"], entry["owned_by"], entry["object"]) == (True, "arena", "model")
        assert "arena-model" not in listed(yard, USER_KEY)
    rows = [
        {"id": "open", "name": "Open", "meta": {"access_control": None, "model_ids": ["lorem"]}},
        {"id": "closed", "name": "Closed", "meta": {"access_control": {}}},
        {"id": "unsaid", "name": "Unsaid", "meta": {}},
        {"id": "listed", "name": "L", "meta": {"access_control": {"read": {"user_ids": ["file-user@example.com"]}}}},
        {"id": "granted", "name": "G", "meta": {"access_grants": [
            {"principal_type": "user", "principal_id": "file-other@example.com", "permission": "read"}]}},
        {"id": "echo", "name": "Not I", "meta": {"access_control": None}},
    ]  # fmt: skip
    with settings(yard, path, ENABLE_EVALUATION_ARENA_MODELS=True, EVALUATION_ARENA_MODELS=rows):
        everything = listed(yard)
        assert {"open", "closed", "unsaid", "listed", "granted"} < set(everything)
        assert "arena" not in everything["echo"] and "arena-model" not in everything
        mine = listed(yard, USER_KEY)
        assert {name for name, entry in mine.items() if entry.get("arena")} == {"open", "listed"}
        assert mine["open"]["info"] == {"meta": {}}
        assert {name for name, e in listed(yard, OTHER_KEY).items() if e.get("arena")} == {"open", "granted"}
        assert set(listed(yard, CONFINED_ADMIN_KEY)) == {"echo"}


def test_settings_are_told_as_clients_know_them_and_audited(yard):
    path = "/api/v1/configs/models"
    with settings(yard, path, DEFAULT_MODELS="echo, lorem", DEFAULT_PINNED_MODELS=["lorem", "lorem"]):
        told = yard.admin.get(path).json()
        assert told == {
            "DEFAULT_MODELS": "echo,lorem",
            "DEFAULT_PINNED_MODELS": "lorem",
            "MODEL_ORDER_LIST": [],
            "MODEL_FALLBACKS": {},
        }
        assert get(yard, path="/api/v1/config").json()["default_models"] == "echo,lorem"
        mine = get(yard, USER_KEY, "/api/v1/config").json()
        assert mine["default_models"] == "echo" and mine["default_pinned_models"] is None
        assert mine["permissions"]["workspace"]["models"] is False
        entries = yard.admin.get("/api/v1/audit", params={"entity_type": "settings"}).json()["items"]
        newest = {entry["entity_id"]: entry["changes"] for entry in reversed(entries)}
        assert newest["models.default"] == {"value": {"old": [], "new": ["echo", "lorem"]}}
    connections = "/api/v1/configs/connections"
    with settings(yard, connections, ENABLE_DIRECT_CONNECTIONS=True):
        assert yard.admin.get(connections).json() == {
            "ENABLE_DIRECT_CONNECTIONS": True, "ENABLE_BASE_MODELS_CACHE": False,
        }  # fmt: skip


ARENA = "/api/v1/evaluations/config"
ROW = {"id": "a", "name": "A", "meta": {}}
BAD = [
    ("/api/v1/configs/models", {"DEFAULT_MODELS": 7}),
    ("/api/v1/configs/models", {"MODEL_ORDER_LIST": ["x" * 257]}),
    ("/api/v1/configs/models", {"MODEL_ORDER_LIST": ["line\nbreak"]}),
    ("/api/v1/configs/models", {"MODEL_ORDER_LIST": [""]}),
    (
        "/api/v1/configs/models",
        {"DEFAULT_MODEL_PARAMS": {"temperature": 1}},
    ),  # not kept, and nobody shall believe it is
    ("/api/v1/configs/connections", {"ENABLE_DIRECT_CONNECTIONS": "perhaps"}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [ROW, ROW]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{"name": "A"}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": []}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": {"filter_mode": "some"}}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": {"access_control": {"read": 7}}}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": {"access_control": "all"}}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": {"access_grants": [7]}}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "meta": {"x": "y" * 2_000_000}}]}),
    (ARENA, {"EVALUATION_ARENA_MODELS": [{**ROW, "id": f"a{i}"} for i in range(101)]}),
]


@pytest.mark.parametrize(("path", "form"), BAD)
def test_a_wrong_setting_is_refused_and_nothing_is_written(yard, path, form):
    before = yard.admin.get(path).json()
    answer = yard.admin.post(path, json=form)
    assert answer.status_code == 422, answer.text
    assert yard.admin.get(path).json() == before


def test_text_that_is_no_unicode_is_refused(yard):
    body = b'{"EVALUATION_ARENA_MODELS": [{"id": "a", "name": "A", "meta": {"x": "\\ud800"}}]}'
    assert yard.admin.post(ARENA, content=body).status_code == 422
    assert listed(yard)


def test_what_clients_send_beside_the_settings_is_not_taken(yard):
    extra = {
        "DEFAULT_MODEL_PARAMS": {},
        "DEFAULT_MODEL_METADATA": None,
        "UNKNOWN": [],
        "permissions": {"chat.edit": False},
    }
    for path in ("/api/v1/configs/models", "/api/v1/configs/connections", ARENA):
        before = yard.admin.get(path).json()
        answer = yard.admin.post(path, json=extra)
        assert (answer.status_code, answer.json()) == (200, before), answer.text
    assert "chat.edit" not in str(yard.admin.get("/api/v1/audit").json()["items"][0])


@pytest.mark.parametrize("path", ["/api/v1/configs/models", "/api/v1/configs/connections", ARENA])
@pytest.mark.parametrize("key", [USER_KEY, PENDING_KEY, CONFINED_ADMIN_KEY])
def test_settings_are_the_administrators_own(yard, path, key):
    assert get(yard, key, path).status_code == 403
    with yard.client(key) as client:
        assert client.post(path, json={}).status_code == 403


def test_a_pending_user_is_told_no_configuration(yard):
    assert get(yard, PENDING_KEY, "/api/v1/config").status_code == 403


async def store_each_setting(url: str) -> None:
    """Every kind of value is stored, replaced and read back, null as well."""
    database = Database(parse_url(url))
    try:
        for name, values in {
            table.SIGN_UP_GROUP: ["group", None, "other"], table.MODEL_ORDER: [["a"], [], ["b", "a"]],
            table.ARENA_ENABLED: [True, False], table.PERMISSIONS: [{"workspace.models": True}, {}],
        }.items():  # fmt: skip
            for value in values:
                async with database.write() as connection:
                    await queries.put(connection, name, value)
                async with database.read() as connection:
                    assert (await queries.stored(connection))[name] == value
    finally:
        await database.close()


async def test_settings_are_stored_on_sqlite(tmp_path):
    with run_yard(tmp_path / "data"):
        pass
    await store_each_setting(f"sqlite:///{tmp_path / 'data' / 'modelyard.db'}")


async def test_settings_are_stored_on_postgresql(tmp_path):
    with run_postgres() as postgres:
        url = postgres.new_database()
        with run_yard(tmp_path / "data", {"DATABASE_URL": url}):
            pass
        await store_each_setting(url)
