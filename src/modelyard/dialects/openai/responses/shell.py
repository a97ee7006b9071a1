"""The response object around an answer's items: what it repeats of the request, its state and its usage.

API reference, "The response object".
"""

import msgspec

from modelyard.canonical.chat import LENGTH
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Asker
from modelyard.dialects.openai.responses.items import write_usage

IN_PROGRESS = b'"in_progress"'
COMPLETED = b'"completed"'
INCOMPLETE = b'"incomplete"'
FAILED = b'"failed"'

# What an answer repeats of the request, and what stands there when the request left it open.
_REPEATED = {
    "background": b"false",
    "instructions": b"null",
    "max_output_tokens": b"null",
    "metadata": b"{}",
    "parallel_tool_calls": b"true",
    "previous_response_id": b"null",
    "prompt_cache_key": b"null",
    "reasoning": b'{"effort":null,"summary":null}',
    "safety_identifier": b"null",
    "store": b"true",
    "temperature": b"1.0",
    "text": b'{"format":{"type":"text"}}',
    "tool_choice": b'"auto"',
    "tools": b"[]",
    "top_logprobs": b"0",
    "top_p": b"1.0",
    "truncation": b'"disabled"',
    "user": b"null",
}
_DEFAULTS = [(name, b'"%b":%b' % (name.encode(), value)) for name, value in _REPEATED.items()]

# The API has few codes for its errors; what is not one of them is the server's fault.
_CODES = {Kind.RATE_LIMITED: "rate_limit_exceeded", Kind.INVALID_REQUEST: "invalid_prompt"}


def _repeated(fields: Fields) -> bytes:
    parts = []
    for name, default in _DEFAULTS:
        value = fields.get(name)
        # A value is one line in a stream; a request may be written over several.
        if value is None or (data := bytes(value)) == b"null":
            parts.append(default)
        elif b"\n" in data or b"\r" in data:
            parts.append(b'"%b":%b' % (name.encode(), msgspec.json.format(data, indent=-1)))
        else:
            parts.append(b'"%b":%b' % (name.encode(), data))
    return b",".join(parts)


def error_of(problem: Problem) -> dict[str, str]:
    """The `error` of a response that failed."""
    return {"code": _CODES.get(problem.kind, "server_error"), "message": problem.message}


class Shell:
    """The response object of one call, without its items."""

    __slots__ = ("_head", "_tail")

    def __init__(self, asker: Asker) -> None:
        self._head = b'{"id":"resp_%b","object":"response","created_at":%d,"model":%b,"status":' % (
            asker.call_id.encode(),
            int(asker.created),
            raw.encode(asker.model),
        )
        self._tail = b",%b}" % _repeated(asker.fields)

    def response(
        self,
        status: bytes,
        items: list[bytes],
        *,
        usage: Usage | None = None,
        cut: str | None = None,
        problem: Problem | None = None,
    ) -> bytes:
        """The whole object. `cut` is why it is incomplete, `problem` why it failed."""
        details = b"null"
        if cut is not None:
            details = b'{"reason":"max_output_tokens"}' if cut == LENGTH else b'{"reason":"content_filter"}'
        return b'%b%b,"error":%b,"incomplete_details":%b,"output":[%b],"usage":%b%b' % (
            self._head,
            status,
            b"null" if problem is None else raw.encode(error_of(problem)),
            details,
            b",".join(items),
            b"null" if usage is None else raw.encode(write_usage(usage)),
            self._tail,
        )
