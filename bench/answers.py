"""What the stand-in for a model server says: one record of each dialect, made once, sent as it is.

Shapes follow the servers' own documents: OpenAI's and Anthropic's API references, docs/api.md of Ollama.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MODEL = "bench-model"
CREATED = 1_760_000_000
PROMPT_TOKENS = 180
TOOL_ARGUMENTS = {"city": "Lisbon", "days": 3, "unit": "celsius"}
# The tool that a call with tools is answered with: `bench.bodies` offers it.
TOOL = "get_weather"

_SENTENCE = "The quick brown fox jumps over the lazy dog. "
_DAY = "2025-10-09T08:53:20.123456Z"


@dataclass(frozen=True)
class Dialect:
    """The bodies of whole answers, about 1 KB each, and the events of a stream as they stand on the wire."""

    whole: bytes
    whole_with_tool: bytes
    stream_type: str
    opening: tuple[bytes, ...]
    frame: Callable[[str], bytes]
    """One delta of text."""
    closing: Callable[[int, bool], tuple[bytes, ...]]
    """(deltas sent, whether usage was asked for) -> the events that end a stream."""


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# OpenAI.


def _completion(message: dict[str, Any], finish: str) -> bytes:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 150, "total_tokens": PROMPT_TOKENS + 150}
    return compact(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
            "usage": usage,
        }
    )


def _chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
    return b"data: " + compact({**head, "choices": choices, **more}) + b"\n\n"


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": finish}])


def _openai_end(frames: int, with_usage: bool) -> tuple[bytes, ...]:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": frames, "total_tokens": PROMPT_TOKENS + frames}
    told = (_chunk([], usage=usage),) if with_usage else ()
    return (_delta({}, "stop"), *told, b"data: [DONE]\n\n")


_OPENAI_CALL = {"id": "call_bench", "type": "function"}

OPENAI = Dialect(
    whole=_completion({"content": _SENTENCE * 15}, "stop"),
    whole_with_tool=_completion(
        {
            "content": _SENTENCE * 12,
            "tool_calls": [{**_OPENAI_CALL, "function": {"name": TOOL, "arguments": json.dumps(TOOL_ARGUMENTS)}}],
        },
        "tool_calls",
    ),
    stream_type="text/event-stream",
    opening=(_delta({"role": "assistant", "content": ""}),),
    frame=lambda text: _delta({"content": text}),
    closing=_openai_end,
)


# Anthropic.


def _message(content: list[dict[str, Any]], stop: str | None, output_tokens: int) -> dict[str, Any]:
    cache = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, **cache, "output_tokens": output_tokens},
    }


def _named(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + compact({"type": kind, **more}) + b"\n\n"


def _anthropic_end(frames: int, with_usage: bool) -> tuple[bytes, ...]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    # Its usage is always told.
    return (
        _named("content_block_stop", index=0),
        _named("message_delta", delta=delta, usage={"output_tokens": frames}),
        _named("message_stop"),
    )


_TOOL_USE = {"type": "tool_use", "id": "toolu_bench", "name": TOOL, "input": TOOL_ARGUMENTS}

ANTHROPIC = Dialect(
    whole=compact(_message([{"type": "text", "text": _SENTENCE * 15}], "end_turn", 150)),
    whole_with_tool=compact(_message([{"type": "text", "text": _SENTENCE * 12}, _TOOL_USE], "tool_use", 150)),
    stream_type="text/event-stream; charset=utf-8",
    opening=(
        _named("message_start", message=_message([], None, 1)),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _named("ping"),
    ),
    frame=lambda text: _named("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
    closing=_anthropic_end,
)


# Ollama. Each line of its stream is an object like the whole answer.


def _said(message: dict[str, Any], **more: Any) -> bytes:
    return compact({"model": MODEL, "created_at": _DAY, "message": {"role": "assistant", **message}, **more})


def _figures(output_tokens: int) -> dict[str, Any]:
    durations = {"total_duration": 4_883_583_458, "load_duration": 1_334_875, "prompt_eval_duration": 342_546_000}
    counts = {"prompt_eval_count": PROMPT_TOKENS, "eval_count": output_tokens, "eval_duration": 4_535_599_000}
    return {"done": True, "done_reason": "stop", **durations, **counts}


def _ollama_end(frames: int, with_usage: bool) -> tuple[bytes, ...]:
    return (_said({"content": ""}, **_figures(frames)) + b"\n",)


_OLLAMA_CALL = {"function": {"name": TOOL, "arguments": TOOL_ARGUMENTS}}

OLLAMA = Dialect(
    whole=_said({"content": _SENTENCE * 15}, **_figures(150)),
    whole_with_tool=_said({"content": _SENTENCE * 12, "tool_calls": [_OLLAMA_CALL]}, **_figures(150)),
    stream_type="application/x-ndjson",
    opening=(),
    frame=lambda text: _said({"content": text}, done=False) + b"\n",
    closing=_ollama_end,
)


# Lists of models. Anthropic's is at the same path as OpenAI's; what is read of either are the rows' ids.


def _names(count: int) -> list[str]:
    return [MODEL] + [f"bench-model-{number:05d}" for number in range(1, count)]


def models(count: int) -> bytes:
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "bench"} for name in _names(count)]
    return compact({"object": "list", "data": data})


def tags(count: int) -> bytes:
    details = {"format": "gguf", "family": "llama", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"}
    shared = {"modified_at": _DAY, "size": 4_661_224_676, "digest": "0" * 64, "details": details}
    return compact({"models": [{"name": name, "model": name, **shared} for name in _names(count)]})
