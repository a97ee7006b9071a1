"""Models that OpenAI serves by its responses API alone, for callers of every dialect."""

import json

import pytest

from modelyard.canonical.chat import STOP, ChatReply, Text
from modelyard.canonical.events import events_of
from modelyard.canonical.usage import Usage
from modelyard.dialects.dialect import Asker
from modelyard.dialects.table import OPERATIONS
from tests.data_plane.canned import run_canned, streamed, whole
from tests.data_plane.people import new_key
from tests.yard import run_yard

RESPONSES = OPERATIONS["openai.responses"].chat
REPLY = ChatReply(blocks=[Text(text="Hi.")], finish=STOP, usage=Usage(input=7, output=3))
ASKER = Asker("0", "o1-pro", 1_700_000_000, {})
ASK = {"model": "o1-pro", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
SAID = {
    "/v1/chat/completions": lambda answer: answer["choices"][0]["message"]["content"],
    "/v1/messages": lambda answer: answer["content"][0]["text"],
    "/api/chat": lambda answer: answer["message"]["content"],
}


@pytest.fixture(scope="module")
def backend():
    scripts = {}
    with run_canned(scripts) as running:

        def play(connection):
            events = streamed(RESPONSES.writer(ASKER).write(events_of(REPLY)))
            connection.sendall(
                events if running.last.json.get("stream") else whole(RESPONSES.write_reply(REPLY, ASKER))
            )

        scripts["o1-pro"] = play
        yield running


@pytest.fixture(scope="module")
def client(backend, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("responses") / "data") as yard:
        yard.connect("cloud", backend.base_url, flavour="openai")
        with yard.client(new_key(yard)["key"]) as opened:
            yield opened


@pytest.mark.parametrize("path", SAID)
def test_whole(client, backend, path):
    answer = client.post(path, json={**ASK, "stream": False})
    assert answer.status_code == 200, answer.text
    assert SAID[path](answer.json()) == "Hi."
    assert backend.last.path == "/v1/responses"
    assert backend.last.json["input"][0]["role"] == "user"


@pytest.mark.parametrize("path", SAID)
def test_streamed(client, backend, path):
    answer = client.post(path, json={**ASK, "stream": True})
    assert answer.status_code == 200, answer.text
    assert json.dumps("Hi.") in answer.text
    assert "error" not in answer.text
    assert backend.last.path == "/v1/responses"
