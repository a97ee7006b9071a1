"""yard.yaml: what it declares is in force and read-only; what is wrong with it is told by file, place and reason."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.control.conftest import KEYS, OTHER_KEY, PEOPLE, USER_KEY
from tests.operations.tools import refuses
from tests.yard import run_yard

SCHEMA = Path("docs/yard.schema.json")

FILE = """
connections:
  - name: from-file
    kind: openai
    base_url: {base_url}
    api_keys: ["${{BACKEND_KEY}}"]
    prefix_id: f
    model_ids: [echo, lorem]
users:
  - {{email: User@Example.com, keys: [{{name: main, key: "${{USER_KEY}}", limits: {{rpm: 1000}}}}]}}
  - {{email: other@example.com, keys: [{{name: main, key: "${{OTHER_KEY}}", models: [f.echo]}}]}}
models:
  - {{id: f.echo, access_control: null}}
  - {{id: f.lorem, name: Latin, access_control: {{read: {{user_ids: [user@example.com]}}}}}}
  - {{id: polite, base_model_id: f.echo, params: {{system: Be polite., temperature: 0}}, access_control: null}}
"""
BACKEND_KEY = "sk-backend-key-of-the-file-0123456789"


@pytest.fixture
def declared(upstream, data_dir, tmp_path):
    file = tmp_path / "yard.yaml"
    file.write_text(FILE.format(base_url=upstream.base_url))
    with run_yard(data_dir, {**KEYS, "BACKEND_KEY": BACKEND_KEY}, ("--config", str(file))) as yard:
        yield yard


def test_what_the_file_declares_is_in_force(declared, upstream):
    with declared.client(USER_KEY) as user, declared.client(OTHER_KEY) as other:
        assert user.get("/api/v1/auths/").json()["email"] == "user@example.com"
        assert {row["id"] for row in user.get("/v1/models").json()["data"]} == {"f.echo", "f.lorem", "polite"}
        assert [row["id"] for row in other.get("/v1/models").json()["data"]] == ["f.echo"]
        upstream.reset()
        ask = {"model": "polite", "messages": [{"role": "user", "content": "hi"}]}
        assert user.post("/v1/chat/completions", json=ask).status_code == 200
    sent = [call for call in upstream.state()["requests"] if call["path"].endswith("completions")][-1]
    assert sent["headers"]["authorization"] == f"Bearer {BACKEND_KEY}"
    assert json.loads(sent["body"])["messages"][0] == {"role": "system", "content": "Be polite."}
    assert BACKEND_KEY not in declared.output()


def test_what_the_file_declares_is_read_only(declared):
    [row] = declared.admin.get("/api/v1/connections").json()["items"]
    assert row["source"] == "file"
    assert row["api_keys"] == ["********" + BACKEND_KEY[-4:]]
    assert declared.admin.patch(f"/api/v1/connections/{row['id']}", json={"enable": False}).status_code == 409
    assert declared.admin.delete(f"/api/v1/connections/{row['id']}").status_code == 409
    for key in declared.admin.get("/api/v1/keys").json()["items"]:
        assert declared.admin.delete(f"/api/v1/keys/{key['id']}").status_code == 409


GROUPS = """
groups: [{name: all}, {name: few, parent: all}]
users:
  - {email: user@example.com, groups: [few], keys: [{name: main, key: "${USER_KEY}"}, {name: main, id: b, key: "${OTHER_KEY}"}]}
models:
  - {id: echo, access_control: {read: {group_ids: [all]}}}
  - {id: own, base_model_id: echo, name: "of $${HOME}", owner: user@example.com}
