"""The command line as it is used: real processes, real stores, next to a running server where that matters."""

import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.cli.output import TerminalFilter
from tests.servers import Scripted, free_port
from tests.yard import KEPT, Yard, run_yard

SECRET = "sk-upstream-of-the-command-line-987654321"
PASSWORD = "a long password"
DEADLINE = 30.0
UNREACHABLE = "http://127.0.0.1:1"
NO_DATABASE = "There is no database yet. Do this first: modelyard migrate"


class Ran:
    """What a command did."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def problem(self) -> str:
        """The one readable line that it failed with."""
        assert self.code == 1, (self.code, self.out, self.err)
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **(extra or {})}


class Line:
    """`modelyard ...` in one data directory."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self.data_dir = data_dir
        self.folder = folder

    def __call__(self, *arguments: str, given: str | None = None, environment: Mapping[str, str] | None = None) -> Ran:
        own = () if arguments[0] == "chat" else ("--data-dir", str(self.data_dir))
        done = subprocess.run(
            [sys.executable, "-m", "modelyard", *arguments, *own],
            input=given.encode() if given is not None else b"",
            capture_output=True,
            env=clean_environment(environment),
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        return Ran(done)

    def good(self, *arguments: str, given: str | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Standard output of a command that succeeds."""
        ran = self(*arguments, given=given, environment=environment)
        assert ran.code == 0, (ran.out, ran.err)
        return ran.out


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "data", tmp_path)


@pytest.fixture(scope="session")
def administrators_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one administrator, to copy."""
    folder = tmp_path_factory.mktemp("administered")
    line = Line(folder / "data", folder)
    line.good("users", "create", "admin@example.com", "--role", "admin", "--no-password")
    return line.data_dir


@pytest.fixture
def administered(line: Line, administrators_folder: Path) -> Line:
    """A data directory with one administrator."""
    shutil.copytree(administrators_folder, line.data_dir)
    return line


def audit(line: Line) -> list[tuple[str, str, str]]:
    """(actor, action, changes as text) of what was done, oldest first: behind the entry that begins the log."""
    with sqlite3.connect(line.data_dir / "modelyard.db") as database:
        return database.execute("SELECT user_id, action, changes FROM billing_audit_log ORDER BY rowid").fetchall()[1:]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


# Without a database


@pytest.mark.parametrize(
    "arguments",
    [
        ("connections", "list"),
        ("connections", "remove", "x"),
        ("connections", "test"),
        ("users", "list"),
        ("keys", "list"),
        ("keys", "revoke", "x"),
        ("models", "list"),
    ],
)
def test_without_a_database_a_command_says_what_to_do_and_makes_nothing(line, arguments):
    assert NO_DATABASE in line(*arguments).problem
    assert not line.data_dir.exists()


def test_check_works_without_a_database_and_makes_nothing(line, upstream):
    ran = line("check", environment={"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": SECRET})
    assert ran.code == 0, ran.err
    assert "There is no database yet." in ran.out
    assert re.search(r"openai +openai +\S+ +ok +\d+ +\d+", ran.out)
    assert not line.data_dir.exists()
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize(("revision", "told"), [("0000", "modelyard migrate"), ("9999", "newer version of Modelyard")])
def test_a_database_of_another_revision_is_left_alone(administered, revision, told):
    with sqlite3.connect(administered.data_dir / "modelyard.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    for arguments in (("users", "list"), ("users", "create", "a@b.c", "--no-password"), ("keys", "create", "ci")):
        assert told in administered(*arguments).problem
    checked = administered("check")
    assert told in checked.out
    assert checked.code == (1 if revision == "9999" else 0)


def test_a_database_that_is_none_is_one_line(line):
    line.data_dir.mkdir()
    (line.data_dir / "secret-key").write_text("x" * 48)
    (line.data_dir / "modelyard.db").write_bytes(b"this is not a database at all" * 100)
    assert "The database cannot be used: file is not a database" in line("users", "list").problem
    checked = line("check")
    assert checked.code == 1
    assert "file is not a database" in checked.out


def test_another_secret_key_is_not_made_up_for_a_database_that_has_one(line):
    secret = {"MODELYARD_SECRET_KEY": "s" * 40}
    line.good("users", "create", "a@b.c", "--role", "admin", "--no-password", environment=secret)
    assert "MODELYARD_SECRET_KEY" in line("keys", "create", "ci").problem
    assert not (line.data_dir / "secret-key").exists()
    assert line("check").code == 1
    assert line.good("keys", "create", "ci", environment=secret).startswith("sk-my-")


# Settings


@pytest.mark.parametrize("arguments", [("check",), ("users", "list"), ("keys", "create", "ci")])
def test_wrong_settings_are_named_and_exit_2(line, arguments):
    ran = line(*arguments, environment={"MODELYARD_PORT": "many", "OPENAI_API_KEY": SECRET})
    assert ran.code == 2
    assert "MODELYARD_PORT" in ran.err
    assert SECRET not in ran.out + ran.err
    assert not line.data_dir.exists()


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ("{name: a, kind: banana, base_url: 'http://x'}", "connections.0.kind"),
        ("{name: a, kind: function, base_url: 'http://x'}", "kind: 'function' cannot be connected"),
        ("{name: a, kind: openai, base_url: 'ftp://x'}", "it must start with http:// or https://"),
        ("{name: a, kind: openai, base_url: 'http://x', api_keys: ['${NOT_THERE}']}", "NOT_THERE"),
    ],
)
def test_a_wrong_yard_file_is_named_and_exits_2(line, connection, told):
    file = line.folder / "yard.yaml"
    file.write_text(f"connections: [{connection}]")
    ran = line("check", "--config", str(file))
    assert ran.code == 2
    assert told in ran.err
    assert not line.data_dir.exists()


def test_a_data_directory_that_cannot_be_is_a_wrong_setting(line):
    line.data_dir.write_text("a file")
    assert line("check").code == 2
    assert line("users", "list").code == 2


# Connections


def test_a_connection_from_add_to_remove(line, upstream):
    ran = line(
        *("connections", "add", "scripted", "--kind", "openai", "--flavour", "vllm", "--base-url", upstream.base_url),
        *("--api-key", SECRET, "--api-key-env", "SECOND", "--prefix-id", "up", "--model-id", "echo", "--tag", "test"),
        *("--priority", "3", "--weight", "2"),
        environment={"SECOND": SECRET[::-1]},
    )
    assert ran.code == 0, ran.err
    assert "It offers 1 models." in ran.err
    listed = line.good("connections", "list", "--json")
    (row,) = json.loads(listed)
    shown = {name: row[name] for name in ("name", "flavour", "prefix_id", "model_ids", "tags", "priority", "weight")}
    assert shown == {
        "name": "scripted", "flavour": "vllm", "prefix_id": "up", "model_ids": ["echo"], "tags": ["test"],
        "priority": 3, "weight": 2,
    }  # fmt: skip
    assert row["api_keys"] == ["********4321", "********" + SECRET[::-1][-4:]]
    table = line.good("connections", "list")
    assert "scripted" in table
    tested = line.good("connections", "test", "scripted")
    checked = line.good("check")
    assert "The databases are up to date." in checked
    catalogue = json.loads(line.good("models", "list", "--json"))
    assert [(model["id"], model["connections"]) for model in catalogue] == [("up.echo", ["scripted"])]
    removed = line.good("connections", "remove", row["id"])
    assert json.loads(line.good("connections", "list", "--json")) == []
    written = "".join((ran.out, ran.err, listed, table, tested, checked, removed, str(audit(line))))
    assert SECRET not in written
    assert SECRET[::-1] not in written
    assert [(actor, action) for actor, action, _ in audit(line)] == [
        ("command-line", "connection.created"), ("command-line", "connection.deleted"),
    ]  # fmt: skip
    for file in line.data_dir.iterdir():
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


def test_a_connection_that_does_not_answer_is_added_and_fails_the_check(line):
    ran = line("connections", "add", "dead", "--kind", "ollama", "--base-url", UNREACHABLE)
    assert ran.code == 0
    assert "no list of models yet: Connection refused. Is it running?\n" in ran.err
    for arguments in (("check",), ("connections", "test"), ("connections", "test", "dead")):
        checked = line(*arguments)
        assert checked.code == 1
        assert re.search(r"dead +ollama +\S+ +failed .*Connection refused\. Is it running\?", checked.out)
    assert "gives no list of models" in line("models", "list").err


def test_a_connection_that_is_switched_off_is_not_asked(line):
    line.good("connections", "add", "off", "--kind", "openai", "--base-url", UNREACHABLE, "--disabled")
    assert "switched off" in line.good("check")
    assert line("connections", "test", "off").code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--kind", "openai", "--base-url", "ftp://x"), "The address cannot be used: it must start with http://"),
        (("--kind", "openai", "--base-url", "http://x", "--flavour", "ollama"), "flavour: must be one of"),
        (("--kind", "openai", "--base-url", "http://x", "--weight", "0"), "weight: "),
        (("--kind", "openai", "--base-url", "http://x", "--prefix-id", "a b"), "prefix_id: "),
        (("--kind", "openai", "--base-url", "http://x", "--api-key-env", "NOT_THERE"), "NOT_THERE"),
        (("--kind", "openai", "--base-url", "http://x", "--api-key", f"{SECRET}\n"), ""),
    ],
)
def test_a_wrong_connection_is_refused(administered, arguments, told):
    ran = administered("connections", "add", "wrong", *arguments)
    if told:
        assert told in ran.problem
        assert json.loads(administered.good("connections", "list", "--json")) == []
    assert SECRET not in ran.out + ran.err


