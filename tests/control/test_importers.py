# ruff: noqa: E501 - configurations and requests on a line
"""Moving in as a person does it: commands on a real database, and a server that then serves what came in."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modelyard.control.modelfile.parsing import parse
from tests.control.conftest import OTHER_KEY, USER_KEY
from tests.servers import Scripted
from tests.unit.test_importers import make_legacy, make_newer, make_older
from tests.yard import Yard, run_yard

SECRET_KEY = "the secret key of these tests is long enough"
ADMINISTRATOR = ("users", "create", "zoe@example.com", "--role", "admin", "--no-password")


def modelyard(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """A command on the database of this folder; what it wrote on both channels."""
    done = subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments, "--data-dir", str(folder / "data")],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={"PATH": "/usr/bin", "MODELYARD_SECRET_KEY": SECRET_KEY, **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def told(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """What an import says of itself."""
    text = modelyard(folder, "import", *arguments, "--json", **environment)
    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def steps(said: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(step["action"], step["noun"], step["name"]) for step in said["steps"]]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file of every kind that can be imported."""
    (tmp_path / "data").mkdir()
    export = tmp_path / "models.json"
    export.write_text(json.dumps([{"id": "p", "name": "P", "base_model_id": "b", "access_control": None}]))
    config = tmp_path / "config.yaml"
    config.write_text(
        "model_list:\n"
        "  - {model_name: m, litellm_params: {model: openai/up, api_base: 'http://127.0.0.1:9/v1', api_key: key-0123456789-abcdef}}\n"
        "  - {model_name: n, litellm_params: {model: openai/n, api_base: 'http://127.0.0.2:9/v1', api_key: os.environ/THEIR_KEY}}\n"
        "general_settings: {master_key: sk-master-0123456789-0123456789-0123}\n"
    )
    local = tmp_path / "local.yaml"
    local.write_text("name: phi\nparameters: {temperature: 0.2}\nsystem_prompt: Costs ${HOME}.\n")
    modelfile = tmp_path / "Modelfile.mario"
    modelfile.write_text("FROM llama3:8b # base\nPARAMETER temperature 0.5\nSYSTEM You are Mario.\nLICENSE MIT\n")
    return {
        "export": export, "older": make_older(tmp_path / "older.db"), "newer": make_newer(tmp_path / "newer.db"),
        "legacy": make_legacy(tmp_path / "legacy.db"), "litellm": config, "localai": local, "modelfile": modelfile,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("open-webui", "export"),
        ("open-webui", "older"),
        ("open-webui", "newer"),
        ("open-webui", "legacy"),
        ("litellm", "litellm"),
        ("localai", "localai"),
        ("modelfile", "modelfile"),
    ],
)
def test_a_second_import_of_the_same_file_finds_nothing_to_do(
    tmp_path: Path, files: Mapping[str, Path], command: str, file: str
) -> None:
    source, environment = files[file], {"THEIR_KEY": "key-of-the-environment-0123456789"}
    content = source.read_bytes()
    first = told(tmp_path, command, str(source), **environment)
    assert first["applied"]
    assert {action for action, _, _ in steps(first)} == {"create"}
    second = told(tmp_path, command, str(source), **environment)
    assert steps(second) == []
    assert not second["applied"]
    assert second["left"] == first["left"]
    # Nor without what the environment told the first time.
    assert steps(told(tmp_path, command, str(source))) == []
    assert source.read_bytes() == content


def test_a_dry_run_shows_the_plan_and_what_is_left_and_changes_nothing(
    tmp_path: Path, files: Mapping[str, Path]
) -> None:
    modelyard(tmp_path, *ADMINISTRATOR)
    before = modelyard(tmp_path, "export")
    said = modelyard(tmp_path, "import", "open-webui", str(files["older"]), "--dry-run")
    assert "+ model helper" in said
    assert "+ connection ollama gpu:11434" in said
    assert "model[0].access_control.read.user_ids: gone (the file does not say which user this is)" in said
    assert "Nothing was changed" in said
    assert "secret-0123456789" not in said
    assert modelyard(tmp_path, "export") == before


