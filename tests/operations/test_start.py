"""A server that cannot serve as it was told says why and ends with exit code 2; one that can starts quickly."""

import json
import os
import socket
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.operations.test_storage import small_disk
from tests.operations.tools import clean_environment, modelyard, refuses, wait
from tests.servers import free_port
from tests.yard import run_yard, setup_token

PASSWORD = "correct horse battery staple"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty working directory."""
    made = tmp_path / "cwd"
    made.mkdir()
    return made


@contextmanager
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use(folder):
    with busy_port() as port:
        told = refuses("--port", str(port), cwd=folder)
    assert "MODELYARD_PORT" in told
    assert str(port) in told
    assert "in use" in told
    assert "Example:" in told


def test_a_start_that_fails_does_not_take_the_setup_link_of_the_one_that_runs(data_dir):
    """Starting twice by mistake is common, and the link of the first start has been printed already."""
    with run_yard(data_dir, {"MODELYARD_ADMIN_API_KEY": ""}) as yard:
        token = setup_token(yard)
        refuses("--port", yard.url.rpartition(":")[2], "--data-dir", str(data_dir), cwd=data_dir)
        with yard.client(None) as client:
            answer = client.post(
                "/api/v1/setup", json={"token": token, "email": "you@example.com", "password": PASSWORD}
            )
        assert answer.status_code == 200, answer.text


def test_a_data_directory_that_is_a_file(folder):
    (folder / "taken").write_text("")
    told = refuses("--data-dir", "taken", cwd=folder)
    assert "MODELYARD_DATA_DIR" in told
    assert "taken" in told
    assert "Example:" in told


def test_a_data_directory_below_a_file(folder):
    (folder / "taken").write_text("")
    assert "MODELYARD_DATA_DIR" in refuses("--data-dir", "taken/data", cwd=folder)


@pytest.mark.parametrize("stage", ["new", "used"] if os.geteuid() == 0 else [])
def test_a_data_directory_on_a_disk_that_became_read_only(folder, stage):
    with small_disk(folder / "data", "size=20m"):
        if stage == "used":
            with run_yard(folder / "data"):
                pass
        subprocess.run(["mount", "-o", "remount,ro", str(folder / "data")], check=True)
        told = refuses("--data-dir", "data", cwd=folder)
    assert "data" in told
    assert "MODELYARD_DATA_DIR" in told


WRONG = {
    "port-word": ({"MODELYARD_PORT": "eighty"}, "MODELYARD_PORT", "eighty"),
    "port-large": ({"MODELYARD_PORT": "70000"}, "MODELYARD_PORT", "70000"),
    "workers": ({"MODELYARD_WORKERS": "0"}, "MODELYARD_WORKERS", "0"),
    "timeout": ({"REQUEST_TIMEOUT": "-1"}, "REQUEST_TIMEOUT", "-1"),
    "level": ({"MODELYARD_LOG_LEVEL": "loud"}, "MODELYARD_LOG_LEVEL", "loud"),
    "bool": ({"ENABLE_OLLAMA": "perhaps"}, "ENABLE_OLLAMA", "perhaps"),
    "proxies": ({"MODELYARD_TRUSTED_PROXIES": "the proxy"}, "MODELYARD_TRUSTED_PROXIES", "the proxy"),
    "base-path": ({"MODELYARD_BASE_PATH": "modelyard"}, "MODELYARD_BASE_PATH", "slash"),
    "short-admin-key": ({"MODELYARD_ADMIN_API_KEY": "too-short-secret"}, "MODELYARD_ADMIN_API_KEY", "32"),
    "short-secret-key": ({"MODELYARD_SECRET_KEY": "too-short-secret"}, "MODELYARD_SECRET_KEY", "32"),
    "empty-secret-key": ({"MODELYARD_SECRET_KEY": "," * 40}, "MODELYARD_SECRET_KEY", ""),
    "database": ({"DATABASE_URL": "mysql://somewhere/modelyard"}, "DATABASE_URL", "mysql"),
    "database-words": ({"DATABASE_URL": "my database"}, "DATABASE_URL", ""),
    "database-in-memory": ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL", ""),
    "ollama-url": ({"OLLAMA_BASE_URL": "gpu1:11434"}, "OLLAMA_BASE_URL", "gpu1"),
    "openai-url": ({"OPENAI_API_BASE_URL": "ftp://models"}, "OPENAI_API_BASE_URL", "ftp"),
    "openai-urls": ({"OPENAI_API_BASE_URLS": "http://ok:1;nonsense"}, "OPENAI_API_BASE_URLS", "nonsense"),
    "email-alone": ({"MODELYARD_ADMIN_EMAIL": "you@example.com"}, "MODELYARD_ADMIN_PASSWORD", "together"),
    "email": ({"MODELYARD_ADMIN_EMAIL": "nonsense", "MODELYARD_ADMIN_PASSWORD": PASSWORD}, "MODELYARD_ADMIN_EMAIL", ""),
    "host": ({"MODELYARD_HOST": "no-such-host.invalid", "MODELYARD_SETUP_LINK": "true"}, "MODELYARD_HOST", "no-such"),
    "config": ({"MODELYARD_CONFIG": "absent.yaml"}, "MODELYARD_CONFIG", "absent.yaml"),
    "umlaut-admin-key": ({"MODELYARD_ADMIN_API_KEY": "ü" * 40}, "MODELYARD_ADMIN_API_KEY", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_told_by_name_with_its_fault_and_an_example(folder, name):
    environment, variable, fault = WRONG[name]
    port = [] if "MODELYARD_PORT" in environment else ["--port", "0"]
    try:
        done = modelyard("serve", *port, cwd=folder, environment=environment)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it serves with {environment}") from None
    assert "Traceback" not in done.stdout, done.stdout[-1500:]
    assert done.returncode == 2
    assert variable in done.stdout
    assert fault in done.stdout
    assert "Example:" in done.stdout
    assert "too-short-secret" not in done.stdout, "a secret is not repeated"
    assert PASSWORD not in done.stdout


def test_every_wrong_setting_is_told_at_once(folder):
    told = refuses(cwd=folder, environment={"MODELYARD_WORKERS": "no", "REQUEST_TIMEOUT": "no"})
    assert "MODELYARD_WORKERS" in told
    assert "REQUEST_TIMEOUT" in told


def test_an_empty_secret_key_file_as_a_full_disk_leaves_it(folder):
    (folder / "data").mkdir()
    (folder / "data" / "secret-key").write_text("")
    assert "secret-key" in refuses("--data-dir", "data", cwd=folder)


def test_a_secret_key_is_made_whole_and_for_its_owner_only(data_dir):
    with run_yard(data_dir):
        pass
    [made] = data_dir.glob("secret-key*")
    assert made.stat().st_mode & 0o777 == 0o600
    assert len(made.read_text()) >= 32


def test_unknown_names_of_ours_are_warned_of(data_dir):
    with run_yard(data_dir, {"MODELYARD_PROT": "8484", "MODELYARD_LOG_LEVEL": "info"}) as yard:
        lines = [json.loads(line) for line in yard.output().splitlines() if line.startswith("{")]
    assert [line["name"] for line in lines if line.get("level") == "warning"] == ["MODELYARD_PROT"]


def test_an_env_file_in_the_current_directory_is_read_and_the_environment_wins(data_dir):
    data_dir.mkdir()
    (data_dir / ".env").write_text("MODELYARD_BASE_PATH=/from-file\nENABLE_METRICS=false\n")
    with run_yard(data_dir, {"ENABLE_METRICS": "true"}) as yard:
        assert yard.admin.get("/from-file/health").status_code == 200
        assert yard.admin.get("/metrics").status_code == 200


PUBLIC = ("--host", "0.0.0.0")


def test_a_public_address_without_an_administrator_is_refused(folder):
    told = refuses(*PUBLIC, cwd=folder)
    assert "MODELYARD_HOST" in told
    assert "--setup-link" in told
    assert "Example:" in told
    assert "/setup?token=" not in told


def test_a_public_address_is_served_with_a_setup_link_when_it_is_asked_for(data_dir):
    with run_yard(data_dir, {"MODELYARD_ADMIN_API_KEY": ""}, (*PUBLIC, "--setup-link")) as yard:
        assert setup_token(yard)


@pytest.mark.parametrize("how", ["key", "user"])
def test_a_public_address_is_served_once_there_is_an_administrator(data_dir, how):
    by_user = {
        "MODELYARD_ADMIN_API_KEY": "",
        "MODELYARD_ADMIN_EMAIL": "You@Example.com",
        "MODELYARD_ADMIN_PASSWORD": PASSWORD,
    }
    with run_yard(data_dir, {} if how == "key" else by_user, PUBLIC) as yard:
        assert "/setup?token=" not in yard.output()
        if how == "user":
            with yard.client(None) as client:
                form = {"email": "you@example.com", "password": PASSWORD}
                assert client.post("/api/v1/auths/signin", json=form).json()["role"] == "admin"


def test_the_administrator_of_the_settings_is_made_once_and_keeps_a_changed_name(data_dir):
    environment = {"MODELYARD_ADMIN_EMAIL": "you@example.com", "MODELYARD_ADMIN_PASSWORD": PASSWORD}
    for _ in range(2):
        with run_yard(data_dir, environment) as yard:
            entries = yard.admin.get("/api/v1/audit", params={"action": "user.created"}).json()["items"]
            assert len(entries) == 1


class BlackHole:
    """A backend whose machine takes connections and says nothing."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def asked(self) -> socket.socket:
        """The next connection that somebody has made to it, or makes within a minute."""
        self._listener.settimeout(60)
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        return connection


