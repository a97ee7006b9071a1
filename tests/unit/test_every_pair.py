"""What must hold between any two chat operations of any dialects, tried on made-up answers and on garbage."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    LENGTH,
    STOP,
    TOOL_CALLS,
    ChatReply,
    ChatRequest,
    Controls,
    Text,
    Thinking,
    ToolCall,
    Turn,
)
from modelyard.canonical.events import Event, events_of, reply_of
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import split
from modelyard.dialects.dialect import Asker, Operation, Recipient
from modelyard.dialects.flavours import FLAVOURS
from modelyard.dialects.table import OPERATIONS
from modelyard.gateway.lanes import Translator
from tests.unit.make import cut, json_bytes, marks, object_of, target

CHATS = [operation for operation in OPERATIONS.values() if operation.chat is not None and operation.family == "chat"]
# Legacy completions say text and nothing else.
RICH = [operation for operation in CHATS if operation.id not in ("openai.completions", "ollama.generate")]
PAIRS = list(itertools.product(CHATS, CHATS))
ASKER = Asker("0123", "m", 1_700_000_000, split(b'{"stream_options":{"include_usage":true}}'))

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
arguments = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 9) | texts, max_size=3)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    blocks: list[Any] = []
    if draw(st.booleans()):
        blocks.append(Thinking(text=draw(texts)))
    if draw(st.booleans()):
        blocks.append(Text(text=draw(texts)))
    calls = draw(st.lists(arguments, max_size=2))
    blocks += [
        ToolCall(id=f"call_{number}", name=f"tool_{number}", arguments=json.dumps(given, separators=(",", ":")))
        for number, given in enumerate(calls)
    ]
    if not blocks:
        blocks.append(Text(text="x"))
    finish = TOOL_CALLS if calls else draw(st.sampled_from([STOP, LENGTH]))
    usage = Usage(input=draw(st.integers(0, 99)), output=draw(st.integers(0, 99)))
    return ChatReply(blocks=blocks, finish=finish, usage=usage)


def stream_of(operation: Operation, reply: ChatReply) -> bytes:
    """A stream in this operation's own form: what a target of it would send."""
    assert operation.chat is not None
    return operation.chat.writer(ASKER).write(events_of(reply))


def read(operation: Operation, parts: list[bytes]) -> list[Event]:
    assert operation.chat is not None
    reader = operation.chat.reader()
    events: list[Event] = []
    for part in parts:
        events += reader.feed(part)
        assert reader.fault is None, reader.fault.message
    return events + reader.end()


def tried(run: Callable[[], Any]) -> tuple[Any, Problem | None]:
    """(the result, None) or (None, the Problem that it raised). Anything else that it raises is a bug."""
    try:
        return run(), None
    except Problem as problem:
        return None, problem


def blames_the_backend(problem: Problem) -> bool:
    return problem.kind.status >= 500 or problem.kind is Kind.RATE_LIMITED


def essence(reply: ChatReply) -> tuple[Any, ...]:
    """What every rich dialect must carry: words, thoughts, calls, the reason of the end, the tokens."""
    said = "".join(block.text for block in reply.blocks if isinstance(block, Text))
    thought = "".join(block.text for block in reply.blocks if isinstance(block, Thinking))
    calls = [(block.name, json.loads(block.arguments or "{}")) for block in reply.blocks if isinstance(block, ToolCall)]
    usage = reply.usage
    return said, thought, calls, reply.finish, usage and (usage.all_input, usage.all_output)


@pytest.mark.parametrize("operation", RICH, ids=lambda operation: operation.id)
@given(reply=replies(), places=marks)
def test_what_is_written_is_read_the_same_however_it_is_cut(
    operation: Operation, reply: ChatReply, places: list[int]
) -> None:
    stream = stream_of(operation, reply)
    whole = read(operation, [stream])
    assert essence(reply_of(whole)) == essence(reply)
    assert reply_of(read(operation, cut(stream, places))) == reply_of(whole)