def test_secrets_reach_the_database_and_no_output(tmp_path: Path, files: Mapping[str, Path]) -> None:
    said = modelyard(
        tmp_path, "import", "litellm", str(files["litellm"]), "--json", THEIR_KEY="key-of-theirs-0123456789"
    )
    said += modelyard(tmp_path, "export") + modelyard(tmp_path, "connections", "list")
    for secret in ("key-0123456789-abcdef", "key-of-theirs-0123456789", "sk-master-0123456789"):
        assert secret not in said
    assert "********cdef" in said
    assert "********6789" in said


def test_a_variable_that_is_not_set_is_named_and_its_connection_keeps_the_key_that_it_has(
    tmp_path: Path, files: Mapping[str, Path]
) -> None:
    said = told(tmp_path, "litellm", str(files["litellm"]))
    assert any("THEIR_KEY" in one["why"] for one in said["left"])
    said = told(tmp_path, "litellm", str(files["litellm"]), THEIR_KEY="key-of-theirs-0123456789")
    assert steps(said) == [("update", "connection", "litellm 127.0.0.2:9")]
    assert steps(told(tmp_path, "litellm", str(files["litellm"]))) == []


def test_a_file_cannot_name_our_own_secrets_and_have_them_sent_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    config = tmp_path / "foreign.yaml"
    config.write_text(
        "model_list:\n"
        "  - {model_name: m, litellm_params: {model: openai/up, api_base: 'http://127.0.0.1:9/v1', api_key: os.environ/MODELYARD_ADMIN_API_KEY}}\n"
    )
    secret = "an-administrator-s-key-0123456789-abcdef"
    modelyard(tmp_path, "import", "litellm", str(config), "--dry-run", code=1, MODELYARD_ADMIN_API_KEY=secret)
    modelyard(tmp_path, *ADMINISTRATOR)
    said = told(tmp_path, "litellm", str(config), MODELYARD_ADMIN_API_KEY=secret)
    assert any("MODELYARD_ADMIN_API_KEY" in json.dumps(one) for one in said["left"])
    [made] = json.loads(modelyard(tmp_path, "connections", "list", "--json"))
    assert made["api_keys"] == []


def test_text_that_looks_like_a_reference_is_never_filled_in(tmp_path: Path, files: Mapping[str, Path]) -> None:
    said = told(tmp_path, "localai", str(files["localai"]), HOME="the home of somebody")
    (system,) = [
        fields["params.system"]["new"] for step in said["steps"] if "params.system" in (fields := step["fields"])
    ]
    assert system == "Costs ${HOME}."


def test_models_and_accounts_of_others_stay_as_they_are_unless_overwritten(
    tmp_path: Path, files: Mapping[str, Path]
) -> None:
    modelyard(tmp_path, *ADMINISTRATOR)
    modelyard(tmp_path, "users", "create", "bob@example.com", "--name", "Robert", "--role", "admin", "--no-password")
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps([{"id": "helper", "name": "Zoe's", "base_model_id": "x", "access_control": {}}]))
    modelyard(tmp_path, "import", "open-webui", str(theirs), "--owner", "zoe@example.com")
    said = told(tmp_path, "open-webui", str(files["older"]))
    assert ("update", "model", "helper") not in steps(said)
    assert {
        "place": "models.helper",
        "what": "helper",
        "why": "it belongs to zoe@example.com; --overwrite changes it",
    } in said["left"]
    document = modelyard(tmp_path, "export")
    assert "name: Zoe's" in document.replace('"', "")
    assert "name: Robert" in document
    # The role stays, the groups are added.
    (bob,) = [step for step in said["steps"] if step["name"] == "bob@example.com"]
    assert bob["fields"] == {"groups": {"old": [], "new": ["Staff"]}}
    said = told(tmp_path, "open-webui", str(files["older"]), "--overwrite")
    assert ("update", "model", "helper") in steps(said)
    (bob,) = [step for step in said["steps"] if step["name"] == "bob@example.com"]
    assert bob["fields"]["role"] == {"old": "admin", "new": "user"}