def test_an_unknown_kind_is_a_wrong_command(line):
    ran = line("connections", "add", "wrong", "--kind", "banana", "--base-url", "http://x")
    assert ran.code == 2
    assert "banana" in ran.err


def test_names_are_unique_and_declared_connections_are_removed_where_they_are_declared(administered, upstream):
    add = ("connections", "add", "one", "--kind", "openai", "--base-url", upstream.base_url)
    administered.good(*add)
    assert "There is a connection named 'one' already." in administered(*add).problem
    declared = {"OPENAI_API_BASE_URL": upstream.base_url}
    assert (
        "declared in the environment" in administered("connections", "remove", "openai", environment=declared).problem
    )
    assert "There is no connection" in administered("connections", "remove", "two").problem


# Users


def test_users_are_created_and_listed(line):
    made = line.good("users", "create", "A@Example.com", "--role", "admin", "--password-stdin", given=f"{PASSWORD}\n")
    assert "a@example.com" in made
    line.good("users", "create", "robot@example.com", "--name", "[bold]Robot", "--no-password")
    rows = json.loads(line.good("users", "list", "--json"))
    assert [(row["email"], row["name"], row["role"]) for row in rows] == [
        ("a@example.com", "a", "admin"), ("robot@example.com", "[bold]Robot", "user"),
    ]  # fmt: skip
    assert "[bold]Robot" in line.good("users", "list")
    assert {actor for actor, _, _ in audit(line)} == {"command-line"}
    assert PASSWORD not in str(audit(line))


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("nobody", "--no-password"), "", "That is not an e-mail address"),
        (("nobody", "--password-stdin"), PASSWORD, "That is not an e-mail address"),
        (("a@b.c", "--password-stdin"), "short\n", "8 to 1024 characters"),
        (("a@b.c", "--password-stdin"), "", "8 to 1024 characters"),
        (("a@b.c",), PASSWORD, "--password-stdin or --no-password"),
        (("a@b.c", "--password-stdin", "--no-password"), PASSWORD, "either"),
        (("admin@example.com", "--no-password"), "", "There is a user with that e-mail address already."),
    ],
)
def test_a_wrong_user_is_refused(administered, arguments, given, told):
    assert told in administered("users", "create", *arguments, given=given).problem


