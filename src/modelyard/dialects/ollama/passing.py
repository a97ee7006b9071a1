"""Ollama calls that pass to an Ollama target: what is read of them, the few fields that are set, and the watching tap."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modelyard.canonical.snapshot import Preset, Target
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.ndjson import LineSplitter, LineTooLarge
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.dialect import Head
from modelyard.dialects.faults import CUT, broken_stream, upstream_failed
from modelyard.dialects.ollama.answer import NOT_AN_ANSWER, Figures, cut_short, usage_of
from modelyard.dialects.ollama.errors import told_instead, write_stream_error
from modelyard.dialects.ollama.parameters import LOCKS, Placed, place, place_loading
from modelyard.dialects.ollama.request_reader import is_empty, reads_stream
from modelyard.dialects.reading import MALFORMED, NULL, is_object, object_in, read_model, value_in, wrong


def read_chat_head(fields: Fields) -> Head:
    """No messages at all are fine: they load the model, or unload it. Raises Problem INVALID_REQUEST."""
    _expect(fields, "messages", b"[", "an array of messages")
    return _head(fields, reads_stream(fields))


def read_generate_head(fields: Fields) -> Head:
    """No prompt is fine, as for chats. Raises Problem INVALID_REQUEST."""
    _expect(fields, "prompt", b'"', "a string")
    return _head(fields, reads_stream(fields))


def read_embed_head(fields: Fields) -> Head:
    """No input is fine: Ollama answers with no vectors. Raises Problem INVALID_REQUEST."""
    _expect(fields, "input", b'"[', "a string or an array of strings")
    return Head(model=read_model(fields), stream=False, output_bound=None)


def read_embeddings_head(fields: Fields) -> Head:
    """The same for the older operation. Raises Problem INVALID_REQUEST."""
    _expect(fields, "prompt", b'"', "a string")
    return Head(model=read_model(fields), stream=False, output_bound=None)


def embeds_nothing(fields: Fields) -> bool:
    """True for an /api/embed without a text."""
    return is_empty(fields.get("input"))


def only_loads(operation: str, fields: Fields) -> bool:
    """True for a chat or a generation (`operation` is its name) that says nothing: it loads the model, or unloads it."""
    if operation == "chat":
        return is_empty(fields.get("messages"))
    return is_empty(fields.get("prompt")) and is_empty(fields.get("images"))


def only_unloads(operation: str, fields: Fields) -> bool:
    """True for such a request that does not want the model kept: `keep_alive` is 0."""
    value = fields.get("keep_alive")
    if value is None or not only_loads(operation, fields):
        return False
    duration = value_in(value, "keep_alive")
    if isinstance(duration, str):
        # 0 in any of Go's spellings: "0", "0s", "0m0s".
        return any(digit == "0" for digit in duration) and not any(digit in "123456789" for digit in duration)
    return duration is not None and duration == 0


def _head(fields: Fields, stream: bool) -> Head:
    options = fields.get("options")
    if options is None or bytes(options) == b"null":
        return Head(model=read_model(fields), stream=stream, output_bound=None)
    if not is_object(options):
        raise wrong("options", "an object")
    bound = object_in(options, "options").get("num_predict")
    limit = None if bound is None else value_in(bound, "options.num_predict")
    if limit is None:
        return Head(model=read_model(fields), stream=stream, output_bound=None)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)):
        raise wrong("options.num_predict", "a whole number")
    # 0 and less: no bound of the request's own.
    return Head(model=read_model(fields), stream=stream, output_bound=int(limit) if limit >= 1 else None)


def _expect(fields: Fields, name: str, openings: bytes, expected: str) -> None:
    value = fields.get(name)
    if value is not None and bytes(value) != b"null" and bytes(memoryview(value)[:1]) not in _each(openings):
        raise wrong(name, expected)


def _each(openings: bytes) -> tuple[bytes, bytes]:
    return openings[:1], openings[-1:]


# The preset's part


def overlay_chat(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a chat. Its system prompt is left out of a request that only loads the model."""
    losses = _lay(fields, place(preset.controls), preset.locked_controls)
    if system is not None and not only_loads("chat", fields):
        fields["messages"] = _with_system(fields["messages"], system)
    return losses


