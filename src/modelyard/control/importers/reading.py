"""Reads files that others wrote: bounded in size, depth and what aliases expand to, with a sentence for every fault."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from modelyard.core.errors import Kind, Problem

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
# Of YAML: bytes, values as its aliases expand, and digits of a number.
MAX_YAML_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DIGITS = 400

# The one written in C reads ten times as fast; it knows the same language.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_size(size: int) -> None:
    """Raises Problem TOO_LARGE for more bytes than an importer reads."""
    if size > MAX_BYTES:
        raise Problem(Kind.TOO_LARGE, f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.")


def text_of(content: bytes) -> str:
    """UTF-8 text, with or without a byte order mark. Raises Problem."""
    check_size(len(content))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(Kind.MALFORMED, "The file is not UTF-8 text.") from None


def json_of(content: bytes) -> Any:
    """The value of a JSON file. Raises Problem."""
    text = text_of(content)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Problem(Kind.MALFORMED, f"The file is not JSON{place}. Is it whole?") from None
    _check_depth(value)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def json_or_none(text: Any) -> Any:
    """The value of a JSON text of a database; None for what is none."""
    if isinstance(text, dict | list):
        return text
    try:
        value = json.loads(text, parse_constant=_no_constant)
        _check_depth(value)
    except (TypeError, ValueError, RecursionError, Problem):
        return None
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> Problem:
    return Problem(Kind.MALFORMED, f"The file is nested deeper than {MAX_DEPTH} levels.")


def yaml_of(content: bytes) -> list[Any]:
    """The documents of a YAML file, empty ones left out. Raises Problem."""
    if len(content) > MAX_YAML_BYTES:
        raise Problem(Kind.TOO_LARGE, f"The file is larger than {MAX_YAML_BYTES // 1024 // 1024} MiB.")
    text = text_of(content)
    try:
        _check_nesting(text)
        return [value for value in _documents(text) if value is not None]
    except yaml.MarkedYAMLError as error:  # told without the lines around the fault: they may hold a key
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise Problem(Kind.MALFORMED, f"The file is not YAML: {error.problem}{line}.") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise Problem(Kind.MALFORMED, f"The file is not YAML: {' '.join(str(error).split())[:200]}.") from None
    except RecursionError:
        raise _too_deep() from None


def _check_nesting(text: str) -> None:
    """Before anything that works by recursion, in C too, sees the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1


def _documents(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                _size(node, {}, 0)
                yield loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many nodes this one expands to. An anchor that holds itself is found by its depth."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if id(node) in known:
        return known[id(node)]
    count = 1
    if (
        isinstance(node, yaml.ScalarNode)
        and len(node.value) > MAX_DIGITS
        and not node.tag.endswith((":str", ":binary"))
    ):
        raise Problem(Kind.MALFORMED, f"The file is not YAML: a number has more than {MAX_DIGITS} digits.")
    if isinstance(node, yaml.SequenceNode):
        count += sum(_size(item, known, depth + 1) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        count += sum(_size(part, known, depth + 1) for pair in node.value for part in pair)
    if count > MAX_NODES:
        raise Problem(Kind.TOO_LARGE, f"The file expands to more than {MAX_NODES} values.")
    known[id(node)] = count
    return count
