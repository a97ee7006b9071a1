# ruff: noqa: PT017 - either outcome is right
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelyard.canonical.snapshot import Preset
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.openai.errors import read_error, write_error, write_stream_error
from modelyard.dialects.openai.request import (
    address,
    asked_for_usage,
    overlay_chat,
    overlay_embeddings,
    overlay_text,
    read_chat_head,
    read_completions_head,
    read_embeddings_head,
)
from tests.unit.make import json_bytes, object_of, target

GOOD = {
    "chat": b'"messages":[{"role":"user","content":"hi"}]',
    "completions": b'"prompt":"hi"',
    "embeddings": b'"input":"hi"',
}
HEADS = {"chat": read_chat_head, "completions": read_completions_head, "embeddings": read_embeddings_head}
OVERLAYS = {"chat": overlay_chat, "completions": overlay_text, "embeddings": overlay_embeddings}
operations = st.sampled_from(sorted(HEADS))
bodies = object_of(
    "model", "stream", "max_tokens", "max_completion_tokens", "n", "messages", "prompt", "input", "stream_options", "temperature"
)  # fmt: skip


def fields_of(body: bytes) -> raw.Fields:
    try:
        return raw.split(body)
    except raw.NotJson:
        assume(False)
        raise


def with_good(operation: str, more: bytes) -> raw.Fields:
    inner = more.strip()[1:-1]
    return fields_of(b"{" + (inner + b"," if inner else b"") + GOOD[operation] + b"}")


