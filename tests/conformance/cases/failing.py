"""Failures: each SDK raises its own kind of error with the right status, and nothing broken ends as if it were whole."""

from collections.abc import Mapping

import anthropic
import ollama
import openai

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI
from tests.conformance.callers import CALLERS
from tests.conformance.lab import PREFIXES, STALLED, UPSTREAM_SECRET
from tests.conformance.matrix import Cases, Cell, Failure, ask_of

CASES = Cases("Failures")

KINDS: Mapping[str, Mapping[int, type[Exception]]] = {
    OPENAI: {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        404: openai.NotFoundError,
        413: openai.APIStatusError,
        429: openai.RateLimitError,
        502: openai.InternalServerError,
        503: openai.InternalServerError,
    },
    ANTHROPIC: {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        404: anthropic.NotFoundError,
        413: anthropic.RequestTooLargeError,
        429: anthropic.RateLimitError,
        502: anthropic.InternalServerError,
        529: anthropic.InternalServerError,
    },
    OLLAMA: dict.fromkeys((400, 401, 404, 413, 429, 502, 503), ollama.ResponseError),
}
# The scripted upstream words a prompt that is too long as each of the real ones does.
WORDS = {
    OPENAI: "maximum context length is 8192",
    ANTHROPIC: "9001 tokens > 8192",
    OLLAMA: "exceeds the context length",
}


def expect(cell: Cell, failure: Failure, status: int) -> None:
    """The error is the one that this SDK has for the status, and its words are there."""
    assert failure.status == status, failure.message
    assert isinstance(failure.error, KINDS[cell.pair.caller][status])
    assert failure.message
    assert UPSTREAM_SECRET not in failure.message
    assert failure.headers["x-request-id"]


@CASES.add("An unknown model: 404")
def unknown_model(cell: Cell) -> None:
    for streamed in (False, True):
        failure = cell.failure("no-such-model", streamed=streamed)
        expect(cell, failure, 404)
        assert cell.model("no-such-model") in failure.message


@CASES.add("A key that is unknown: 401")
def wrong_key(cell: Cell) -> None:
    stranger = CALLERS[cell.pair.caller](cell.lab.yard.url, "sk-my-unknown-0123456789")
    try:
        stranger.whole(cell.model("echo"), ask_of(("Hello",), {}))
    except stranger.errors as error:
        status, message = stranger.raised(error)
        expect(cell, Failure(error=error, status=status, message=message, headers=stranger.heads[-1]), 401)
    else:
        raise AssertionError("a stranger was answered")
    finally:
        stranger.close()


@CASES.add("A backend that refuses Modelyard's key: 502, and not a word of the key")
def refused_key(cell: Cell) -> None:
    failure = cell.failure("error-401")
    expect(cell, failure, 502)
    assert "credentials" in failure.message


@CASES.add("A request that the backend refuses: 400 with its words")
def bad_request(cell: Cell) -> None:
    for streamed in (False, True):
        failure = cell.failure("error-400", streamed=streamed)
        expect(cell, failure, 400)
        assert WORDS[cell.target] in failure.message


@CASES.add("A request that is too large for the backend: 413")
def too_large(cell: Cell) -> None:
    expect(cell, cell.failure("error-413"), 413)


@CASES.add("A model that the backend does not have any more: 404")
def backend_without_model(cell: Cell) -> None:
    expect(cell, cell.failure("error-404"), 404)


@CASES.add("Too many requests: 429, and when to come again")
def rate_limited(cell: Cell) -> None:
    for streamed in (False, True):
        failure = cell.failure("rate-limited", streamed=streamed)
        expect(cell, failure, 429)
        assert failure.headers["retry-after"] == "7"


@CASES.add("A backend that fails: 502")
def server_error(cell: Cell) -> None:
    for streamed in (False, True):
        expect(cell, cell.failure("error-500", streamed=streamed), 502)


@CASES.add("A backend that is overloaded: 503, in Anthropic's dialect 529")
def overloaded(cell: Cell) -> None:
    failure = cell.failure("overloaded")
    expect(cell, failure, 529 if cell.pair.caller == ANTHROPIC else 503)


@CASES.add("A connection cut before the first byte: 502")
def cut_before_headers(cell: Cell) -> None:
    for streamed in (False, True):
        expect(cell, cell.failure("cut-before-headers", streamed=streamed), 502)


@CASES.add("A page of HTML for an answer: 502")
def html(cell: Cell) -> None:
    for script in ("html", "html-502"):
        for streamed in (False, True):
            expect(cell, cell.failure(script, streamed=streamed), 502)


@CASES.add("A whole answer that is cut, broken, empty, unended or an error: 502")
def broken_answers(cell: Cell) -> None:
    for script in ("cut", "broken-line", "empty-stream", "error-event"):
        expect(cell, cell.failure(script), 502)


def raises_within(cell: Cell, failure: Failure) -> None:
    """The stream had begun well and ended with this dialect's own error."""
    assert failure.status is None, failure.message
    assert failure.message
    if cell.pair.caller == OPENAI:
        assert type(failure.error) is openai.APIError  # an error that the stream told, not a broken connection
    if cell.pair.caller == ANTHROPIC:
        assert isinstance(failure.error, anthropic.APIStatusError)


@CASES.add("A stream whose connection is cut")
def cut(cell: Cell) -> None:
    raises_within(cell, cell.failure("cut", streamed=True))


@CASES.add("A stream that stalls")
def stall(cell: Cell) -> None:
    raises_within(cell, cell.failure_of(f"{PREFIXES[cell.target]}s.{STALLED}", ("Hello",), {}, streamed=True))


@CASES.add("A broken line in a stream")
def broken_line(cell: Cell) -> None:
    raises_within(cell, cell.failure("broken-line", streamed=True))


@CASES.add("An error within a stream, in the backend's words")
def error_event(cell: Cell) -> None:
    failure = cell.failure("error-event", streamed=True)
    raises_within(cell, failure)
    assert "failed while it was generating" in failure.message


@CASES.add("A stream that ends without its proper end")
def truncated(cell: Cell) -> None:
    raises_within(cell, cell.failure("truncated", streamed=True))


@CASES.add("An empty stream: 502, nothing has begun")
def empty_stream(cell: Cell) -> None:
    expect(cell, cell.failure("empty-stream", streamed=True), 502)
