"""Every chat that was recorded from a real Ollama, as the callers of the three dialects get it.

What is expected is read off the recording itself: its words, thoughts and calls, or its error.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.asking import ANTHROPIC, DIALECTS, OLLAMA, OPENAI, TIME, WEATHER
from tests.conformance.callers import CALLERS, Caller
from tests.conformance.matrix import ask_of
from tests.conformance.recorded import EXACTLY, exchange, recordings, run_recorded
from tests.yard import run_yard

# Answers that load or unload a model, and no chat; and a request with another method.
NO_CHATS = {
    "chat-load-again",
    "chat-load-empty-messages",
    "chat-messages-null",
    "chat-missing-messages",
    "chat-unload",
    "chat-unload-string",
    "chat-wrong-method",
}
# What some requests show of the prompt instead of an answer.
RENDERED = {
    "chat-native-tools-rendered",
    "chat-rendered-model-system",
    "chat-role-upper-case-rendered",
    "chat-thinking-in-history",
    "chat-tool-result-rendered",
}
NAMES = [name for name in recordings("/api/chat") if name not in NO_CHATS | RENDERED]


@dataclass(frozen=True)
class Recording:
    """What one recording says. `error` is its error's words, "" for an answer that just stops."""

    streamed: bool
    status: int
    text: str
    thinking: str
    calls: list[tuple[str, Any]]
    reason: str | None
    error: str | None


def read(name: str) -> Recording:
    told = exchange(name)
    streamed = told["content_type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in told["body"].split("\n") if line]
    messages = [line["message"] for line in lines if "message" in line]
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    error = lines[-1].get("error")
    if error is not None and error.startswith("{"):  # what llama.cpp said, within
        error = json.loads(error)["error"]["message"]
    return Recording(
        streamed=streamed,
        status=told["status"],
        text="".join(message["content"] for message in messages),
        thinking="".join(message.get("thinking", "") for message in messages),
        calls=[(call["name"], call["arguments"]) for call in calls],
        reason=lines[-1].get("done_reason"),
        error="" if error is None and not lines[-1]["done"] else error,
    )


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    folder = tmp_path_factory.mktemp("recordings")
    with run_recorded() as recorded, run_yard(folder / "data", {"MODELS_CACHE_TTL": "0"}) as yard:
        yard.connect("recorded Ollama", recorded.base_url, OLLAMA)
        key = yard.make_key()
        opened = {dialect: CALLERS[dialect](yard.url, key) for dialect in DIALECTS}
        yield opened
        for caller in opened.values():
            caller.close()


def letters(text: str) -> str:
    """Only the letters: quotes and line breaks are told differently in each dialect."""
    return re.sub(r"\\.|[^A-Za-z]", "", text)


def ends(caller: str, recording: Recording) -> str:
    """The caller's word for the end."""
    if recording.calls and recording.reason == "stop":
        return {OPENAI: "tool_calls", ANTHROPIC: "tool_use", OLLAMA: "stop"}[caller]
    words = {"stop": ("stop", "end_turn", "stop"), "length": ("length", "max_tokens", "length")}
    return dict(zip(DIALECTS, words[str(recording.reason)], strict=True))[caller]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_recording(callers: dict[str, Caller], dialect: str, name: str) -> None:
    recording, caller = read(name), callers[dialect]
    if dialect == OLLAMA and recording.streamed and "\x85" in recording.text:
        return  # Ollama's SDK cannot read Ollama's own line: it takes U+0085 for its end
    caller.validates = dialect != OLLAMA
    ask = caller.stream if recording.streamed else caller.whole
    try:
        answer = ask(f"{EXACTLY}{name}", ask_of(("Hi",), {"tools": (WEATHER, TIME)}))
    except caller.errors as error:
        status, message = caller.raised(error)
        assert recording.error is not None, message
        if recording.status != 403:  # what a backend says of rights is the operator's business
            assert letters(recording.error)[:60] in letters(message)
        assert (status is None) == (recording.status == 200 and recording.streamed)
        return
    assert recording.error is None, "the answer ended as if all were well"
    assert answer.text == recording.text
    assert answer.thinking == recording.thinking
    assert [(call.name, dict(call.arguments)) for call in answer.calls] == recording.calls
    assert answer.stop == ends(dialect, recording)