def test_an_unknown_role_is_a_wrong_command(line):
    assert line("users", "create", "a@b.c", "--no-password", "--role", "king").code == 2


# Keys


def test_keys_create_prints_the_key_and_nothing_else(administered):
    ran = administered(
        *("keys", "create", "ci", "--model", "echo", "--dialect", "openai", "--rpm", "5", "--concurrency", "2"),
        *("--expires-in", "12h"),
    )
    assert ran.code == 0
    assert re.fullmatch(r"sk-my-[\w-]{43}\n", ran.out)
    assert "admin@example.com" in ran.err
    key = ran.out.strip()
    assert key not in ran.err
    listed = administered.good("keys", "list", "--json")
    (row,) = json.loads(listed)
    assert (row["name"], row["user"], row["models"], row["dialects"]) == (
        "ci", "admin@example.com", ["echo"], ["openai"],
    )  # fmt: skip
    assert row["limits"] == {"rpm": 5, "tpm": None, "concurrency": 2}
    assert row["expires_at"] - row["created_at"] in range(12 * 3600 - 5, 12 * 3600 + 6)
    table = administered.good("keys", "list", "--user", "ADMIN@example.com")
    assert row["id"] in table
    assert key not in listed + table + str(audit(administered))
    administered.good("keys", "revoke", row["id"])
    assert json.loads(administered.good("keys", "list", "--json")) == []
    assert "There is no such key." in administered("keys", "revoke", row["id"]).problem
    assert [action for _, action, _ in audit(administered)] == ["user.created", "key.created", "key.revoked"]