def only_invalid_request(work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except Problem as problem:
        assert problem.kind is Kind.INVALID_REQUEST
        assert problem.param is not None
        return None


@given(operations, bodies)
def test_fuzz_read_head(operation: str, body: bytes) -> None:
    only_invalid_request(HEADS[operation], fields_of(body))


@given(operations, bodies)
def test_fuzz_read_head_with_the_required_field(operation: str, body: bytes) -> None:
    head = only_invalid_request(HEADS[operation], with_good(operation, body))
    if head is not None:
        assert head.model is None or head.model
        assert isinstance(head.stream, bool)
        assert head.output_bound is None or head.output_bound >= 0


@pytest.mark.parametrize(
    "more",
    [b'{"model":"\xff"}', b'{"max_tokens":1e999}', b'{"max_completion_tokens":"\xff"}', b'{"max_tokens":1,"n":1e999}'],
)  # fmt: skip
def test_values_that_no_decoder_takes_are_told_by_their_field(more: bytes) -> None:
    """Not a 500 (UnicodeDecodeError), and not `the body is not JSON` (NotJson): the field is named."""
    with pytest.raises(Problem) as caught:
        read_chat_head(with_good("chat", more))
    assert caught.value.kind is Kind.INVALID_REQUEST


def test_the_bound_of_the_output() -> None:
    """Limits reserve it, so of two spellings the larger one counts: a server may keep to either."""
    for more, bound in [
        (b'"max_tokens":5', 5), (b'"max_completion_tokens":5', 5), (b'"max_tokens":5,"max_completion_tokens":9', 9),
        (b'"max_tokens":9,"max_completion_tokens":5', 9), (b'"max_tokens":9,"max_completion_tokens":-1', None),
        (b'"max_tokens":null', None), (b'"max_tokens":5,"n":3', 15),
    ]:  # fmt: skip
        assert read_chat_head(with_good("chat", b"{" + more + b"}")).output_bound == bound


@pytest.mark.parametrize("options", [b'{"a":1e999}', b'{"include_usage":1e999}', b'{"a":"\xff"}', b"5", b"[]", b"null"])
def test_asked_for_usage_says_no_to_options_that_cannot_be_read(options: bytes) -> None:
    """It is asked after the backend has answered: an exception there is a 500 and an answer that nobody aborts."""
    fields = raw.split(b'{"stream_options":' + options + b"}")
    assert not only_invalid_request(asked_for_usage, fields)


@given(bodies)
def test_fuzz_asked_for_usage(body: bytes) -> None:
    only_invalid_request(asked_for_usage, fields_of(body))


@pytest.mark.parametrize("empty", [b"[]", b"[ ]", b"[\n]"])
def test_an_empty_conversation_however_it_is_spelled(empty: bytes) -> None:
    fields = raw.split(b'{"messages":' + empty + b"}")
    with pytest.raises(Problem):
        read_chat_head(fields)


@given(
    json_bytes
    | st.lists(object_of("role", "content", "name"), min_size=1, max_size=3).map(
        lambda rows: b"[" + b",".join(rows) + b"]"
    )
)
def test_fuzz_the_system_prompt(messages: bytes) -> None:
    fields = fields_of(b'{"messages":' + messages + b"}")
    try:
        read_chat_head(fields)
    except (Problem, raw.NotJson, UnicodeDecodeError):
        return
    only_invalid_request(overlay_chat, fields, Preset(params={}), "be kind")


names = st.sampled_from(["temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "x"])
values = st.integers(0, 9) | st.text(max_size=3) | st.lists(st.integers(0, 9), max_size=2)
ALIAS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@given(st.dictionaries(names, values, max_size=4), st.dictionaries(names, values, max_size=4), st.sets(names))
def test_the_request_wins_unless_the_preset_locks(
    request_: dict[str, Any], params: dict[str, Any], locked: set[str]
) -> None:
    fields = raw.split(json.dumps({"model": "m", **request_}).encode() or b"")
    fields["messages"] = raw.Raw(b'[{"role":"user","content":"hi"}]')
    overlay_chat(fields, Preset(params=params, locked=frozenset(locked)), None)
    result = {name: raw.value_of(value) for name, value in fields.items()}
    in_force = {name for name in params if name in locked}
    for name, value in params.items():
        alias = ALIAS.get(name)
        if name in locked:
            if alias not in in_force:
                assert result[name] == value
                assert alias not in result
        elif name in request_ and alias not in in_force:
            assert result[name] == request_[name]
        elif alias is None:
            assert result[name] == value
    for name, value in request_.items():
        if name not in in_force and ALIAS.get(name) not in in_force:
            assert result[name] == value
    assert not {"max_tokens", "max_completion_tokens"} <= result.keys() - request_.keys()
    assert result.keys() - {"model", "messages"} <= request_.keys() | params.keys()
    assert result["model"] == "m"


@pytest.mark.parametrize(("mine", "theirs"), list(ALIAS.items()))
def test_who_sets_one_spelling_has_set_both(mine: str, theirs: str) -> None:
    fields = raw.split(b'{"%b":1}' % mine.encode())
    overlay_text(fields, Preset(params={theirs: 9}), None)
    assert raw.join(fields) == b'{"%b":1}' % mine.encode()
    overlay_text(fields, Preset(params={theirs: 9}, locked=frozenset({theirs})), None)
    assert raw.join(fields) == b'{"%b":9}' % theirs.encode()


def messages_after(messages: bytes, system: str = "be kind") -> Any:
    fields = raw.split(b'{"messages":' + messages + b"}")
    assert overlay_chat(fields, Preset(params={}), system) == []
    return raw.value_of(fields["messages"])


def test_where_the_system_prompt_goes() -> None:
    user = {"role": "user", "content": "hi"}
    assert messages_after(b'[{"role":"user","content":"hi"}]') == [{"role": "system", "content": "be kind"}, user]
    for role in ("system", "developer"):
        before = json.dumps([{"role": role, "content": "own", "name": "n"}, user]).encode()
        assert messages_after(before) == [{"role": role, "content": "be kind\nown", "name": "n"}, user]
    parts = json.dumps([{"role": "system", "content": [{"type": "text", "text": "own"}]}]).encode()
    assert messages_after(parts) == [
        {"role": "system", "content": [{"type": "text", "text": "be kind"}, {"type": "text", "text": "own"}]}
    ]
    for nothing in (b'""', b"null"):
        assert messages_after(b'[{"role":"system","content":' + nothing + b"}]") == [
            {"role": "system", "content": "be kind"}
        ]
    later = messages_after(b'[{"role":"user","content":"hi"},{"role":"system","content":"own"}]')
    assert [message["content"] for message in later] == ["be kind", "hi", "own"]


def test_the_other_messages_keep_their_bytes() -> None:
    odd = b'{ "role":"user", "content" : "\\u0061", "x": 1.0e+5 }'
    fields = raw.split(b'{"messages":[' + odd + b"]}")
    overlay_chat(fields, Preset(params={}), "s")
    assert odd in bytes(fields["messages"])


@pytest.mark.parametrize("operation", ["completions", "embeddings"])
def test_a_system_prompt_that_an_operation_cannot_take_is_a_loss(operation: str) -> None:
    fields = raw.split(b"{" + GOOD[operation] + b"}")
    before = raw.join(fields)
    assert OVERLAYS[operation](fields, Preset(params={}), "s") == ["system"]
    assert raw.join(fields) == before


def test_embeddings_take_few_parameters() -> None:
    fields = raw.split(b'{"input":"x"}')
    locked = Preset(params={"temperature": 1, "dimensions": 9}, locked=frozenset({"temperature"}))
    assert overlay_embeddings(fields, locked, None) == ["temperature"]
    assert raw.join(fields) == b'{"input":"x","dimensions":9}'


@given(operations, bodies, st.booleans())
def test_address_changes_nothing_else_and_is_idempotent(operation: str, body: bytes, ask: bool) -> None:
    fields = with_good(operation, body)
    before = {name: bytes(value) for name, value in fields.items()}
    sent = only_invalid_request(address, fields, target(upstream="up/stream"), ask)
    assert {name: bytes(value) for name, value in fields.items()} == before
    if sent is None:
        return
    after = {name: bytes(value) for name, value in raw.split(sent).items()}
    assert after.pop("model") == b'"up/stream"'
    options = after.pop("stream_options", None)
    wanted = {name: value for name, value in before.items() if name not in ("model", "stream_options")}
    assert after == wanted
    if ask:
        assert options is not None
        assert bytes(raw.split(options)["include_usage"]) == b"true"
    else:
        assert options == before.get("stream_options")
    assert address(raw.split(sent), target(upstream="up/stream"), ask) == sent
    assert address(fields, target(upstream="up/stream"), ask) == sent


def test_every_kind_can_be_told() -> None:
    for kind in Kind:
        problem = Problem(kind, 'words "quoted"\n', param="p")
        told = read_error(write_error(problem))
        assert told is not None
        assert (told.message, told.param) == (problem.message, "p")
        event = write_stream_error(problem)
        assert event.startswith(b"data: {")
        assert event.endswith(b"}\n\n")
        assert event.count(b"\n") == 2


@given(json_bytes | object_of("error") | st.binary(max_size=20))
def test_read_error_never_raises(body: bytes) -> None:
    read_error(body)
    read_error(b'{"error":' + body + b"}")
