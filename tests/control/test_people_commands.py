"""`modelyard users` and `modelyard keys`: services, new passwords and rotation, next to a running server."""

import json

import pytest

from tests.control.test_people import OTHER_PASSWORD, PASSWORD, is_in, sign_in, signed_in
from tests.test_command_line import Line
from tests.yard import run_yard


@pytest.fixture
def line(tmp_path):
    return Line(tmp_path / "data", tmp_path)


def test_a_service_is_made_without_being_asked_for_a_password(line):
    line.good("users", "create", "robot@example.com", "--kind", "service")
    line.good("users", "create", "ann@example.com", "--password-stdin", given=PASSWORD)
    rows = {row["email"]: row for row in json.loads(line.good("users", "list", "--json"))}
    assert {email: row["kind"] for email, row in rows.items()} == {
        "robot@example.com": "service", "ann@example.com": "person",
    }  # fmt: skip
    assert "service" in line.good("users", "list")
    told = line("users", "create", "r2@example.com", "--kind", "service", "--password-stdin", given=PASSWORD).problem
    assert "no password" in told
    assert "no password" in line("users", "password", "robot@example.com", "--password-stdin", given=PASSWORD).problem


def test_a_new_password_ends_sessions_of_a_running_server(line):
    line.good("users", "create", "ann@example.com", "--role", "admin", "--password-stdin", given=PASSWORD)
    with run_yard(line.data_dir) as yard, signed_in(yard, "ann@example.com") as session:
        assert is_in(session)
        environment = {"NEW_ONE": OTHER_PASSWORD}
        told = line.good("users", "password", "Ann@example.com", "--password-env", "NEW_ONE", environment=environment)
        assert "every session" in told
        assert OTHER_PASSWORD not in told
        assert sign_in(yard, "ann@example.com").status_code == 401
        assert sign_in(yard, "ann@example.com", OTHER_PASSWORD).status_code == 200
        assert not is_in(session)


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("absent@example.com", "--password-stdin"), PASSWORD, "There is no user"),
        (("ann@example.com", "--password-stdin"), "short", "8 to 1024"),
        (("ann@example.com", "--password-env", "NOT_THERE"), None, "NOT_THERE is not set"),
        (("ann@example.com",), None, "--password-env NAME"),
        (("ann@example.com", "--password-stdin", "--password-env", "X"), PASSWORD, "either"),
        (("nonsense", "--password-stdin"), PASSWORD, "e-mail"),
    ],
)
def test_a_password_that_cannot_be_set_is_told_in_one_line(line, arguments, given, told):
    line.good("users", "create", "ann@example.com", "--no-password")
    assert told in line("users", "password", *arguments, given=given).problem


def test_keys_rotate_prints_the_new_key_and_nothing_else(line):
    line.good("users", "create", "ann@example.com", "--role", "admin", "--no-password")
    first = line.good("keys", "create", "ci", "--rpm", "5").strip()
    [row] = json.loads(line.good("keys", "list", "--json"))
    ran = line("keys", "rotate", row["id"], "--overlap", "600")
    assert ran.code == 0, ran.err
    second = ran.out.strip()
    assert second.startswith("sk-my-")
    assert second not in ran.err
    rows = json.loads(line.good("keys", "list", "--json"))
    assert {row["name"] for row in rows} == {"ci"}
    assert [row["limits"]["rpm"] for row in rows] == [5, 5]
    with run_yard(line.data_dir) as yard, yard.client(first) as old, yard.client(second) as new:
        assert is_in(old)
        assert is_in(new)
    assert "rotated already" in line("keys", "rotate", row["id"]).problem
    assert "There is no such key" in line("keys", "rotate", "absent").problem
    assert "overlap_seconds" in line("keys", "rotate", rows[0]["id"], "--overlap", "-1").problem