def test_a_key_needs_an_owner(line):
    assert "There is no administrator yet." in line("keys", "create", "ci").err
    line.good("users", "create", "a@b.c", "--role", "admin", "--no-password")
    line.good("users", "create", "d@e.f", "--role", "admin", "--no-password")
    assert "--user EMAIL" in line("keys", "create", "ci").problem
    assert "There is no user" in line("keys", "create", "ci", "--user", "x@y.z").problem
    line.good("keys", "create", "ci", "--user", "D@e.f")
    assert [row["user"] for row in json.loads(line.good("keys", "list", "--json"))] == ["d@e.f"]
    assert json.loads(line.good("keys", "list", "--json", "--user", "a@b.c")) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--expires-in", "soon"), "30d or 12h"),
        (("--expires-in", "0d"), "30d or 12h"),
        (("--dialect", "banana"), "dialects"),
        (("--rpm", "0"), "limits.rpm"),
    ],
)
def test_a_wrong_key_is_refused(administered, arguments, told):
    ran = administered("keys", "create", "ci", *arguments)
    assert told in ran.problem
    assert ran.out == ""


# Models


def test_models_say_who_may_use_them(line, upstream):
    line.good("users", "create", "a@b.c", "--no-password")
    (line.folder / "yard.yaml").write_text(f"""
connections:
  - {{name: scripted, kind: openai, base_url: {upstream.base_url}, model_ids: [echo, lorem, slow, cut]}}
models:
  - {{id: echo, access_control: null}}
  - {{id: lorem, access_control: {{read: {{user_ids: [x, y], group_ids: [z]}}}}}}
  - {{id: slow, is_active: false}}
  - {{id: preset, base_model_id: echo}}
  - {{id: orphan, base_model_id: nowhere}}
""")
    environment = {"MODELYARD_CONFIG": "yard.yaml"}
    for refresh in ("--refresh", "--no-refresh"):
        rows = json.loads(line.good("models", "list", "--json", refresh, environment=environment))
        found = {row.pop("id"): row for row in rows}
        assert set(found) == {"echo", "lorem", "slow", "cut", "preset", "orphan"}
        assert found["echo"]["access"] == {"everyone": True, "users": 0, "groups": 0}
        assert found["lorem"]["access"] == {"everyone": False, "users": 2, "groups": 1}
        assert [name for name, row in found.items() if not row["is_active"]] == ["slow"]
        assert (found["preset"]["base_model_id"], found["preset"]["connections"]) == ("echo", ["scripted"])
        assert found["orphan"]["connections"] == []
    table = line.good("models", "list", environment=environment)
    assert "2 users, 1 group" in table
    assert "administrators only" in table


# Next to a running server


