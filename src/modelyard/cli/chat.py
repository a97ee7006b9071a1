"""`modelyard chat`: a conversation in the terminal with a model of a running server, by its OpenAI API."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.output import TerminalFilter, one_line, stop

if TYPE_CHECKING:
    import httpx2

KEY_VARIABLE = "MODELYARD_API_KEY"
CONNECT_SECONDS = 5.0
MAX_ERROR_BYTES = 64 * 1024
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
STOPPED = 130  # what a shell reports of a command that SIGINT ended

Message = dict[str, str]


class ChatFailed(Exception):
    """No answer, or not all of it. The text is one line for a person."""


@dataclass(slots=True)
class Answer:
    """What has come of one answer. `tokens` is None as long as the server has not counted them."""

    begun_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    text: str = ""
    pieces: int = 0
    tokens: int | None = None
    complete: bool = False
    stopped: bool = False


def chat(
    model: Annotated[str, typer.Argument(help="The model to talk to.")],
    prompt: Annotated[str | None, typer.Argument(help="Ask this and end. Default: standard input.")] = None,
    url: Annotated[str, typer.Option(help="Address of the server.")] = "http://127.0.0.1:8484",
    key: Annotated[str | None, typer.Option(help=f"API key. Default: {KEY_VARIABLE} in the environment.")] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="What the model is told beforehand.")] = None,
) -> None:
    """Talk to a model of a running server. In a terminal, an empty line or Ctrl-D ends the conversation."""
    # Imported here, so that `--help` loads nothing of the server, nor an HTTP client.
    from modelyard.canonical.endpoint import parse_base_url
    from modelyard.settings import read_environment

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # a TextIOWrapper, wherever we are started
    url = url.strip().rstrip("/").removesuffix("/v1")
    try:
        _, host, _, _ = parse_base_url(url)
    except ValueError as error:
        stop(f"--url: {error}")
    key = key or read_environment().get(KEY_VARIABLE)
    said: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    with _client(url, host, key) as client:
        converses = prompt is None and sys.stdin.isatty()
        code = _converse(client, model, said) if converses else _ask_once(client, model, said, prompt)
    raise SystemExit(code)


def _client(url: str, host: str, key: str | None) -> "httpx2.Client":
    import httpx2

    return httpx2.Client(
        base_url=url,
        headers={"authorization": f"Bearer {key}"} if key else {},
        # The server bounds how long an answer may take; whoever waits here has Ctrl-C.
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        # No proxy for this machine, whatever the environment says.
        trust_env=host not in LOCAL_NAMES,
    )


def _ask_once(client: "httpx2.Client", model: str, said: list[Message], prompt: str | None) -> int:
    try:
        content = sys.stdin.read() if prompt is None else prompt
    except KeyboardInterrupt:
        return STOPPED
    if not content.strip():
        stop("There is nothing to ask: give a prompt, or text on standard input.")
    try:
        answer = _answer(client, model, [*said, {"role": "user", "content": content}])
    except ChatFailed as failed:
        stop(str(failed))
    return STOPPED if answer.stopped else 0


def _converse(client: "httpx2.Client", model: str, said: list[Message]) -> int:
    """Until an empty line or Ctrl-D. A failed answer is told and may be asked for again; 1 when the last one failed."""
    code = 0
    while True:
        try:
            content = input("> ")
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            return code
        if not content.strip():
            return code
        asked = {"role": "user", "content": content}
        try:
            answer = _answer(client, model, [*said, asked])
        except ChatFailed as failed:
            sys.stderr.write(f"{one_line(str(failed))}\n")
            code = 1
            continue
        code = 0
        if answer.text:
            said += [asked, {"role": "assistant", "content": answer.text}]


def _answer(client: "httpx2.Client", model: str, messages: list[Message]) -> Answer:
    """Ask, and write the answer as it comes. Ctrl-C stops it. Raises ChatFailed; what has come stays on the screen."""
    import httpx2

    answer = Answer()
    terminal = TerminalFilter()
    try:
        for piece in _pieces(client, model, messages, answer):
            sys.stdout.write(terminal.feed(piece))
            sys.stdout.flush()
    except KeyboardInterrupt:
        answer.stopped = True
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise ChatFailed(f"No server answers at {client.base_url} ({error}). Is `modelyard serve` running?") from None
    except httpx2.HTTPError as error:
        raise ChatFailed(f"The connection to the server broke: {error or type(error).__name__}") from None
    finally:
        sys.stdout.write(terminal.end())
        if answer.pieces:
            sys.stdout.write("\n")
        sys.stdout.flush()
        _write_pace(answer)
    return answer


def _pieces(client: "httpx2.Client", model: str, messages: list[Message], answer: Answer) -> Iterator[str]:
    """The text of the answer as it arrives, noted in `answer`. Raises ChatFailed, and httpx2's errors."""
    from modelyard.core import raw

    body = raw.encode(
        {
            "model": _sendable(model),
            "messages": [{**message, "content": _sendable(message["content"])} for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    headers = {"content-type": "application/json"}
    with client.stream("POST", "/v1/chat/completions", content=body, headers=headers) as response:
        if response.status_code != 200:
            raise ChatFailed(_told(response))
        for chunk in _chunks(response, answer):
            for choice in chunk.get("choices") or ():
                answer.complete = answer.complete or bool(choice.get("finish_reason"))
                piece = (choice.get("delta") or {}).get("content")
                if piece:
                    answer.first_at = answer.first_at or time.monotonic()
                    answer.pieces += 1
                    answer.text += piece
                    yield piece
            answer.tokens = (chunk.get("usage") or {}).get("completion_tokens", answer.tokens)
    if not answer.complete:
        raise ChatFailed("The answer ended before it was complete.")


def _chunks(response: "httpx2.Response", answer: Answer) -> Iterator[dict[str, Any]]:
    """The chunks of a stream. Raises ChatFailed for an error among them."""
    from modelyard.core import raw
    from modelyard.core.sse import EventSplitter, data_of
    from modelyard.dialects.openai.errors import read_error

    splitter = EventSplitter()
    for received in response.iter_bytes():
        for event in splitter.feed(received):
            data = data_of(event)
            if data == b"[DONE]":
                answer.complete = True
            elif data:
                failed = read_error(data)
                if failed is not None:
                    raise ChatFailed(failed.message)
                try:
                    chunk = raw.value_of(raw.Raw(data))
                except raw.NotJson:
                    raise ChatFailed("The stream is broken: it holds a line that is not JSON.") from None
                if isinstance(chunk, dict):
                    yield chunk


def _told(response: "httpx2.Response") -> str:
    """What an error answer says, or its status when it says nothing in OpenAI's shape."""
    from modelyard.dialects.openai.errors import read_error

    body = b""
    for received in response.iter_bytes():
        body += received
        if len(body) > MAX_ERROR_BYTES:
            break
    told = read_error(body)
    return told.message if told is not None else f"The server answered with status {response.status_code}."


def _sendable(text: str) -> str:
    """Text without the halves of characters that an argument which is not UTF-8 leaves."""
    return text.encode(errors="replace").decode()


def _write_pace(answer: Answer) -> None:
    """Time to first token, tokens per second, tokens; `~` where the server did not count and we did."""
    if answer.first_at is None:
        return
    # Imported here, because rich is not needed for `--help` of a command.
    from rich.console import Console
    from rich.text import Text

    tokens = answer.pieces if answer.tokens is None else answer.tokens
    about = "~" if answer.tokens is None else ""
    seconds = time.monotonic() - answer.first_at
    parts = [f"first token after {answer.first_at - answer.begun_at:.2f} s"]
    if tokens > 1 and seconds > 0:
        parts.append(f"{about}{(tokens - 1) / seconds:.1f} tokens/s")
    parts.append(f"{about}{tokens} tokens")
    if answer.stopped:
        parts.append("stopped")
    Console(stderr=True).print(Text(" · ".join(parts), style="dim"))