def overlay_generate(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a generation. A raw prompt takes no system prompt."""
    placed = place(preset.controls)
    if "suffix" in placed.losses:
        placed.losses.remove("suffix")
        placed.root["suffix"] = preset.controls.params["suffix"]
    losses = _lay(fields, placed, preset.locked_controls)
    if system is None or only_loads("generate", fields):
        return losses
    if bytes(fields.get("raw", NULL)) == b"true":
        return [*losses, "system"]
    given = value_in(fields.get("system", NULL), "system")
    if given is not None and not isinstance(given, str):
        raise wrong("system", "a string")
    fields["system"] = raw.raw_of(f"{system}\n{given}" if given else system)
    return losses


def overlay_embeddings(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over an embedding: only what loads the model. There is no place for a system prompt."""
    losses = _lay(fields, place_loading(preset.controls), preset.locked_controls)
    return losses if system is None else [*losses, "system"]


def _lay(fields: Fields, placed: Placed, locked: frozenset[str]) -> list[str]:
    """Set what the request leaves open and what the preset locks."""
    _fill(fields, placed.root, locked)
    if placed.options:
        given = fields.get("options")
        options = {} if given is None or bytes(given) == b"null" else object_in(given, "options")
        _fill(options, placed.options, locked)
        fields["options"] = Raw(raw.join(options))
    return placed.losses


def _fill(fields: Fields, values: Mapping[str, Any], locked: frozenset[str]) -> None:
    for name, value in values.items():
        if LOCKS.get(name, name) in locked or bytes(fields.get(name, NULL)) == b"null":
            fields[name] = raw.raw_of(value)


class _Message(msgspec.Struct):
    role: str = ""
    content: str | None = None


_message = msgspec.json.Decoder(_Message)


def _with_system(messages: Raw, system: str) -> Raw:
    """The preset's prompt goes before the caller's own system message, or in front of the conversation."""
    try:
        items = raw.split_list(messages)
        first = _message.decode(items[0])
        if first.role.lower() != "system":
            return raw.join_list([raw.raw_of({"role": "system", "content": system}), *items])
        message = raw.split(bytes(items[0]))
    except (raw.NotJson, *MALFORMED, IndexError):
        raise wrong("messages", "an array of objects with a role and a string as content") from None
    message["content"] = raw.raw_of(f"{system}\n{first.content}" if first.content else system)
    return raw.join_list([Raw(raw.join(message)), *items[1:]])


def address(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The body for one target: its own name of the model. Usage comes unasked."""
    body = dict(fields)
    body["model"] = target.upstream_model
    return raw.join(body)


def asked_for_usage(fields: Fields) -> bool:
    """Usage stands in every last line: nothing has to be taken out again."""
    return True


# Answers


class _Seen(Figures):
    """What the books need of an answer, or of a line of one. An answer that only shows the prompt is never `done`."""

    done: Any = None
    error: Raw = NULL
    debugged: Raw = msgspec.field(name="_debug_info", default=NULL)


class _Line(msgspec.Struct, gc=False):
    """What must be known of every line that passes."""

    done: bool | None = None
    error: Raw = NULL


_seen = msgspec.json.Decoder(_Seen)
_line = msgspec.json.Decoder(_Line)
_NOTHING = _Line()
_NO_FIGURES = _Seen()


def read_usage(body: bytes) -> Usage | None:
    """Usage of a whole answer; None when it tells none. Raises Problem UPSTREAM_FAILED when it is not one, or not whole."""
    seen = _decoded(_seen, body, _NO_FIGURES)
    _raise_error(seen.error)
    if seen.done is False and bytes(seen.debugged) == b"null":
        raise cut_short()
    return usage_of(seen)


def _decoded(decoder: "msgspec.json.Decoder[Any]", data: bytes, unknown: Any) -> Any:
    """An object decoded, `unknown` for one that is not as we know it: that is the caller's to read."""
    try:
        return decoder.decode(data)
    except MALFORMED:
        pass
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise upstream_failed(NOT_AN_ANSWER)
    return unknown


def _raise_error(error: Raw) -> None:
    if error is not NULL and bytes(error) not in (b"null", b'""'):
        raise told_instead(error)


class OllamaTap:
    """Watches one stream of lines as they pass unchanged. See `dialects.dialect.StreamTap`."""

    __slots__ = ("_splitter", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._splitter = LineSplitter()
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that may go on, up to the first bad one."""
        try:
            lines = self._splitter.feed(chunk)
        except LineTooLarge as error:
            self.fault = broken_stream(error)
            return b""
        return b"".join(self._good(lines))

    def end(self) -> bytes:
        """The last bytes. Raises Problem when the stream ended without a line that says `done`."""
        rest = self._splitter.rest  # may be a whole line without its line feed; half of one is a fault
        if not self.complete and not (rest.strip() and self._note(rest)):
            raise upstream_failed(CUT)
        return rest

    def fail(self, problem: Problem) -> bytes:
        """The line that ends the stream instead."""
        return write_stream_error(problem)

    def _good(self, lines: list[bytes]) -> Iterator[bytes]:
        try:
            for line in lines:
                self._note(line)
                yield line
        except Problem as fault:
            self.fault = fault

    def _note(self, data: bytes) -> bool:
        """Note what a line tells; True when the answer is complete."""
        if self.complete:
            return True
        line = _decoded(_line, data, _NOTHING)
        _raise_error(line.error)
        if line.done:
            self.usage = usage_of(_decoded(_seen, data, _NO_FIGURES))
            self.complete = True
        else:
            self.deltas += 1
        return self.complete