def test_who_owns_what_the_file_gives_to_nobody_is_said_and_can_be_set_later(
    tmp_path: Path, files: Mapping[str, Path]
) -> None:
    arguments = ("import", "open-webui", str(files["export"]))
    said = modelyard(tmp_path, *arguments)
    assert "1 new model: the owner is the command line (`command-line`), because there is no administrator yet." in said
    assert "--owner EMAIL" in said
    assert "owner" not in modelyard(tmp_path, "export")
    modelyard(tmp_path, *ADMINISTRATOR)
    assert "There is nothing to do." in modelyard(tmp_path, *arguments)
    said = modelyard(tmp_path, *arguments, "--owner", "zoe@example.com")
    assert "~ model p" in said
    assert "owner: zoe@example.com" in modelyard(tmp_path, "export")
    assert "There is nothing to do." in modelyard(tmp_path, *arguments, "--owner", "zoe@example.com")


def test_the_first_administrator_is_named_as_the_owner(tmp_path: Path, files: Mapping[str, Path]) -> None:
    modelyard(tmp_path, *ADMINISTRATOR)
    said = told(tmp_path, "open-webui", str(files["export"]))
    assert said["notes"] == ["1 new model: the owner is zoe@example.com."]
    assert told(tmp_path, "open-webui", str(files["export"]))["notes"] == []


def test_an_owner_who_is_not_there_is_refused(tmp_path: Path, files: Mapping[str, Path]) -> None:
    modelyard(tmp_path, *ADMINISTRATOR)
    said = modelyard(tmp_path, "import", "open-webui", str(files["export"]), "--owner", "no@example.com", code=1)
    assert "no user with the e-mail address" in said


@pytest.mark.parametrize("command", ["open-webui", "litellm", "localai", "modelfile"])
@pytest.mark.parametrize("content", [b"\x00\xff", b"SQLite format 3\x00 and no more", b'{"models": 1}'])
def test_a_file_that_is_broken_is_refused_in_one_line_and_nothing_is_made(
    tmp_path: Path, command: str, content: bytes
) -> None:
    (tmp_path / "data").mkdir()
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    said = modelyard(tmp_path, "import", command, str(broken), code=1)
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "data" / "modelyard.db").exists()


def test_a_modelfile_comes_back_as_ollama_takes_it(tmp_path: Path, files: Mapping[str, Path]) -> None:
    modelyard(tmp_path, "import", "modelfile", str(files["modelfile"]), "--name", "It's me")
    text = modelyard(tmp_path, "models", "modelfile", "mario")
    assert {(one.name, one.key, one.value) for one in parse(text).instructions} == {
        ("from", "", "llama3:8b"), ("parameter", "temperature", "0.5"), ("system", "", "You are Mario."), ("license", "", "MIT"),
    }  # fmt: skip
    assert "no model with the id luigi" in modelyard(tmp_path, "models", "modelfile", "luigi", code=1)