@pytest.fixture
def served(line: Line, upstream: Scripted) -> Iterator[Yard]:
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "MODELS_CACHE_TTL": "0.5"}
    with run_yard(line.data_dir, environment) as running:
        yield running


def test_a_key_is_accepted_and_refused_by_a_running_server(line, served):
    line.good("users", "create", "admin@example.com", "--role", "admin", "--password-stdin", given=PASSWORD)
    key = line.good("keys", "create", "ci").strip()
    with served.client(key) as client:
        eventually(lambda: client.get("/v1/models").status_code == 200)
        assert client.get("/api/v1/auths/").json()["email"] == "admin@example.com"
        (row,) = json.loads(line.good("keys", "list", "--json"))
        line.good("keys", "revoke", row["id"])
        eventually(lambda: client.get("/v1/models").status_code == 401)
    with served.client(None) as client:
        signed_in = client.post("/api/v1/auths/signin", json={"email": "admin@example.com", "password": PASSWORD})
        assert signed_in.status_code == 200
    assert key not in served.output()


def test_a_connection_shows_up_in_a_running_server_and_leaves_it(line, served, upstream):
    def offered() -> bool:
        return "second.echo" in {model["id"] for model in served.admin.get("/v1/models").json()["data"]}

    assert not offered()
    line.good(
        *("connections", "add", "second", "--kind", "openai", "--base-url", upstream.base_url, "--prefix-id", "second")
    )
    eventually(offered)
    line.good("connections", "remove", "second")
    eventually(lambda: not offered())


# Chat


@pytest.fixture
def ask(yard: Yard, tmp_path: Path) -> Callable[..., Ran]:
    line, key = Line(tmp_path / "unused", tmp_path), yard.make_key()

    def run(*arguments: str, given: str | None = None, key: str = key) -> Ran:
        return line("chat", "--url", yard.url, *arguments, given=given, environment={"MODELYARD_API_KEY": key})

    return run


def test_chat_answers_a_prompt(ask):
    ran = ask("echo", "hello there [bold]you[/bold]")
    assert (ran.code, ran.out) == (0, "hello there [bold]you[/bold]\n")
    assert re.fullmatch(r"first token after \S+ s · \S+ tokens/s · 3 tokens\n", ran.err)


def test_chat_asks_what_standard_input_holds(ask):
    assert ask("echo", given="from a pipe\n").out.split() == ["from", "a", "pipe"]
    assert "There is nothing to ask" in ask("echo", given=" \n").problem


def test_chat_takes_a_key_a_system_prompt_and_an_address_with_v1(ask, yard, upstream):
    ran = ask("echo", "hi", "--system", "be brief", "--key", yard.make_key(), "--url", yard.base_url, key="")
    assert ran.out == "hi\n"
    last = upstream.state()["requests"][-1]
    assert "be brief" in json.dumps(last)


def test_chat_lets_no_escape_sequence_of_a_model_through(ask):
    ran = ask("echo", "\x1b[31mred\x1b[0m \x1b]0;a title of many words\x07and \x9b1mmore\r\n\x08end")
    assert ran.out == "red and more\nend\n"


def test_chat_writes_text_in_all_scripts(ask):
    assert "日本語 👩\u200d👩\u200d👧" in ask("unicode", "x").out


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("cut", "could not|broke|ended|closed|complete"),
        ("error-event", "The engine failed while it was generating."),
        ("error-400", "maximum context length"),
        ("rate-limited", "Rate limit"),
        ("nowhere", "nowhere"),
    ],
)
def test_chat_says_in_one_line_what_went_wrong(ask, model, told):
    ran = ask(model, "x")
    assert ran.code == 1
    lines = [text for text in ran.err.splitlines() if not text.startswith("first token after")]
    assert len(lines) == 1, ran.err
    assert re.search(told, lines[0])
    if model in {"cut", "error-event"}:
        assert "lorem ipsum dolor".startswith(ran.out.strip()), "what came before the fault stays"


