"""Reads a Modelfile: every instruction with its value, as Ollama's own parser would, and a little more forgiving.

A value runs to the end of its line, or from `"` or three of them to the first line that ends in the same; what stands
between is kept as it is. Where Ollama would refuse the file or swallow what follows because a comment stands behind a
value, the comment is taken for one. In the unquoted text of a prompt a `#` is part of the text, as it is for Ollama.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from modelyard.core.errors import Kind, Problem

MAX_BYTES = 4 * 1024 * 1024
MAX_INSTRUCTIONS = 10_000

ROLES = ("system", "user", "assistant")
TEXTS = frozenset({"template", "system", "license", "message"})
PATHS = frozenset({"adapter", "draft"})
WORDS = frozenset({"renderer", "parser", "requires"})
NAMES = TEXTS | PATHS | WORDS | {"from", "parameter"}

TRIPLE, SINGLE = '"""', '"'

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_INSTRUCTION = re.compile(r"[ \t]*([A-Za-z]+)(?:[ \t]+(.*))?")
_WITH_KEY = re.compile(r"([A-Za-z0-9_]+)(?:[ \t]+(.*))?")
_BEGINS_INSTRUCTION = re.compile(rf"[ \t]*(?:#|(?:{'|'.join(sorted(NAMES))})(?:[ \t]|$))", re.IGNORECASE)
_COMMENT = re.compile(r"[ \t]+#.*")
_NUMBER_OR_TRUTH = re.compile(r"(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|true|false|t|f)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `name` is in lower case; `key` is a parameter's name or the role of a message."""

    name: str
    value: str
    key: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Modelfile:
    """A Modelfile's instructions in their order. `notes` are sentences on what Ollama would read otherwise."""

    instructions: tuple[Instruction, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    def last(self, name: str) -> str | None:
        """The value of the last such instruction: that one counts."""
        return next((one.value for one in reversed(self.instructions) if one.name == name), None)

    def every(self, name: str) -> list[Instruction]:
        return [one for one in self.instructions if one.name == name]


class _Value(NamedTuple):
    text: str
    following: int  # the index of the line after the value
    comment: bool  # a comment stood behind it where Ollama knows none


def parse(content: bytes | str) -> Modelfile:
    """The instructions of a Modelfile. Raises Problem MALFORMED (or TOO_LARGE) with the line and the fault."""
    text = _text(content)
    lines = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    found: list[Instruction] = []
    notes: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.strip() or line.lstrip(" \t").startswith("#"):
            index += 1
            continue
        if len(found) >= MAX_INSTRUCTIONS:
            raise _fault(index, f"there are more than {MAX_INSTRUCTIONS} instructions")
        name, key, rest = _head(line, index)
        value = _value(lines, index, rest, name)
        if value.comment:
            notes.append(
                f"Line {index + 1}: the comment behind the value was left out; Ollama itself knows none there."
            )
        elif " #" in value.text and name in TEXTS | {"parameter"} and not rest.startswith(SINGLE):
            notes.append(f"Line {index + 1}: the # is part of the value, as for Ollama. Put quotes around the value.")
        if not value.text and name in ("from", "parameter"):
            raise _fault(index, f"{name.upper()} has no value")
        found.append(Instruction(name, value.text, key, index + 1))
        index = value.following
    if not any(one.name == "from" for one in found):
        raise Problem(Kind.MALFORMED, "The Modelfile has no FROM line: it must name the model that it stands on.")
    return Modelfile(tuple(found), tuple(notes))


def _text(content: bytes | str) -> str:
    if len(content) > MAX_BYTES:
        raise Problem(Kind.TOO_LARGE, f"The Modelfile is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    if isinstance(content, str):
        return content
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise Problem(Kind.MALFORMED, "The Modelfile is not UTF-8 text.") from None


def _head(line: str, index: int) -> tuple[str, str, str]:
    """(instruction, parameter or role, what follows)"""
    match = _INSTRUCTION.fullmatch(line)
    name = match[1].lower() if match else ""
    if match is None or name not in NAMES:
        raise _fault(index, f"an instruction must be one of {', '.join(sorted(one.upper() for one in NAMES))}")
    rest = match[2] or ""
    if name not in ("parameter", "message"):
        return name, "", rest
    keyed = _WITH_KEY.fullmatch(rest)
    what = "name of a parameter" if name == "parameter" else "role"
    if keyed is None or not (keyed[2] or "").strip():
        raise _fault(index, f"{name.upper()} must be followed by the {what} and a value")
    if name == "message" and keyed[1] not in ROLES:
        raise _fault(index, f"the role of a message must be one of {', '.join(ROLES)}")
    return name, keyed[1], keyed[2]


def _value(lines: list[str], index: int, first: str, name: str) -> _Value:
    text = first.strip()
    quote = TRIPLE if text.startswith(TRIPLE) else SINGLE if text.startswith(SINGLE) else ""
    if not quote:
        bare = _without_comment(text, name)
        return _Value(bare, index + 1, bare != text)
    held = [text]
    at = index
    while True:
        last = held[-1].rstrip()
        opened = len(quote) if len(held) == 1 else 0
        if last.endswith(quote) and len(last) >= opened + len(quote):
            return _Value(_inner([*held[:-1], last], quote), at + 1, comment=False)
        ends = _end_before_comment(last, quote, opened)
        if ends and _begins_anew(lines, at + 1):
            return _Value(_inner([*held[:-1], last[:ends]], quote), at + 1, comment=True)
        at += 1
        if at == len(lines):
            raise _fault(index, f"the quote {quote} is never closed: no line after it ends in {quote}")
        held.append(lines[at])


def _inner(held: list[str], quote: str) -> str:
    return "\n".join(held)[len(quote) : -len(quote)]


def _end_before_comment(line: str, quote: str, opened: int) -> int:
    """Where the value ends when a closing quote and a comment end this line; 0 when they do not."""
    at = line.rfind(quote, opened)
    return at + len(quote) if at >= 0 and _COMMENT.fullmatch(line[at + len(quote) :]) else 0


def _begins_anew(lines: list[str], index: int) -> bool:
    """True when the next line that is not empty is an instruction or a comment, or there is none."""
    while index < len(lines) and not lines[index].strip():
        index += 1
    return index == len(lines) or _BEGINS_INSTRUCTION.match(lines[index]) is not None


def _without_comment(text: str, name: str) -> str:
    """An unquoted value without the comment behind it, where the value itself can hold no `#`."""
    if name in PATHS or (name == "from" and is_path(text)):
        return _before_comment(text, path=True)
    if name == "from" or name in WORDS:
        return _before_comment(text)
    bare = _before_comment(text)
    return bare if name == "parameter" and _NUMBER_OR_TRUTH.fullmatch(bare) else text


def _before_comment(text: str, *, path: bool = False) -> str:
    """What stands before white space and `#`. A path may hold a `#`: there white space must follow it too."""
    at = text.find("#", 1)
    while at > 0:
        if text[at - 1] in " \t" and (not path or text[at + 1 : at + 2] in ("", " ", "\t")):
            return text[:at].rstrip()
        at = text.find("#", at + 1)
    return text


def is_path(value: str) -> bool:
    """True when a FROM names files of the machine that it was written on, not a model by its name."""
    if value.startswith(("/", "\\", "~", "./", "../", ".\\", "..\\")) or value in (".", ".."):
        return True
    return re.match(r"[A-Za-z]:[\\/]", value) is not None or value.lower().endswith(
        (".gguf", ".safetensors", ".bin", ".pth")
    )


def _fault(index: int, what: str) -> Problem:
    return Problem(Kind.MALFORMED, f"The Modelfile cannot be read. Line {index + 1}: {what}.")
