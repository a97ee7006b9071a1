# ruff: noqa: E501 - tables of cases
"""What each importer makes of a file, as pure functions of it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modelyard.control.importers import litellm, localai, open_webui
from modelyard.control.importers.carried import Carried
from modelyard.control.importers.reading import MAX_BYTES
from modelyard.control.settings.service import checked
from modelyard.core.errors import Kind, Problem

PNG = "data:image/png;base64,iVBORw0KGgo="
SVG = "data:image/svg+xml;base64,PHN2Zy8+"


def exported(*models: Any) -> Carried:
    return open_webui.from_export(json.dumps(list(models)).encode())


def places(carried: Carried) -> list[str]:
    return [one.place for one in carried.left]


def models(carried: Carried) -> dict[str, dict[str, Any]]:
    return {one.id: one.model_dump() for one in carried.yard.models}


def connections(carried: Carried) -> dict[str, dict[str, Any]]:
    return {one.name: one.model_dump(exclude_unset=True) for one in carried.yard.connections}


# --- Open WebUI, exports


def test_an_export_of_the_older_generation_keeps_every_key_of_params_and_meta() -> None:
    row = {
        "id": "team/helper:v1.2", "user_id": "u1", "base_model_id": "llama3:8b", "name": "Helper", "is_active": False,
        "params": {"temperature": 0.4, "system": "Costs ${HOME}.", "made_up": [1, {"a": None}]},
        "meta": {"profile_image_url": PNG, "tags": [{"name": "x"}], "toolIds": ["t"], "ours": {"deep": True}},
        "access_control": None, "created_at": 1, "updated_at": 2, "user": {"email": "a@example.com"},
    }  # fmt: skip
    carried = exported(row)
    assert models(carried)["team/helper:v1.2"] == {
        "id": "team/helper:v1.2", "name": "Helper", "base_model_id": "llama3:8b", "owner": None,
        "params": row["params"], "meta": row["meta"], "is_active": False, "access_control": None,
    }  # fmt: skip
    assert places(carried) == ["models[0].user_id"]
    assert carried.left[0].what == "a@example.com"


def test_an_export_of_the_newer_generation_has_its_grants_read() -> None:
    def granted(name: str, *grants: tuple[str, str, str]) -> dict[str, Any]:
        rows = [{"principal_type": kind, "principal_id": who, "permission": what} for kind, who, what in grants]
        return {"id": name, "name": name, "meta": {}, "params": {}, "access_grants": rows, "version_id": "v"}

    carried = exported(
        granted("public", ("user", "*", "read")),
        granted("private"),
        granted("shared", ("user", "*", "read"), ("group", "g1", "write"), ("anyone", "*", "read")),
        granted("open", ("user", "*", "write")),
    )
    found = models(carried)
    assert found["public"]["access_control"] is None
    assert found["private"]["access_control"] == {}
    assert found["shared"]["access_control"] is None  # the group is unknown, what is left is public
    assert found["open"]["access_control"] == {}
    assert places(carried) == ["models[2].access_grants", "models[2].access_grants", "models[3].access_grants"]


def test_items_with_the_row_inside_and_an_object_with_models_are_read_too() -> None:
    item = {
        "id": "a",
        "name": "Shown",
        "object": "model",
        "info": {"id": "a", "base_model_id": "b", "access_control": {}},
    }
    carried = open_webui.from_export(json.dumps({"models": [item]}).encode())
    assert models(carried)["a"]["name"] == "Shown"
    assert models(carried)["a"]["base_model_id"] == "b"
    assert not carried.left


def test_access_that_a_file_does_not_tell_makes_a_model_private() -> None:
    carried = exported({"id": "a", "name": "a"}, {"id": "b", "name": "b", "access_control": "all"})
    assert [one["access_control"] for one in models(carried).values()] == [{}, {}]
    assert places(carried) == ["models[0]", "models[1].access_control"]


def test_what_cannot_be_kept_of_a_model_is_named_and_the_rest_is_carried() -> None:
    carried = exported(
        {
            "id": "a", "name": "n" * 300, "base_model_id": "a", "access_control": {"read": {"user_ids": ["u"], "group_ids": ["g"]}},
            "params": {"temperature": "warm", "top_k": 3, "custom_params": [1]},
            "meta": {"profile_image_url": SVG, "description": "d\x00e"},
            "colour": "red",
        },
        {"id": "a", "name": "again", "access_control": None},
        {"id": " b", "name": "b", "access_control": None},
        {"id": "c", "access_control": None, "meta": {"profile_image_url": "/static/favicon.png"}},
        {"id": "d", "access_control": None, "meta": {"profile_image_url": "/api/v1/files/x"}, "params": "none"},
        "no model",
    )  # fmt: skip
    found = models(carried)
    assert list(found) == ["a", "c", "d"]
    assert found["a"]["params"] == {"top_k": 3}
    assert found["a"]["meta"] == {"description": "d\N{REPLACEMENT CHARACTER}e"}
    assert found["a"]["base_model_id"] is None
    assert found["a"]["access_control"] == {}
    assert found["c"]["meta"] == {}
    assert set(places(carried)) == {
        "models[0].colour", "models[0].name", "models[0].access_control.read.user_ids", "models[0].access_control.read.group_ids",
        "models[0].params.temperature", "models[0].params.custom_params", "models[0].meta.profile_image_url",
        "models[1]", "models[2].id", "models[4].meta.profile_image_url", "models[4].params", "models[5]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"id": "a"', "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"{}", "no export of models"),
        (b'"models"', "no export of models"),
        (b'[{"id": NaN}]', "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 80 + b"]" * 80, "nested deeper"),
    ],
)
def test_a_broken_export_is_refused_in_a_sentence(content: bytes, said: str) -> None:
    with pytest.raises(Problem, match=said):
        open_webui.from_export(content)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "models.json"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(Problem) as raised:
        open_webui.read(huge)
    assert raised.value.kind is Kind.TOO_LARGE


# --- Open WebUI, databases

OLDER = """
CREATE TABLE "user" (id TEXT PRIMARY KEY, name TEXT, email TEXT, role TEXT, profile_image_url TEXT, last_active_at INT);
CREATE TABLE auth (id TEXT PRIMARY KEY, email TEXT, password TEXT, active INT);
CREATE TABLE model (id TEXT PRIMARY KEY, user_id TEXT, base_model_id TEXT, name TEXT, meta TEXT, params TEXT,
  access_control JSON, is_active BOOLEAN DEFAULT 1 NOT NULL, created_at BIGINT, updated_at BIGINT);