def test_chat_without_a_good_key_or_a_server(ask):
    assert "key" in ask("echo", "x", key="sk-my-wrong").problem
    nobody = ask("echo", "x", "--url", f"http://127.0.0.1:{free_port()}")
    assert "Is `modelyard serve` running?" in nobody.problem
    assert "--url: it must start with http://" in ask("echo", "x", "--url", "localhost:8484").problem


# Python ignores SIGINT when the process that starts it does, as a background job of a shell.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);from modelyard.cli import main; main()"
)


def test_ctrl_c_stops_an_answer(yard, tmp_path):
    command = [sys.executable, "-c", INTERRUPTIBLE, "chat", "stall", "x", "--url", yard.url, "--key", yard.make_key()]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
        cwd=tmp_path,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        began = process.stdout.read(5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert began == b"lorem"
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert b"stopped" in errors


class Terminal:
    """The other end of a terminal that a command runs in."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def wait_for(self, text: str) -> None:
        """Until it stands on the screen below what was waited for before."""
        start, deadline = len(self.screen), time.monotonic() + DEADLINE
        while text not in self.screen[start:]:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, self.screen
            try:
                received = os.read(self.descriptor, 4096)
            except OSError:  # Linux: the command has ended
                received = b""
            assert received, self.screen
            self.screen += received.decode()


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "modelyard", *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
        env=clean_environment({"TERM": "dumb"}), cwd=folder, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


def test_chat_holds_a_conversation(yard, upstream, tmp_path):
    arguments = ("chat", "echo", "--url", yard.url, "--key", yard.make_key())
    with terminal(tmp_path, *arguments) as screen:
        screen.wait_for("> ")
        screen.type("first question\n")
        screen.wait_for("tokens\r\n> ")
        screen.type("second question\n")
        screen.wait_for("tokens\r\n> ")
        screen.type("\n")
        assert screen.process.wait(DEADLINE) == 0
    messages = json.loads(upstream.state()["requests"][-1]["body"])["messages"]
    assert [message["content"] for message in messages] == ["first question", "first question", "second question"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]


def test_a_conversation_survives_a_failure_and_ends_with_ctrl_d(yard, tmp_path):
    with terminal(tmp_path, "chat", "error-400", "--url", yard.url, "--key", yard.make_key()) as screen:
        screen.wait_for("> ")
        screen.type("x\n")
        screen.wait_for("tokens.\r\n> ")
        screen.type("\x04")
        assert screen.process.wait(DEADLINE) == 1


def test_a_password_is_asked_for_twice_and_not_shown(tmp_path):
    arguments = ("users", "create", "a@b.c", "--data-dir", str(tmp_path / "data"))
    with terminal(tmp_path, *arguments) as screen:
        screen.wait_for("Password: ")
        screen.type(f"{PASSWORD}\n")
        screen.wait_for("confirmation: ")
        screen.type(f"{PASSWORD}\n")
        screen.wait_for("Made a@b.c")
        assert screen.process.wait(DEADLINE) == 0
    assert PASSWORD not in screen.screen


# Terminal output


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain\ttext\nin lines", "plain\ttext\nin lines"),
        ("\x1b[1;31mred\x1b[m", "red"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x07b", "alinkb"),
        ("\x1bP1$r0m\x1b\\x\x1b(By\x1b7z", "xyz"),
        ("\x9b31mC1\x9d0;t\x9c", "C1"),
        ("bell\x07 back\x08 \x7f\x00\r\n", "bell back \n"),
        ("never ends \x1b]0;title", "never ends ]0;title"),
        ("\x1b\x1b[m[31mx", "[31mx"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out_wherever_the_text_is_cut(text, left):
    for cut in range(len(text) + 1):
        taking_out = TerminalFilter()
        assert taking_out.feed(text[:cut]) + taking_out.feed(text[cut:]) + taking_out.end() == left
    by_one = TerminalFilter()
    assert "".join(by_one.feed(character) for character in text) + by_one.end() == left


def test_help_loads_nothing_of_the_server():
    program = (
        "import sys\nfrom modelyard.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'sqlalchemy', 'fastapi', 'structlog', 'httpx2', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, env=clean_environment(), timeout=60, check=True
    )
    assert done.stdout.decode().splitlines()[-1] == "[]"