@contextmanager
def black_hole():
    with closing(socket.create_server(("127.0.0.1", 0), backlog=512)) as listener:
        yield BlackHole(listener)


def given_up(connection: socket.socket) -> bool:
    """True when the other side waits for its answer no more."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_two_black_holed_backends_hold_up_nobody(upstream, data_dir):
    with black_hole() as one, black_hole() as two:
        urls = f"{one.base_url};{upstream.base_url};{two.base_url}"
        with run_yard(data_dir, {"OPENAI_API_BASE_URLS": urls, "MODELS_CACHE_TTL": "1"}, wait=False) as yard:
            with yard.client(None) as client:
                wait(lambda: _status(client, "/health") == 200, "it answers")

            def answers_meanwhile() -> bool:
                with one.asked() as look_up:
                    assert yard.admin.get("/v1/models").status_code == 200
                    return not given_up(look_up)

            wait(answers_meanwhile, "an answer while it waits for a backend, which it does for two seconds at a time")
            wait(lambda: _status(yard.admin, "/ready") == 200, "it is ready although two backends are not")
            assert "echo" in {row["id"] for row in yard.admin.get("/v1/models").json()["data"]}

            def faults() -> list[bool]:
                return [bool(row["error"]) for row in yard.admin.get("/api/v1/connections").json()["items"]]

            wait(lambda: faults() == [True, False, True], "each backend's state is told")


def _status(client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx2.TransportError:
        return 0


def test_the_environment_of_a_test_is_clean():
    """No setting of the machine that runs the tests reaches a server under test."""
    assert not [name for name in clean_environment() if name.startswith(("MODELYARD_", "OPENAI_", "OLLAMA_"))]
    assert free_port() > 0
