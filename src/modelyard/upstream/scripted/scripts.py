"""The table of scripts. A script is chosen by the name of the model; `name?delay_ms=5&events=400` sets its parameters."""

from modelyard.upstream.scripted.answers import (
    HUGE,
    REFUSED,
    UNICODE,
    echo,
    json_object,
    lorem,
    lorem_past_the_fault,
    redacted,
    says,
    see,
    thinking,
    thinking_tool,
    tool_calls,
    tool_loop,
)
from modelyard.upstream.scripted.form import Act, Call, Fault, Finish, Kind, Pace, Reply, Script, Usage

ECHO, LOREM, PAST_THE_FAULT = says(echo), says(lorem), says(lorem_past_the_fault)
HTML = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"
HTML_TYPE = "text/html; charset=utf-8"
RATE_LIMITED = Fault(
    status=429,
    message="Rate limit reached for requests. Please try again in 7s.",
    kind="requests",
    code="rate_limit_exceeded",
    retry_after=7,
)
TOO_LONG = Fault(
    status=400,
    message="This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
    param="messages",
    code="context_length_exceeded",
)
FORBIDDEN = Fault(status=403, message="You are not allowed to sample from this model.", code="permission_denied")
TOO_LARGE = Fault(status=413, message="The request is larger than 32 MB.", code="request_too_large")
SERVER_ERROR = Fault(status=500, message="The server had an error while processing your request.", kind="server_error")
# The numbers of `cached-usage`: each different, so that none can stand for another.
CACHED = Usage(input=100, output=30, cache_read=40, cache_write=20, cache_write_1h=5, reasoning=12)


def _fault(fault: Fault) -> Script:
    return Script(blocks=ECHO, fault=lambda call: fault)


def _unauthorized(call: Call) -> Fault:
    message = f"Incorrect API key provided: {call.credential}. You can find your API key at https://example.com/keys."
    return Fault(status=401, message=message, code="invalid_api_key", about=call.credential)


def _not_found(call: Call) -> Fault:
    return no_model(str(call.model))


def _overloaded(call: Call) -> Fault:
    status = 529 if call.form.name.startswith("anthropic.") else 503
    return Fault(status=status, message="The engine is currently overloaded.", kind="server_error", code="overloaded")


def no_model(name: str) -> Fault:
    """There is no script of this name."""
    message = f"The model `{name}` does not exist."
    return Fault(status=404, message=message, param="model", code="model_not_found", about=name)


SCRIPTS: dict[str, Script] = {
    # Answers
    "echo": Script(blocks=ECHO),
    "lorem": Script(blocks=LOREM, events=64, delay_ms=20),
    "slow": Script(blocks=ECHO, delay_ms=2000, pace=Pace.HEAD),
    "slow-body": Script(blocks=LOREM, events=4, delay_ms=500, pace=Pace.BODY),
    "huge": Script(blocks=says(lambda call: ["x" * HUGE])),
    "tool-call": Script(blocks=tool_calls(1)),
    "unicode": Script(blocks=says(lambda call: UNICODE), newline=b"\r\n", write=7),
    "null-usage": Script(blocks=ECHO, null_usage=True),
    "no-done": Script(blocks=ECHO, act=Act.NO_DONE),
    "parallel-tools": Script(blocks=tool_calls(2)),
    "tool-loop": Script(blocks=tool_loop),
    "thinking": Script(blocks=thinking),
    "reasoning": Script(blocks=thinking, reasoning="reasoning"),  # the other name of OpenAI's field
    "redacted": Script(blocks=redacted),
    "thinking-tool": Script(blocks=thinking_tool),
    "json": Script(blocks=says(json_object)),
    "see": Script(blocks=says(see)),
    "cached-usage": Script(blocks=ECHO, usage=CACHED),
    "logprobs": Script(blocks=ECHO, logprobs=True),
    # Ends
    "length": Script(blocks=LOREM, finish=Finish.LENGTH, events=8),
    "stop-sequence": Script(blocks=ECHO, stops=True),
    "refusal": Script(blocks=says(lambda call: REFUSED, Kind.REFUSAL), finish=Finish.REFUSAL),
    "content-filter": Script(blocks=LOREM, finish=Finish.FILTER, events=4),
    "pause": Script(blocks=ECHO, finish=Finish.PAUSE),
    "odd-finish": Script(blocks=ECHO, finish=Finish.ODD),
    # Refusals
    "rate-limited": _fault(RATE_LIMITED),
    "error-400": _fault(TOO_LONG),
    "error-401": Script(blocks=ECHO, fault=_unauthorized),
    "error-403": _fault(FORBIDDEN),
    "error-404": Script(blocks=ECHO, fault=_not_found),
    "error-413": _fault(TOO_LARGE),
    "error-500": _fault(SERVER_ERROR),
    "overloaded": Script(blocks=ECHO, fault=_overloaded),  # 529 from Anthropic, else 503
    # Connections that break or hang
    "cut": Script(blocks=PAST_THE_FAULT, act=Act.CUT),
    "cut-before-headers": Script(blocks=ECHO, act=Act.CUT_FIRST),
    "stall": Script(blocks=PAST_THE_FAULT, act=Act.STALL),
    "stall-first": Script(blocks=ECHO, act=Act.STALL_FIRST),
    # Answers that are not what they should be
    "html": Script(blocks=ECHO, reply=Reply(200, HTML, HTML_TYPE)),
    "html-502": Script(blocks=ECHO, reply=Reply(502, HTML, HTML_TYPE)),
    "wrong-type": Script(blocks=ECHO, content_type="text/plain; charset=utf-8"),
    "broken-line": Script(blocks=PAST_THE_FAULT, act=Act.BROKEN_LINE),
    "error-event": Script(blocks=PAST_THE_FAULT, act=Act.ERROR_EVENT),
    "failed": Script(blocks=PAST_THE_FAULT, act=Act.FAILED),
    "empty-stream": Script(blocks=ECHO, act=Act.EMPTY),
    "truncated": Script(blocks=ECHO, act=Act.TRUNCATED),
}