"""


def test_groups_and_owners_of_the_file_give_access(upstream, data_dir, tmp_path):
    file = tmp_path / "yard.yaml"
    file.write_text(GROUPS)
    environment = {**KEYS, "OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(data_dir, environment, ("--config", str(file))) as yard:
        for key in (USER_KEY, OTHER_KEY):
            with yard.client(key) as user:
                assert {row["id"] for row in user.get("/v1/models").json()["data"]} == {"echo", "own"}
        assert yard.admin.get("/api/v1/models/model", params={"id": "own"}).json()["name"] == "of ${HOME}"


def test_models_of_the_file_are_read_only_too(declared):
    form = {"id": "f.lorem", "name": "Open to all", "access_control": None}
    made = declared.admin.post("/api/v1/models/create", json=form)
    removed = declared.admin.delete("/api/v1/models/model/delete", params={"id": "polite"})
    with declared.client(USER_KEY) as user:
        shown = {row["id"]: row["name"] for row in user.get("/v1/models").json()["data"]}
    assert shown["f.lorem"] == "Latin", "a row of the database overrides the file"
    assert (made.status_code, removed.status_code) == (409, 409)


TWO_CONNECTIONS = (
    "connections: [{name: a, kind: openai, base_url: 'http://a'}, {name: a, kind: openai, base_url: 'http://b'}]"
)
SAME_NAME = ', {name: k, key: "${OTHER_KEY}"}]}'
USER = '{email: a@b.c, keys: [{name: k, key: "${USER_KEY}"}]}'
FAULTS = {
    "not yaml": ("connections: [", ""),
    "not a mapping": ("- a\n- b", ""),
    "unknown key": ("connection: []", "connection"),
    "unknown field": ("connections: [{name: a, kind: openai, base_url: 'http://a', colour: red}]", "connections.0.colour"),
    "missing field": ("connections: [{name: a, kind: openai}]", "connections.0.base_url"),
    "bad url": ("connections: [{name: a, kind: openai, base_url: nonsense}]", "connection a"),
    "bad kind": ("connections: [{name: a, kind: gopher, base_url: 'http://a'}]", "connections.0.kind"),
    "bad flavour": ("connections: [{name: a, kind: openai, base_url: 'http://a', flavour: x}]", "flavour"),
    "header": ("connections: [{name: a, kind: openai, base_url: 'http://a', headers: {Host: b}}]", "headers"),
    "twin connections": (TWO_CONNECTIONS, "more than once"),
    "missing variable": ("users: [{email: a@b.c, keys: [{name: k, key: '${ABSENT_VARIABLE}'}]}]", "ABSENT_VARIABLE"),
    "short key": ("users: [{email: a@b.c, keys: [{name: k, key: too-short}]}]", "users.0.keys.0.key"),
    "role": ("users: [{email: a@b.c, role: king}]", "users.0.role"),
    "email": ("users: [{email: nonsense}]", "users.0.email"),
    "twin users": ("users: [{email: a@b.c, role: user}, {email: A@B.c, role: admin}]", "more than once"),
    "twin keys": (f"users: [{USER}, {USER.replace('a@b.c', 'd@e.f')}]", "more than once"),
    "twin key names": (f"users: [{USER.replace(']}', SAME_NAME)}]", "more than once"),
    "twin models": ("models: [{id: a}, {id: a}]", "more than once"),
    "twin sections": ("models: [{id: a}]\nmodels: [{id: b}]", "models"),
    "params": ("models: [{id: a, params: {temperature: hot}}]", "model a"),
    "access": ("models: [{id: a, access_control: {reed: {}}}]", "model a"),
    "access inside": ("models: [{id: a, access_control: {read: {users: [a@b.c]}}}]", "model a"),
    "itself": ("models: &a [*a]", "anchor"),
    "umlaut key": ("users: [{email: a@b.c, keys: [{name: k, key: äääääääääääääääääääääääääääääääääää}]}]", "users.0.keys.0.key"),
    "no such day": ("users: [{email: a@b.c, name: 2026-13-45}]", "month"),
    "settings": ("settings: {models.default: [a]}", "modelyard apply yard.yaml"),
    "group of nobody": ("users: [{email: a@b.c, groups: [staff]}]", "no group staff"),
    "parent of nobody": ("groups: [{name: a, parent: b}]", "no group b"),
    "circle": ("groups: [{name: a, parent: b}, {name: b, parent: a}]", "below itself"),
    "date": ("models: [{id: a, params: {since: 2024-01-01}}]", "models.0.params.since"),
    "twin fields": ("models:\n  - {id: a, name: b, name: c}", "line 2"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_file_place_and_reason(tmp_path, fault):
    text, place = FAULTS[fault]
    (tmp_path / "yard.yaml").write_text(text)
    told = refuses("--config", "yard.yaml", cwd=tmp_path, environment=KEYS)
    assert "yard.yaml" in told
    assert place in told
    assert USER_KEY not in told


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "yard.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refuses("--config", "yard.yaml", cwd=tmp_path)


def test_the_value_of_a_variable_cannot_become_structure(tmp_path, data_dir, upstream):
    file = tmp_path / "yard.yaml"
    file.write_text('users: [{email: a@b.c, name: "${NAME}", keys: [{name: k, key: "${USER_KEY}"}]}]')
    environment = {**KEYS, "NAME": 'x", role: admin, y: "', "OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(data_dir, environment, ("--config", str(file))) as yard, yard.client(USER_KEY) as user:
        assert user.get("/api/v1/auths/").json()["role"] == "user"


def test_an_empty_file_declares_nothing(tmp_path, data_dir):
    file = tmp_path / "yard.yaml"
    file.write_text("# nothing yet\n")
    with run_yard(data_dir, {}, ("--config", str(file))) as yard:
        assert yard.admin.get("/api/v1/connections").json() == {"items": []}


@pytest.mark.parametrize("text", [FILE.format(base_url="http://a"), PEOPLE] if SCHEMA.exists() else [])
def test_the_published_schema_accepts_what_the_server_accepts(text):
    jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text()))


REFUSED_BY_SCHEMA = ["unknown key", "unknown field", "missing field", "bad kind", "role"] if SCHEMA.exists() else []


@pytest.mark.parametrize("fault", REFUSED_BY_SCHEMA)
def test_the_published_schema_refuses_what_the_server_refuses(fault):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(FAULTS[fault][0]), json.loads(SCHEMA.read_text()))
