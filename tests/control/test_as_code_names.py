"""A preset never takes the name of a base model: not by a document either, over HTTP or by the command line."""

import pytest

from tests.control.as_code import applied, exported, modelyard
from tests.servers import run_scripted
from tests.yard import run_yard

CONNECTED = "connections: [{{name: here, kind: openai, base_url: '{url}'}}]\n"
PRESET = "models: [{id: NAME, base_model_id: lorem}]\n"
WHAT_TO_DO = "leave base_model_id out to override it, or choose another id"


@pytest.fixture(scope="module")
def connected():
    """A backend that is this module's own, and the document that connects it."""
    with run_scripted() as backend:
        yield CONNECTED.format(url=backend.base_url)


@pytest.mark.parametrize("name", ["echo", "echo:latest"])
def test_the_command_line_refuses_it_as_the_server_does(data_dir, connected, name):
    applied(data_dir, connected)
    before = exported(data_dir)
    wrong = connected + PRESET.replace("NAME", name)
    for command in (("plan", "-"), ("apply", "-", "--yes")):
        told = modelyard(data_dir, *command, stdin=wrong, code=1).stderr
        assert f"model {name}:" in told
        assert WHAT_TO_DO in told
    assert exported(data_dir) == before
    applied(data_dir, connected + PRESET.replace("NAME", "mine"))


def test_an_override_that_becomes_a_preset_and_a_rollback_are_refused_too(data_dir, connected):
    first = "models: [{id: echo, base_model_id: lorem}]\n"
    applied(data_dir, first)  # revision 2, 1 is the empty database: nothing offers the name yet
    applied(data_dir, connected + "models: [{id: echo}]\n")
    assert WHAT_TO_DO in applied(data_dir, connected + first, code=1)
    assert WHAT_TO_DO in modelyard(data_dir, "rollback", "2", "--yes", code=1).stderr


def test_a_preset_that_was_there_before_its_name_was_offered_may_be_changed(data_dir, connected):
    applied(data_dir, "models: [{id: echo, base_model_id: lorem}]\n")
    applied(data_dir, connected + "models: [{id: echo, base_model_id: lorem, name: Mine}]\n")
    assert "name: Mine" in exported(data_dir)


def test_a_backend_that_does_not_answer_offers_nothing(data_dir):
    applied(data_dir, CONNECTED.format(url="http://127.0.0.1:9/v1"))
    applied(data_dir, CONNECTED.format(url="http://127.0.0.1:9/v1") + PRESET.replace("NAME", "echo"))


def test_the_server_refuses_it_over_http(data_dir, connected, upstream):
    with run_yard(data_dir) as yard:
        yard.connect("here", upstream.base_url)
        for verb in ("plan", "apply"):
            answer = yard.admin.post(f"/api/v1/yard/{verb}", json={"document": PRESET.replace("NAME", "echo")})
            assert answer.status_code == 409, answer.text
            assert WHAT_TO_DO in answer.text
        refused = yard.admin.post(
            "/api/v1/models/create", json={"id": "echo", "name": "echo", "base_model_id": "lorem"}
        )
        assert refused.status_code == 409
        assert WHAT_TO_DO in refused.text
