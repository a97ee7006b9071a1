"""The README and the guides are run: every shell block and the Python block, against a server set up as they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.yard import ADMIN_KEY, run_yard, setup_token

ROOT = Path(__file__).parent.parent
ADDRESS = "http://127.0.0.1:8484"
BACKEND = "http://127.0.0.1:8080"


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def new_server(engine: Engine, tmp_path_factory):
    """A server as `make run` starts it: no administrator yet. (its address, the first key)"""
    with run_yard(tmp_path_factory.mktemp("readme") / "data", {"MODELYARD_ADMIN_API_KEY": ""}) as yard:
        form = {"token": setup_token(yard), "email": "you@example.com", "password": "a good password"}
        with yard.client(None) as client:
            answer = client.post("/api/v1/setup", json=form)
        assert answer.status_code == 200, answer.text
        yield yard.url, answer.json()["key"], engine.base_url.removesuffix("/v1")


def as_here(text: str, server: tuple[str, str, str]) -> str:
    url, key, backend = server
    return text.replace(ADDRESS, url).replace(BACKEND, backend).replace("sk-my-...", key)


def environment(server: tuple[str, str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "MODELYARD_API_KEY": server[1], "MODEL": "tiny-llama"}


def run_shell(script: str, server: tuple[str, str, str]) -> str:
    # --fail-with-body: an error answer fails the example.
    script = 'set -euo pipefail\ncurl() { command curl -sS --fail-with-body "$@"; echo; }\n' + as_here(script, server)
    done = subprocess.run(
        ["bash", "-c", script], env=environment(server), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(script: str, server: tuple[str, str, str]) -> str:
    command = [sys.executable, "-c", as_here(script, server)]
    done = subprocess.run(command, env=environment(server), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_from_nothing_to_an_answer(new_server):
    first, second = blocks("README.md", "bash")
    answer = run_shell(first, new_server)
    assert '"models":["tiny-llama"]' in answer
    assert "data: [DONE]" in answer
    assert len(run_python(blocks("README.md", "python")[0], new_server)) > 10
    assert '"key":"sk-my-' in run_shell(second, new_server)


def test_the_governance_guide(new_server):
    for block in blocks("docs/governance.md", "bash"):
        run_shell(block, new_server)


def test_the_tour_of_the_models_api(engine, tmp_path):
    with run_yard(tmp_path / "data", {"OPENAI_API_BASE_URL": engine.base_url}) as yard:
        server = (yard.url, ADMIN_KEY, engine.base_url)
        answers = [run_shell(block, server) for block in blocks("docs/api-tour.md", "bash")]
    told = "\n".join(answers)
    assert '"total":1' in told
    assert '"params.temperature":{"old":0.3,"new":0.1}' in told
    assert '"action":"model.restored"' in answers[-1]
    assert "HTTP/1.1 200" in answers[-2] and "etag: " in answers[-2]


def test_the_tour_names_every_kind_of_request():
    tour = (ROOT / "docs/api-tour.md").read_text(encoding="utf-8")
    for path in (
        "list", "base", "tags", "create", "model", "model/profile/image", "model/toggle", "model/update", "model/delete",
        "import", "export", "delete/all",
    ):  # fmt: skip
        assert re.search(rf"/api/v1/models/{path}[ ?\"]", tour), path


def test_three_clients_of_three_dialects_get_an_answer(new_server):
    """Runs after the README's connection was made."""
    [script] = blocks("docs/translation.md", "python")
    answers = run_python(script, new_server).splitlines()
    assert len(answers) == 3
    assert all(answer.strip() for answer in answers)


def test_the_yard_file_of_the_guide_is_valid(tmp_path):
    file = tmp_path / "yard.yaml"
    file.write_text(blocks("docs/yard-file.md", "yaml")[0].replace("127.0.0.1:11434", "127.0.0.1:9"))
    with run_yard(
        tmp_path / "data", {"CLOUD_KEY": "sk-cloud", "CI_KEY": "k" * 32}, ("--config", str(file)), wait=True
    ) as yard:
        names = [row["name"] for row in yard.admin.get("/api/v1/connections").json()["items"]]
        assert names == ["workstation", "cloud"]
        with yard.client("k" * 32) as ci:
            assert ci.get("/v1/models").status_code == 200
