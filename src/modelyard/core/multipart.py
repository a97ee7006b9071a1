"""Forms with files (`multipart/form-data`, RFC 7578): read for their text fields, changed in nothing but the model.

The body is in memory already. Whatever another reader of the same bytes could understand differently (a field given in
two ways, an escaped or encoded name) is refused where it concerns the model: which one is called must not be a matter
of opinion.
"""

import logging
import re
from dataclasses import dataclass

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modelyard.core import raw

MAX_PARTS = 1000
MAX_FIELD_BYTES = 64 * 1024
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096

MODEL = "model"
TRUTHS = {"true": msgspec.Raw(b"true"), "false": msgspec.Raw(b"false")}

# RFC 2046, section 5.1.1: what a boundary may be made of.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_NAMED_BOUNDARY = re.compile(r";[ \t]*boundary[*0-9]*[ \t]*=", re.IGNORECASE)
_DISPOSITION = re.compile(
    r'form-data(?P<rest>(?:[ \t]*;[ \t]*[A-Za-z*]+=(?:"(?:[^"\\]|\\.)*"|[^\s";]*))*)[ \t]*;?[ \t]*', re.IGNORECASE
)
_PARAMETER = re.compile(r';[ \t]*([A-Za-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))')
_PLAIN_ENCODINGS = ("7bit", "8bit", "binary")

# The parser would warn of every form that is malformed: its sender is told, nobody else needs to know.
_silent = logging.getLogger(__name__)
_silent.disabled = True


class NotAForm(ValueError):
    """The bytes are not the form that was expected. The text is a sentence for whoever sent them."""


@dataclass(slots=True)
class _Part:
    """One part: its headers, and from where to where its content goes."""

    headers: dict[str, str]
    start: int = 0
    end: int = 0


class Form:
    """A form as it came. `fields` are its short text fields as JSON: strings, and `stream` as true or false."""

    __slots__ = ("_body", "_delimiter", "_model", "content_type", "fields")

    def __init__(
        self,
        content_type: str,
        body: bytes,
        delimiter: bytes,
        fields: dict[str, msgspec.Raw],
        model: tuple[int, int] | None,
    ) -> None:
        self.content_type = content_type
        self.fields = fields
        self._body = body
        self._delimiter = delimiter
        self._model = model

    def with_model(self, name: str) -> bytes:
        """The same bytes with this model in place of the caller's; a part for it is put in front when there is none."""
        body, value = self._body, name.encode("utf-8", "replace")
        if self._model is not None:
            start, end = self._model
            return b"".join((body[:start], value, body[end:]))
        first = body.index(self._delimiter)
        part = b'%b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n' % (self._delimiter, value)
        return b"".join((body[:first], part, body[first:]))


def read_form(content_type: str, body: bytes) -> Form:
    """Read a form. Raises NotAForm."""
    boundary = _boundary(content_type)
    delimiter = b"--" + boundary
    parts = _parts(boundary, body)
    _check_delimiters(delimiter, body, len(parts) + 1)
    fields: dict[str, msgspec.Raw] = {}
    model: tuple[int, int] | None = None
    for part in parts:
        name, is_file = _name_of(part)
        text = None if is_file or part.end - part.start > MAX_FIELD_BYTES else _text(body[part.start : part.end])
        if name == MODEL:
            if model is not None:
                raise NotAForm("It holds the field `model` more than once.")
            if text is None or _is_encoded(part) or body[part.start - 4 : part.start] != b"\r\n\r\n":
                raise NotAForm("The field `model` must be a short text.")
            model = part.start, part.end
        if text is not None:
            fields[name] = _field(name, text)
    return Form(content_type, body, delimiter, fields, model)


def _check_delimiters(delimiter: bytes, body: bytes, expected: int) -> None:
    """Some readers take a single CR or LF for the end of a line: they must find no other parts than we do."""
    found = body.count(b"\n" + delimiter) + body.startswith(delimiter)
    if found != expected or b"\r" + delimiter in body:
        raise NotAForm("A part of it holds its own boundary.")


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type) if content_type.isascii() else (b"", {})
    boundary = options.get(b"boundary", b"")
    told_twice = len(_NAMED_BOUNDARY.findall(content_type)) > 1
    if kind != b"multipart/form-data" or told_twice or not _BOUNDARY.fullmatch(boundary):
        raise NotAForm("Its content type must be multipart/form-data with a boundary of 1 to 70 characters.")
    return boundary


def _parts(boundary: bytes, body: bytes) -> list[_Part]:
    """Every part of the body, in order."""
    parts: list[_Part] = []
    name = b""
    ended = False

    def begin() -> None:
        if len(parts) == MAX_PARTS:
            raise NotAForm(f"It has more than {MAX_PARTS} parts.")
        parts.append(_Part({}))

    def header_field(data: bytes, start: int, end: int) -> None:
        nonlocal name
        name = data[start:end]

    def header_value(data: bytes, start: int, end: int) -> None:
        headers, key = parts[-1].headers, name.decode("latin-1").lower()
        if key in headers:
            raise NotAForm(f"A part of it has two headers `{key}`.")
        headers[key] = data[start:end].decode("utf-8", "replace")
        parts[-1].start = parts[-1].end = end + 4  # behind the blank line, when this is the last header

    def content(data: bytes, start: int, end: int) -> None:
        parts[-1].start, parts[-1].end = start, end

    def finish() -> None:
        nonlocal ended
        ended = True

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": header_field,
            "on_header_value": header_value,
            "on_part_data": content,
            "on_end": finish,
        },
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    parser.logger = _silent
    try:
        parser.write(body)  # all at once: the positions that it tells are positions in `body`
    except FormParserError as error:
        raise NotAForm(f"It is malformed: {error}.") from None
    if not ended:
        raise NotAForm("It ends before its last boundary.")
    return parts


def _name_of(part: _Part) -> tuple[str, bool]:
    """(the field's name, whether it is a file). Raises NotAForm."""
    disposition = _DISPOSITION.fullmatch(part.headers.get("content-disposition", ""))
    if disposition is None:
        raise NotAForm("A part of it has no `Content-Disposition: form-data` that can be read.")
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(disposition["rest"]):
        key = match[1].lower()
        if key in found or key == "name*":
            raise NotAForm("A part of it gives its name or its file's name in two ways.")
        found[key] = match[2] if match[2] is not None else match[3]
    name = found.get("name", "")
    if not name or "\\" in name:
        raise NotAForm("A part of it has no name, or one with a backslash.")
    return name, "filename" in found or "filename*" in found


def _is_encoded(part: _Part) -> bool:
    return part.headers.get("content-transfer-encoding", "binary").strip().lower() not in _PLAIN_ENCODINGS


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _field(name: str, text: str) -> msgspec.Raw:
    truth = TRUTHS.get(text.strip().lower()) if name == "stream" else None
    return truth if truth is not None else raw.raw_of(text)