CREATE TABLE "group" (id TEXT PRIMARY KEY, user_id TEXT, name TEXT, description TEXT, data JSON, meta JSON,
  permissions JSON, user_ids JSON, created_at BIGINT, updated_at BIGINT);
CREATE TABLE config (id INTEGER PRIMARY KEY, data JSON, version INT, created_at DATETIME, updated_at DATETIME);
CREATE TABLE chat (id TEXT PRIMARY KEY);
INSERT INTO "user" VALUES ('u1', 'Ann', 'Ann@Example.com', 'admin', '', 0), ('u2', 'Bob', 'bob@example.com', 'user', '', 0),
  ('u3', 'Odd', 'no address', 'user', '', 0), ('u4', 'Eve', 'eve@example.com', 'owner', '', 0),
  ('u5', 'Twin', 'BOB@example.com', 'user', '', 0);
INSERT INTO auth VALUES ('u1', 'Ann@Example.com', '$2b$12$abcdefghijklmnopqrstuv', 1);
INSERT INTO chat VALUES ('c1'), ('c2');
"""
CONFIG = {
    "version": 0,
    "ui": {"default_models": "helper,llama3:8b", "enable_signup": True},
    "user": {"permissions": {"workspace": {"models": True, "skills": True}, "chat": {"call": True, "delete": False}}},
    "ollama": {
        "enable": True,
        "base_urls": ["http://gpu:11434", "http://gpu2:11434/api", "ftp://x"],
        "api_configs": {"0": {"enable": True, "prefix_id": "gpu", "tags": [{"name": "fast"}], "key": "ollama-secret-0123456789"},
                        "http://gpu2:11434/api": {"enable": False, "model_ids": ["a"], "connection_type": "external"}},
    },
    "openai": {
        "api_base_urls": ["https://api.openai.com/v1", "https://my.openai.azure.com", "https://api.openai.com/v1"],
        "api_keys": ["sk-openai-secret-0123456789", "azure-secret-0123456789"],
        "api_configs": {"0": {"headers": {"X-Team": "blue", "X-User": "{{USER_ID}}"}},
                        "1": {"azure": True, "api_version": "2024-02-01", "auth_type": "azure_ad"}},
    },
}  # fmt: skip


def make_older(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLDER)
        db.execute("INSERT INTO config VALUES (1, ?, 0, '', '')", (json.dumps(CONFIG),))
        lists = {"read": {"group_ids": ["g1"], "user_ids": ["u2", "gone"]}, "write": {"group_ids": ["g1"]}}
        for values in (
            ("helper", "u1", "llama3:8b", "Helper", json.dumps({"tags": [{"name": "x"}]}), json.dumps({"top_k": 3}), json.dumps(lists), 1),
            ("llama3:8b", "u2", None, "Llama", "{}", "{}", None, 0),
            ("mine", "u3", "llama3:8b", "Mine", "{}", "{}", "{}", 1),
            ("null", "u1", "llama3:8b", "Null", "broken", "{}", "null", 1),
        ):  # fmt: skip
            db.execute("INSERT INTO model VALUES (?,?,?,?,?,?,?,?,0,0)", values)
        permissions = {"workspace": {"models": True, "skills": True, "tools": False}}
        db.execute(
            'INSERT INTO "group" VALUES (?,?,?,?,?,?,?,?,0,0)',
            (
                "g1",
                "u1",
                "Staff",
                "all",
                json.dumps({"config": {"share": False}}),
                None,
                json.dumps(permissions),
                '["u2","u9"]',
            ),
        )
        db.execute(
            'INSERT INTO "group" VALUES (?,?,?,?,?,?,?,?,0,0)', ("g2", "u1", "Staff", "", None, None, None, "[]")
        )
        db.commit()
    return path


def test_an_older_database_is_carried_with_people_groups_and_access(tmp_path: Path) -> None:
    carried = open_webui.read(make_older(tmp_path / "webui.db"))
    assert [(one.email, one.name, one.role, one.groups) for one in carried.yard.users] == [
        ("ann@example.com", "Ann", "admin", []),
        ("bob@example.com", "Bob", "user", ["Staff"]),
        ("eve@example.com", "Eve", "pending", []),
    ]
    assert [(one.name, one.permissions, one.share) for one in carried.yard.groups] == [
        ("Staff", {"workspace": {"models": True}}, False),
        ("Staff (2)", {}, True),
    ]
    found = models(carried)
    assert found["helper"]["owner"] == "ann@example.com"
    assert found["helper"]["access_control"] == {
        "read": {"user_ids": ["bob@example.com"], "group_ids": ["Staff"]},
        "write": {"user_ids": [], "group_ids": ["Staff"]},
    }
    assert found["llama3:8b"]["access_control"] is None
    assert found["llama3:8b"]["base_model_id"] is None
    assert found["llama3:8b"]["is_active"] is False
    assert found["mine"]["access_control"] == {}
    assert found["mine"]["owner"] is None
    assert found["null"]["access_control"] is None
    assert {"auth", "chat", "user[2].email", "user[3].role", "user[4].email", "group[0].permissions.workspace.skills",
            "group[1].name", "model[0].access_control.read.user_ids"} <= set(places(carried))  # fmt: skip
    assert next(one.what for one in carried.left if one.place == "chat") == "2 rows"
    assert "$2b$" not in repr(carried)


def test_connections_of_the_configuration_are_carried_with_references_for_their_secrets(tmp_path: Path) -> None:
    carried = open_webui.read(make_older(tmp_path / "webui.db"))
    found = connections(carried)
    assert found["ollama gpu:11434"] == {
        "name": "ollama gpu:11434", "kind": "ollama", "base_url": "http://gpu:11434", "enable": True,
        "api_keys": ["${OPEN_WEBUI_OLLAMA_KEY_1}"], "prefix_id": "gpu", "tags": ["fast"],
    }  # fmt: skip
    assert found["ollama gpu2:11434"]["enable"] is False
    assert found["ollama gpu2:11434"]["model_ids"] == ["a"]
    openai = found["openai api.openai.com"]
    assert openai["api_keys"] == ["${OPEN_WEBUI_OPENAI_KEY_3}"]
    assert openai["headers"] == {"X-Team": "${OPEN_WEBUI_OPENAI_3_HEADER_X_TEAM}"}
    assert found["openai my.openai.azure.com"]["flavour"] == "azure"
    assert len(found) == 4
    assert carried.secrets["OPEN_WEBUI_OPENAI_KEY_3"] == "sk-openai-secret-0123456789"
    assert carried.secrets["OPEN_WEBUI_OLLAMA_KEY_1"] == "ollama-secret-0123456789"
    assert {
        "config.ollama[2].url", "config.openai[2]", "config.openai[0].headers.X-User", "config.openai[1].auth_type",
        "config.openai[1].api_version", "config.ui.enable_signup", "config.user.permissions.workspace.skills",
    } <= set(places(carried))  # fmt: skip
    assert "secret" not in repr(carried)
    assert carried.yard.settings == {
        "models.default": ["helper", "llama3:8b"],
        "permissions": {"chat": {"delete": False}, "workspace": {"models": True}},
    }


def make_newer(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            CREATE TABLE "user" (id TEXT PRIMARY KEY, name TEXT, email TEXT, username TEXT, role TEXT);
            CREATE TABLE model (id TEXT PRIMARY KEY, user_id TEXT, base_model_id TEXT, name TEXT, meta TEXT, params TEXT,
              is_active BOOLEAN, version_id TEXT, created_at BIGINT, updated_at BIGINT);
            CREATE TABLE "group" (id TEXT PRIMARY KEY, name TEXT, description TEXT, data JSON, meta JSON, permissions JSON,
              parent_group_id TEXT);
            CREATE TABLE group_member (id TEXT PRIMARY KEY, group_id TEXT, user_id TEXT);
            CREATE TABLE access_grant (id TEXT PRIMARY KEY, resource_type TEXT, resource_id TEXT, principal_type TEXT,
              principal_id TEXT, permission TEXT, created_at BIGINT);
            CREATE TABLE config (key TEXT PRIMARY KEY, value JSON, updated_at BIGINT);
            INSERT INTO "user" VALUES ('u1', 'Ann', 'ann@example.com', 'ann', 'admin'), ('u2', '', 'bob@example.com', NULL, 'user');
            INSERT INTO model VALUES ('p', 'u2', 'b', 'P', '{}', '{"temperature": 1}', 1, 'v', 0, 0),
              ('q', 'u2', 'b', 'Q', '{}', '{}', 1, 'v', 0, 0), ('r', 'u2', 'b', 'R', '{}', '{}', 1, 'v', 0, 0);
            INSERT INTO "group" VALUES ('g1', 'Staff', '', NULL, NULL, '{}', NULL),
              ('g2', 'Interns', '', '{"config": {"share": "members"}}', NULL, NULL, 'g1');
            INSERT INTO group_member VALUES ('1', 'g2', 'u2'), ('2', 'g2', 'u2');
            INSERT INTO access_grant VALUES ('1', 'model', 'p', 'user', '*', 'read', 0), ('2', 'model', 'q', 'group', 'g2', 'read', 0),
              ('3', 'knowledge', 'r', 'user', '*', 'read', 0);
            INSERT INTO config VALUES ('ollama.base_urls', '["http://gpu:11434"]', 0), ('ollama.enable', 'false', 0),
              ('ui.model_order_list', '["p", "q"]', 0);
            """
        )
    return path