def test_what_moved_in_from_litellm_answers_under_its_old_names_and_key(upstream: Scripted, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "model_list:\n"
        f"  - {{model_name: smart, litellm_params: {{model: openai/echo, api_base: '{upstream.base_url}', temperature: 0.1}}}}\n"
        f"  - {{model_name: lorem, litellm_params: {{model: openai/lorem, api_base: '{upstream.base_url}'}}}}\n"
        "router_settings: {model_group_alias: {old-name: smart}}\n"
        "general_settings: {master_key: sk-master-0123456789-0123456789-0123}\n"
    )
    (tmp_path / "data").mkdir()
    modelyard(tmp_path, *ADMINISTRATOR)
    modelyard(tmp_path, "import", "litellm", str(config))
    with (
        run_yard(tmp_path / "data", {"MODELYARD_SECRET_KEY": SECRET_KEY}) as yard,
        yard.client("sk-master-0123456789-0123456789-0123") as caller,
    ):
        for model in ("smart", "lorem", "old-name"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            answer = caller.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
        assert caller.get("/api/v1/connections").status_code == 403


# --- over HTTP


def test_a_modelfile_goes_in_and_out_over_http(peopled: Yard) -> None:
    content = 'FROM echo\nPARAMETER top_k 3\nSYSTEM """You\nare"""\nTEMPLATE x\n'
    answer = peopled.admin.post("/api/v1/models/import/modelfile", json={"id": "over-http", "content": content})
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["params"] == {"top_k": 3, "system": "You\nare"}
    assert answer.json()["model"]["access_control"] == {}
    assert [one["place"] for one in answer.json()["left"]] == ["TEMPLATE"]
    again = peopled.admin.post("/api/v1/models/import/modelfile", json={"id": "over-http", "content": content})
    assert again.json()["model"]["version_id"] == answer.json()["model"]["version_id"]
    text = peopled.admin.get("/api/v1/models/model/modelfile", params={"id": "over-http"})
    assert text.headers["content-type"].startswith("text/plain")
    assert sorted(one.name for one in parse(text.text).instructions) == ["from", "parameter", "system", "template"]
    declared = peopled.admin.get("/api/v1/models/model/modelfile", params={"id": "echo"})
    assert declared.status_code == 200
    assert "FROM echo" in declared.text


def test_a_modelfile_shows_the_prompt_to_those_only_who_may_write_the_model(peopled: Yard) -> None:
    form = {
        "id": "shared-prompt",
        "name": "s",
        "base_model_id": "echo",
        "params": {"system": "hidden"},
        "access_control": None,
    }
    assert peopled.admin.post("/api/v1/models/create", json=form).status_code == 200
    with peopled.client(USER_KEY) as user:
        denied = user.get("/api/v1/models/model/modelfile", params={"id": "shared-prompt"})
        assert denied.status_code == 403
        assert "hidden" not in denied.text
        assert user.get("/api/v1/models/model/modelfile", params={"id": "no-such"}).status_code == 404
        assert user.get("/api/v1/models/model/modelfile", params={"id": "lorem"}).status_code == 404
        refused = user.post("/api/v1/models/import/modelfile", json={"id": "mine", "content": "FROM echo"})
        assert refused.status_code == 403
    with peopled.client(None) as nobody:
        assert nobody.get("/api/v1/models/model/modelfile", params={"id": "shared-prompt"}).status_code == 401


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"id": "x", "content": "nonsense"}, 422),
        ({"id": "x", "content": "FROM ./file.gguf"}, 422),
        ({"id": "", "content": "FROM echo"}, 422),
        ({"id": "x"}, 422),
        ({"id": "echo", "content": "FROM lorem"}, 409),
    ],
)
def test_a_modelfile_that_cannot_be_imported_over_http_is_refused(
    peopled: Yard, form: dict[str, Any], status: int
) -> None:
    answer = peopled.admin.post("/api/v1/models/import/modelfile", json=form)
    assert answer.status_code == status, answer.text


def test_a_base_that_is_a_file_may_be_named_over_http(peopled: Yard) -> None:
    form = {"id": "from-file", "content": "FROM ./file.gguf", "base": "echo"}
    answer = peopled.admin.post("/api/v1/models/import/modelfile", json=form)
    assert answer.json()["model"]["base_model_id"] == "echo"
    assert [one["place"] for one in answer.json()["left"]] == ["FROM"]
    with peopled.client(OTHER_KEY) as other:
        assert other.get("/api/v1/models/model/modelfile", params={"id": "from-file"}).status_code == 404


def test_a_database_full_of_hostile_rows_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "webui.db"
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(make_newer(path))) as db:
        deep = "[" * 5000 + "]" * 5000
        for number, meta in enumerate(
            (deep, "1" * 5000, '"\\ud800"', '{"profile_image_url": 1}', '{"a": 1e999}', b"\xff\x00", "")
        ):
            db.execute(
                "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?, 1, NULL, 0, 0)",
                (f"h{number}", "u1", "b", b"\xff" if number else None, meta, meta),
            )
        db.execute("INSERT INTO model VALUES ('nul' || char(0), 'u1', 'b', 'n', '{}', '{}', 'x', NULL, 0, 0)")
        db.execute(
            "INSERT INTO config VALUES ('openai.api_base_urls', '{\"a\": 1}', 0), ('openai.api_keys', 'null', 0)"
        )
        db.commit()
    said = told(tmp_path, "open-webui", str(path))
    assert ("create", "model", "p") in steps(said)
    assert {f"h{number}" for number in range(7)} <= {name for _, noun, name in steps(said) if noun == "model"}