@pytest.mark.parametrize("operation", RICH, ids=lambda operation: operation.id)
@given(reply=replies())
def test_a_whole_answer_is_read_as_it_was_written(operation: Operation, reply: ChatReply) -> None:
    assert operation.chat is not None
    assert essence(operation.chat.read_reply(operation.chat.write_reply(reply, ASKER))) == essence(reply)


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=lambda operation: operation.id)
@settings(max_examples=25)
@given(reply=replies(), place=st.integers(0, 10**6))
def test_a_stream_that_is_cut_is_never_complete(
    theirs: Operation, ours: Operation, reply: ChatReply, place: int
) -> None:
    stream = stream_of(theirs, reply)
    assert theirs.chat is not None
    assert ours.chat is not None
    complete = Translator(theirs.chat.reader(), ours.chat.writer(ASKER))
    written = complete.feed(stream) + (b"" if complete.complete else complete.end())
    assert complete.complete
    assert complete.fault is None
    part = Translator(theirs.chat.reader(), ours.chat.writer(ASKER))
    before = part.feed(stream[: place % len(stream)])
    last, problem = tried(part.end)
    if problem is not None:
        assert not part.complete
        assert problem.kind is Kind.UPSTREAM_FAILED
        assert part.fail(problem)
    else:
        # What is missing after that can only have been for show: usage, a terminator.
        assert len(before + last) >= len(written) - 400


@pytest.mark.parametrize("operation", CHATS, ids=lambda operation: operation.id)
@settings(max_examples=60)
@given(lines=st.lists(json_bytes | st.binary(max_size=40), max_size=8), places=marks)
def test_garbage_from_a_backend_is_a_problem_and_nothing_else(
    operation: Operation, lines: list[bytes], places: list[int]
) -> None:
    assert operation.chat is not None
    for stream in (b"".join(b"data: " + line + b"\n\n" for line in lines), b"\n".join(lines) + b"\n"):
        translator = Translator(operation.chat.reader(), operation.chat.writer(ASKER))
        for part in cut(stream, places):
            translator.feed(part)  # never raises: what is wrong is in `fault`
            problem = translator.fault
            if problem is not None:
                break
        else:
            _, problem = tried(translator.end)
        assert problem is None or blames_the_backend(problem)
    for line in lines:
        _, problem = tried(lambda line=line: operation.chat.read_reply(line))
        assert problem is None or blames_the_backend(problem)


FIELDS = (
    "model", "messages", "input", "prompt", "system", "instructions", "tools", "tool_choice", "stream", "max_tokens",
    "temperature", "stop", "options", "format", "think", "thinking", "reasoning", "response_format", "images", "text",
    "stop_sequences", "output_config", "logit_bias", "keep_alive", "n", "suffix", "metadata", "include",
)  # fmt: skip


@pytest.mark.parametrize("operation", CHATS, ids=lambda operation: operation.id)
@settings(max_examples=150)
@given(body=object_of(*FIELDS))
def test_garbage_from_a_caller_is_their_mistake_and_nothing_else(operation: Operation, body: bytes) -> None:
    assert operation.chat is not None
    try:
        fields = split(body)
    except ValueError:
        return
    _, problem = tried(lambda: operation.read_head(fields))
    request, wrong = tried(lambda: operation.chat.read_request(fields))
    for one in (problem, wrong):
        assert one is None or one.kind is Kind.INVALID_REQUEST
    if problem is not None or wrong is not None:
        return
    for other in CHATS:
        written, problem = tried(lambda other=other: other.chat.write_request(request, Recipient(target(), None)))
        if problem is None:
            json.loads(written.body)
            assert all(isinstance(name, str) and name for name in written.losses)
        else:
            assert problem.kind is Kind.INVALID_REQUEST


@pytest.mark.parametrize("operation", CHATS, ids=lambda operation: operation.id)
def test_a_plain_question_loses_nothing_anywhere(operation: Operation) -> None:
    request = ChatRequest(
        turns=[Turn(role="user", blocks=[Text(text="Hi")])],
        system=[Text(text="Be kind.")],
        controls=Controls(params={"temperature": 0.5, "max_tokens": 10, "top_p": 0.9, "stop": ["größe"]}),
        stream=True,
    )
    assert operation.chat is not None
    flavour = next(row for row in FLAVOURS.values() if row.accent.dialect == operation.dialect)
    written = operation.chat.write_request(request, Recipient(target(accent=flavour.accent), None))
    assert written.losses == ([] if operation.id != "openai.responses" else ["stop"])
    assert "größe" in json.loads(written.body).__repr__() or "stop" in written.losses
