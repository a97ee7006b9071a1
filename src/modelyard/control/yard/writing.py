"""A document as YAML: one way to write each value, so that the same state is the same text, byte for byte.

Block style, text that anybody may read left as it is, and several lines as several lines. What a plain word would not
mean in YAML stands in double quotes, as in JSON.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.core.errors import Kind, Problem

# Where editors look for the schema: beside the file.
SCHEMA_LINE = "# yaml-language-server: $schema=yard.schema.json\n"

_PLAIN = re.compile(r"[^\W\d_](?:[\w./@+()-]|[ :](?=[\w./@+()-]))*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# Fit for JSON and not for YAML, or not to be seen by anybody.
_UNSEEN = re.compile("[\x7f-\xa0\xad\u2028\u2029\ufeff\ufffe\uffff]")
_LONGEST_KEY = 500


def written(document: Mapping[str, Any]) -> str:
    """The document as YAML. It holds mappings, lists, text, numbers, true, false and null."""
    lines: list[str] = []
    for name, value in document.items():
        lines += _entry(name, value, "")
    return SCHEMA_LINE + "".join(f"{line}\n" for line in lines)


def _entry(name: str, value: Any, indent: str) -> Iterator[str]:
    """The lines of one entry of a mapping."""
    key = _quoted_or_plain(name)
    if len(key) > _LONGEST_KEY:
        yield f"{indent}? {key}"
        key = ""
    yield from _behind(f"{indent}{key}:", value, indent)


def _behind(head: str, value: Any, indent: str) -> Iterator[str]:
    """The lines of a value that stands behind `head` (a key with its colon)."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        yield head
        for name, item in value.items():
            yield from _entry(name, item, deeper)
    elif isinstance(value, list) and value:
        yield head
        for item in value:
            yield from _item(item, deeper)
    else:
        first, *rest = _scalar(value, deeper)
        yield f"{head} {first}"
        yield from rest


def _item(value: Any, indent: str) -> Iterator[str]:
    """The lines of one item of a list: the first line of what it holds stands behind the dash."""
    deeper = indent + "  "
    if isinstance(value, (dict, list)) and value:
        inner = (
            (line for name, item in value.items() for line in _entry(name, item, deeper))
            if isinstance(value, dict)
            else (line for item in value for line in _item(item, deeper))
        )
        for number, line in enumerate(inner):
            yield line if number else f"{indent}- {line[len(deeper) :]}"
        return
    first, *rest = _scalar(value, deeper)
    yield f"{indent}- {first}"
    yield from rest


def _scalar(value: Any, indent: str) -> list[str]:
    if isinstance(value, str):
        return _text(value, indent)
    if value is None or isinstance(value, bool):
        return [json.dumps(value)]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, float):
        return [_number(value)]
    if isinstance(value, dict):
        return ["{}"]
    if isinstance(value, list):
        return ["[]"]
    raise Problem(Kind.INTERNAL, f"A value of the type {type(value).__name__} cannot be written.")


def _number(value: float) -> str:
    """YAML 1.1 takes a number with an exponent for text unless it has a point."""
    text = json.dumps(value)
    return text if "." in text else text.replace("e", ".0e")


def _text(value: str, indent: str) -> list[str]:
    if "\n" not in value or not _fits_a_block(value):
        return [_quoted_or_plain(value)]
    body = value.rstrip("\n")
    ending = len(value) - len(body)
    lines = [f"{indent}{line}" if line else "" for line in body.split("\n")]
    return [("|-", "|", "|+")[min(ending, 2)], *lines, *[""] * (ending - 1)]


def _fits_a_block(value: str) -> bool:
    if value[0] in " \t\n":
        return False
    return all(line.replace("\t", "").isprintable() and line == line.rstrip() for line in value.split("\n"))


def _quoted_or_plain(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS and value.isprintable():
        return value
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