def test_a_newer_database_is_carried_with_grants_members_and_groups_below_groups(tmp_path: Path) -> None:
    carried = open_webui.read(make_newer(tmp_path / "webui.db"))
    assert [one["access_control"] for one in models(carried).values()] == [
        None, {"read": {"user_ids": [], "group_ids": ["Interns"]}}, {},
    ]  # fmt: skip
    assert carried.yard.users[1].groups == ["Interns"]
    assert {one.name: (one.parent, one.share) for one in carried.yard.groups} == {
        "Staff": (None, True), "Interns": ("Staff", False),
    }  # fmt: skip
    assert connections(carried)["ollama gpu:11434"]["enable"] is False
    assert carried.yard.settings == {"models.order": ["p", "q"]}


CONTENT = '''FROM llama3:8b
PARAMETER temperature 0.5
PARAMETER stop "###"
SYSTEM """You are "Mario"."""
TEMPLATE """{{ .Prompt }}"""
ADAPTER ./a.bin
MESSAGE user hi'''


def make_legacy(path: Path) -> Path:
    old = {
        "tagName": "mario:latest", "title": "Mario", "desc": "It's me", "content": CONTENT, "imageUrl": PNG,
        "suggestionPrompts": [{"content": "Who?"}], "categories": ["character"], "user": {"name": "x", "username": "y"},
    }  # fmt: skip
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            CREATE TABLE "user" (id TEXT PRIMARY KEY, name TEXT, email TEXT, role TEXT);
            CREATE TABLE modelfile (id INTEGER PRIMARY KEY, tag_name TEXT, user_id TEXT, modelfile TEXT, timestamp BIGINT);
            INSERT INTO "user" VALUES ('u1', 'Ann', 'ann@example.com', 'admin');
            """
        )
        for tag, content in (
            ("mario:latest", json.dumps(old)),
            ("file:latest", json.dumps({"title": "", "content": "FROM ./model.gguf"})),
            ("broken", json.dumps({"title": "x", "content": "SYSTEM nothing"})),
            ("empty", "{}"),
        ):
            db.execute(
                "INSERT INTO modelfile (tag_name, user_id, modelfile, timestamp) VALUES (?, 'u1', ?, 1)", (tag, content)
            )
        db.commit()
    return path


def test_legacy_modelfiles_become_the_models_that_their_own_migration_made(tmp_path: Path) -> None:
    carried = open_webui.read(make_legacy(tmp_path / "webui.db"))
    found = models(carried)
    assert found["ollama-mario:latest"] == {
        "id": "ollama-mario:latest", "name": "Mario", "base_model_id": "llama3:8b", "owner": "ann@example.com",
        "params": {
            "temperature": 0.5, "stop": ["###"], "system": 'You are "Mario".', "template": "{{ .Prompt }}",
            "adapter": "./a.bin", "messages": [{"role": "user", "content": "hi"}],
        },
        "meta": {
            "description": "It's me", "profile_image_url": PNG, "ollama": {"modelfile": CONTENT},
            "suggestion_prompts": [{"content": "Who?"}], "categories": ["character"],
            "user": {"name": "x", "username": "y", "community": True},
        },
        "is_active": True, "access_control": None,
    }  # fmt: skip
    assert found["ollama-file:latest"]["base_model_id"] == "file:latest"
    assert sorted(found) == ["ollama-file:latest", "ollama-mario:latest"]
    assert {"modelfile[0].content", "modelfile[1]", "modelfile[2].content.FROM"} == set(places(carried))


def test_a_database_is_read_without_a_trace(tmp_path: Path) -> None:
    path = make_older(tmp_path / "web#ui?.db")
    before = path.read_bytes()
    path.chmod(0o400)
    open_webui.read(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_database_that_is_broken_foreign_or_in_use_is_refused(tmp_path: Path) -> None:
    whole = make_older(tmp_path / "webui.db").read_bytes()
    for size in (16, 100, 4096, len(whole) // 2):
        cut = tmp_path / "cut.db"
        cut.write_bytes(whole[:size])
        with pytest.raises(Problem, match=r"cannot be read as a database|no database of Open WebUI"):
            open_webui.read(cut)
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.executescript(
            'CREATE TABLE x (y); CREATE VIEW model AS SELECT 1 AS id; CREATE VIEW "user" AS SELECT 1 AS id'
        )
    with pytest.raises(Problem, match="no database of Open WebUI"):
        open_webui.read(foreign)
    (tmp_path / "webui.db-wal").write_bytes(b"something")
    with pytest.raises(Problem, match="Stop Open WebUI"):
        open_webui.read(tmp_path / "webui.db")
    with pytest.raises(Problem, match="cannot be read"):
        open_webui.read(tmp_path / "nothing.db")


# --- LiteLLM


def proxied(text: str, **environment: str) -> Carried:
    return litellm.read(text.encode(), environment)


def test_a_deployment_becomes_a_model_on_a_connection_and_a_preset_over_it() -> None:
    carried = proxied(
        """
        model_list:
          - model_name: chat
            litellm_params: {model: openai/facebook/opt-125m, api_base: "http://vllm:8000/v1", api_key: none, temperature: 0.2}
            model_info: {version: 2, max_input_tokens: 4096, supports_vision: true, id: x}
          - model_name: claude-sonnet-4
            litellm_params: {model: anthropic/claude-sonnet-4, api_key: os.environ/ANTHROPIC_API_KEY}
          - model_name: local
            litellm_params: {model: ollama/llama3, api_base: os.environ/OLLAMA}
        """,
        OLLAMA="http://gpu:11434",
    )
    assert connections(carried) == {
        "litellm vllm:8000": {
            "name": "litellm vllm:8000", "kind": "openai", "base_url": "http://vllm:8000/v1", "model_ids": ["facebook/opt-125m"],
        },
        "litellm api.anthropic.com": {
            "name": "litellm api.anthropic.com", "kind": "anthropic", "flavour": "anthropic", "base_url": "https://api.anthropic.com",
            "api_keys": ["${ANTHROPIC_API_KEY}"], "model_ids": ["claude-sonnet-4"],
        },
        "litellm gpu:11434": {
            "name": "litellm gpu:11434", "kind": "ollama", "flavour": "ollama", "base_url": "http://gpu:11434",
            "model_ids": ["llama3:latest"],
        },
    }  # fmt: skip
    found = models(carried)
    assert found["chat"]["base_model_id"] == "facebook/opt-125m"
    assert found["chat"]["params"] == {"temperature": 0.2}
    assert found["chat"]["meta"] == {
        "context_window": 4096, "capabilities": {"vision": True}, "model_info": {"version": 2, "max_input_tokens": 4096},
    }  # fmt: skip
    assert found["claude-sonnet-4"]["base_model_id"] is None
    assert found["local"]["base_model_id"] == "llama3:latest"
    assert all(one["access_control"] is None for one in found.values())
    assert not carried.left
    assert not carried.secrets


def test_deployments_of_one_name_are_hosts_among_which_calls_are_shared() -> None:
    carried = proxied(
        """
        model_list:
          - {model_name: m, litellm_params: {model: openai/m, api_base: "http://a/v1", rpm: 60, api_key: secret-a-0123456789}}
          - {model_name: m, litellm_params: {model: openai/m, api_base: "http://b/v1", rpm: 600, tpm: 9, order: 2}}
          - {model_name: m, litellm_params: {model: openai/other, api_base: "http://c/v1", max_parallel_requests: 4, rpm: 6}}
        """
    )
    found = connections(carried)
    assert [(one.get("limits"), one.get("weight"), one.get("priority")) for one in found.values()] == [
        ({"rpm": 60}, 10, None),
        ({"rpm": 600, "tpm": 9}, 100, -2),
        ({"rpm": 6, "concurrency": 4}, 1, None),
    ]
    assert found["litellm a m"]["api_keys"] == ["${LITELLM_OPENAI_KEY}"]
    assert carried.secrets == {"LITELLM_OPENAI_KEY": "secret-a-0123456789"}
    assert models(carried)["m"]["base_model_id"] is None
    assert places(carried) == ["model_list[2].litellm_params.model"]


def test_names_that_would_reach_each_others_hosts_stand_behind_a_prefix() -> None:
    carried = proxied(
        """
        model_list:
          - {model_name: gpt-4o, litellm_params: {model: azure/deployed, api_base: "https://x.openai.azure.com"}}
          - {model_name: smart, litellm_params: {model: openai/gpt-4o, api_key: os.environ/K}}
          - {model_name: team one, litellm_params: {model: openai/shared, api_base: "http://a/v1"}}
          - {model_name: team two, litellm_params: {model: openai/shared, api_base: "http://b/v1"}}
          - {model_name: again, litellm_params: {model: azure/deployed, api_base: "https://x.openai.azure.com"}}
        """
    )
    found = models(carried)
    assert {name: one["base_model_id"] for name, one in found.items()} == {
        "gpt-4o": "deployed", "again": "deployed", "smart": "smart.gpt-4o", "team one": "team-one.shared",
        "team two": "team-two.shared",
    }  # fmt: skip
    prefixes = [(one["base_url"], one.get("prefix_id")) for one in connections(carried).values()]
    assert prefixes == [
        ("https://x.openai.azure.com", None), ("https://api.openai.com/v1", "smart"), ("http://a/v1", "team-one"),
        ("http://b/v1", "team-two"),
    ]  # fmt: skip


def test_what_holds_for_all_deployments_of_litellm_is_carried_to_each() -> None:
    carried = proxied("""
        model_list:
          - {model_name: a, litellm_params: {model: openai/a, api_base: "http://a/v1"}}
          - {model_name: b, litellm_params: {model: openai/b, api_base: "http://b/v1", rpm: 5, temperature: 1, timeout: 7}}
        litellm_settings: {request_timeout: 10, ssl_verify: false, num_retries: 0}
        router_settings: {timeout: 20, default_max_parallel_requests: 4, default_litellm_params: {temperature: 0.5, region: x},
          routing_strategy: latency-based-routing, cooldown_time: 30, allowed_fails: 3, num_retries: 2, stream_timeout: 5}
    """)
    connections = {one.name: one.model_dump(exclude_unset=True) for one in carried.yard.connections}
    assert connections["litellm a a"]["limits"] == {"concurrency": 4}
    assert connections["litellm b b"]["limits"] == {"rpm": 5}
    assert [one["timeouts"] for one in connections.values()] == [{"first_byte": 20}, {"first_byte": 7}]
    assert {model.id: model.params for model in carried.yard.models} == {
        "a": {"temperature": 0.5},
        "b": {"temperature": 1},
    }
    assert sorted(places(carried)) == [
        "litellm_settings.num_retries", "litellm_settings.request_timeout", "litellm_settings.ssl_verify",
        "router_settings.allowed_fails", "router_settings.cooldown_time",
        "router_settings.default_litellm_params.region", "router_settings.num_retries",
        "router_settings.routing_strategy", "router_settings.stream_timeout",
    ]  # fmt: skip
    assert "there is no such setting here" not in {one.why for one in carried.left}


def test_a_setting_of_litellm_that_is_no_number_is_named() -> None:
    carried = proxied("""
        model_list: [{model_name: a, litellm_params: {model: openai/a, api_base: "http://a/v1"}}]
        litellm_settings: {request_timeout: 10}
        router_settings: {timeout: soon, default_max_parallel_requests: many}
    """)
    assert sorted(places(carried)) == ["router_settings.default_max_parallel_requests", "router_settings.timeout"]
    (connection,) = carried.yard.connections
    assert connection.model_dump(exclude_unset=True)["timeouts"] == {"first_byte": 10}


def test_fallbacks_of_litellm_that_no_setting_holds_are_named_one_by_one() -> None:
    many = ", ".join(f"m{number}" for number in range(12))
    carried = proxied(f"""
        model_list: []
        router_settings: {{fallbacks: [{{a: [b, {{model: c, max_tokens: 5}}]}}, {{z: [{many}]}}]}}
    """)
    found = carried.yard.settings["models.fallbacks"]
    assert found == {"a": ["b"], "z": [f"m{number}" for number in range(10)]}
    assert places(carried) == ["router_settings.fallbacks[0]", "fallbacks.z", "fallbacks.z"]
    assert checked("models.fallbacks", found) == found


def test_settings_of_litellm_are_carried_or_named_one_by_one() -> None:
    carried = proxied(
        """
        model_list:
          - {model_name: a, litellm_params: {model: openai/a, api_base: os.environ/BASE, api_key: os.environ/KEY, num_retries: 3,
             aws_region_name: x, extra_headers: {X-Team: blue-team-0123456789}, organization: org-1}}
          - {model_name: b, litellm_params: {model: bedrock/b}}
          - {model_name: c, litellm_params: {model: nobody-knows}}
          - {model_name: d, litellm_params: {litellm_credential_name: shared, model: azure/d, api_version: "1"}}
          - {model_name: e, litellm_params: {model: hosted_vllm/e}}
          - {model_name: "openai/*", litellm_params: {model: "openai/*", api_key: os.environ/KEY}}
          - no deployment
        credential_list:
          - {credential_name: shared, credential_values: {api_key: azure-secret-0123456789, api_base: "https://x.openai.azure.com"}}
        environment_variables: {BASE: "http://a/v1", KEY: key-of-the-file-0123456789, OTHER: other-secret-0123456789}
        litellm_settings: {drop_params: true, request_timeout: 10, fallbacks: [{a: [d]}, nonsense], default_fallbacks: [e], success_callback: [langfuse]}
        router_settings: {routing_strategy: simple-shuffle, model_group_alias: {alias: a, lost: z, hid: {model: d, hidden: true}},
          redis_password: redis-secret-0123456789, timeout: 30}
        general_settings: {master_key: sk-master-0123456789-0123456789-0123, database_url: "postgresql://u:secret@h/d",
          completion_model: a}
        """
    )
    found = connections(carried)
    assert found["litellm a"]["timeouts"] == {"first_byte": 30}
    assert found["litellm a"]["api_keys"] == ["${KEY}"]
    assert found["litellm a"]["headers"] == {
        "X-Team": "${LITELLM_HEADER_X_TEAM}",
        "OpenAI-Organization": "${LITELLM_ORGANIZATION}",
    }
    assert found["litellm x.openai.azure.com"]["api_keys"] == ["${LITELLM_AZURE_KEY}"]
    assert "model_ids" not in found["litellm api.openai.com"]
    assert set(models(carried)) == {"a", "d", "alias", "hid"}
    assert carried.yard.settings == {"models.default": ["a"], "models.fallbacks": {"a": ["d"], "*": ["e"]}}
    (service,) = carried.yard.users
    assert (service.kind, service.role, service.keys[0].key) == ("service", "user", "${LITELLM_MASTER_KEY}")
    assert carried.secrets["KEY"] == "key-of-the-file-0123456789"
    assert carried.secrets["LITELLM_MASTER_KEY"] == "sk-master-0123456789-0123456789-0123"
    assert set(places(carried)) == {
        "model_list[0].litellm_params.aws_region_name", "model_list[0].litellm_params.num_retries",
        "model_list[1].litellm_params.model", "model_list[2].litellm_params.model", "model_list[3].litellm_params.api_version",
        "model_list[4].litellm_params.api_base", "model_list[5].model_name", "model_list[6]",
        "router_settings.model_group_alias.lost", "router_settings.model_group_alias.hid.hidden",
        "router_settings.redis_password", "litellm_settings.drop_params", "litellm_settings.fallbacks[1]",
        "litellm_settings.success_callback", "litellm_settings.request_timeout", "general_settings.database_url", "general_settings.master_key",
        "environment_variables.OTHER",
    }  # fmt: skip
    assert "secret" not in repr(carried.left)
    assert "0123456789-0123" not in repr(carried)


def test_a_short_master_key_and_one_of_the_environment_are_not_taken_over() -> None:
    for key in ("sk-1234", "os.environ/MASTER"):
        carried = proxied(f"general_settings: {{master_key: {key}}}")
        assert not carried.yard.users
        assert places(carried) == ["general_settings.master_key"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("- 1", "no config.yaml of LiteLLM"),
        ("colour: red", "no config.yaml of LiteLLM"),
        ("model_list: all", "no config.yaml of LiteLLM"),
        ("model_list: !!python/object/apply:os.system [id]", "not YAML"),
        ("model_list: &a [*a]", "nested deeper"),
        ("a: &a [" + "1, " * 90 + "1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else '*a'] * 90)}]\n" for n in range(5)), "expands to more"),
        ("[" * 5000, "nested deeper"),
    ],
)  # fmt: skip
def test_a_broken_or_hostile_configuration_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        proxied(text)


# --- LocalAI


def test_models_of_localai_become_overrides_on_a_connection_to_it(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        """
        name: phi
        description: Small
        backend: llama-cpp
        context_size: 4096
        f16: true
        parameters: {model: phi.gguf, temperature: 0.2, top_k: 40, max_tokens: 100, n_keep: 4, seed: null}
        system_prompt: You are small.
        stopwords: ["<|end|>"]
        template: {chat: x}
        """
    )
    (tmp_path / "two.yml").write_text(
        "- {name: alias, alias: phi, disabled: true}\n- {parameters: {}}\n---\nname: third\n"
    )
    (tmp_path / ".hidden.yaml").write_text("name: hidden")
    (tmp_path / "notes.txt").write_text("name: none")
    carried = localai.read(tmp_path, "http://box:8080/v1", "Box")
    assert connections(carried) == {
        "Box": {"name": "Box", "kind": "openai", "flavour": "localai", "base_url": "http://box:8080/v1"}
    }
    found = models(carried)
    assert list(found) == ["phi", "alias", "third"]
    assert found["phi"]["params"] == {
        "temperature": 0.2, "top_k": 40, "max_tokens": 100, "num_keep": 4, "stop": ["<|end|>"], "system": "You are small.",
    }  # fmt: skip
    assert found["phi"]["meta"] == {"description": "Small", "context_window": 4096}
    assert (found["alias"]["base_model_id"], found["alias"]["is_active"]) == ("phi", False)
    assert places(carried) == [
        "one.yaml.parameters.model", "one.yaml.backend", "one.yaml.f16", "one.yaml.template", "two.yml[1]",
    ]  # fmt: skip


def test_what_holds_no_model_of_localai_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {url: x, files: []}")
    with pytest.raises(Problem, match="no model of LocalAI"):
        localai.read(tmp_path / "a.yaml")
    with pytest.raises(Problem, match="address of LocalAI"):
        localai.of_documents({"a": [{"name": "x"}]}, "nowhere")
    with pytest.raises(Problem, match="cannot be read"):
        localai.read(tmp_path / "none.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Problem, match="0 YAML files"):
        localai.read(tmp_path / "empty")
