"""Reading `yard.yaml`: YAML that was written by anybody, references to values that stand elsewhere, the schema.

Everything here is bounded by the length of the text: anchors that multiply, nesting without end and numbers of a million
digits are refused before anything is made of them.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import yaml
from pydantic import ValidationError

from modelyard.control.yard.document import REFERENCE, Yard

# Of a document that comes over HTTP, and of one that lies in a file. In bytes.
MAX_SENT = 2 * 1024 * 1024
MAX_FILE = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_DIGITS = 400
# Each value takes time and memory; documents of people have a dozen characters and more for each.
CHARACTERS_OF_A_NODE = 8
MAX_FAULTS = 20

# The one written in C reads ten times as fast; it knows the same language.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# One dollar: a reference. Two or more: text with one dollar less, so that any text can be written.
# A run is looked at from its beginning only, or a million dollars would take a million looks.
_DOLLARS = re.compile(r"(?<!\$)(\$+)" + REFERENCE.pattern.removeprefix(r"\$"))
_UNFIT = re.compile("[\0\ud800-\udfff]")

# Where a value stands: the keys and indexes that lead to it.
Path = tuple[str | int, ...]
# (name of the variable, where it stands, whether the reference is all that stands there) -> its value, None: unknown.
Lookup = Callable[[str, Path, bool], str | None]


class Unreadable(ValueError):
    """The document cannot be read. Its text has one sentence for each fault, a line each, without any value of it."""


def parsed(text: str, longest: int = MAX_FILE) -> Any:
    """What the YAML says, as plain values; None for an empty document. Raises Unreadable.

    `longest` bounds the text, and what its anchors make of it, in characters. A key that is given twice in one mapping is
    a fault.
    """
    if len(text) > longest:
        raise Unreadable(f"it is longer than {longest // 1024} KiB.")
    try:
        _check_events(text, longest // CHARACTERS_OF_A_NODE)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node, longest)
            value = loader.construct_document(node)
        finally:
            loader.dispose()
        _check_plain(value, ())
    except Unreadable:
        raise
    except yaml.MarkedYAMLError as error:  # told without the lines around the fault: they may hold a key
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise Unreadable(f"it is not YAML: {error.problem}{line}.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(f"it is not YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise _too_deep() from None
    return value


def _too_deep() -> Unreadable:
    return Unreadable("it is nested too deep; does an anchor hold itself?")


def _check_events(text: str, most: int) -> None:
    """Nesting and number, before anything that works by recursion (and in C) sees the text."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > most:
            raise Unreadable("it holds too many values.")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _check_size(root: yaml.Node, longest: int) -> None:
    """Twin keys, numbers that take ages, and how much there is when every alias stands for what it names."""
    sizes: dict[int, int] = {}
    entered: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in entered or depth > MAX_DEPTH:
            raise _too_deep()
        if isinstance(node, yaml.ScalarNode):
            if len(node.value) > MAX_DIGITS and not node.tag.endswith((":str", ":binary")):
                raise yaml.MarkedYAMLError(problem="a number is too long", problem_mark=node.start_mark)
            found = len(node.value) + 1
        else:
            entered.add(id(node))
            if isinstance(node, yaml.MappingNode):
                _no_twin_keys(node)
                parts = [part for pair in node.value for part in pair]
            else:
                parts = node.value
            found = 1 + sum(size(part, depth + 1) for part in parts)
            entered.discard(id(node))
        if found > longest:
            raise Unreadable("its anchors make too much of it.")
        sizes[id(node)] = found
        return found

    size(root, 0)


def _no_twin_keys(node: yaml.MappingNode) -> None:
    known = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a name is no text", problem_mark=key.start_mark)
        name = (key.tag, key.value)
        if name in known:
            problem = f"{key.value[:100]} is there more than once"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        known.add(name)


def _check_plain(value: Any, path: Path) -> None:
    """Only what JSON can hold as well, and only text that a database can keep."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Unreadable(f"{_place(path)}a name is no text; write it in quotes.")
            _check_plain(key, path)
            _check_plain(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, (*path, index))
    elif isinstance(value, str):
        if _UNFIT.search(value):
            raise Unreadable(f"{_place(path)}it holds a character that no text can hold.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Unreadable(f"{_place(path)}it is not a number that can be kept.")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise Unreadable(f"{_place(path)}YAML takes it for a {type(value).__name__}; write it in quotes.")


def resolved(value: Any, lookup: Lookup, path: Path = ()) -> Any:
    """The content with `${NAME}` replaced and `$${NAME}` made `${NAME}`. Raises Unreadable for an unknown name.

    It runs after YAML was read, so that a value can never become structure.
    """
    if isinstance(value, list):
        return [resolved(item, lookup, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: resolved(item, lookup, (*path, key)) for key, item in value.items()}
    if not isinstance(value, str) or "${" not in value:
        return value

    def found(match: re.Match[str]) -> str:
        if len(match[1]) > 1:
            return match[0][1:]
        known = lookup(match[2], path, match[0] == value)
        if known is None:
            raise Unreadable(f"{_place(path)}${{{match[2]}}} is not set.")
        return known

    return _DOLLARS.sub(found, value)


def escaped(value: Any) -> Any:
    """The content so that `resolved` yields it: what looks like a reference and is none gets a second dollar."""
    if isinstance(value, str):
        return _DOLLARS.sub(r"$\g<0>", value) if "${" in value else value
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return {key: escaped(item) for key, item in value.items()} if isinstance(value, dict) else value


def validated(content: Any) -> Yard:
    """The document. Raises Unreadable with the place and the reason of each fault, without the values."""
    try:
        return Yard.model_validate({} if content is None else content)
    except ValidationError as error:
        found = error.errors()
        faults = [
            f"{_place(fault['loc'])}{fault['msg'].removeprefix('Value error, ')}." for fault in found[:MAX_FAULTS]
        ]
        more = [f"And {len(found) - MAX_FAULTS} more."] if len(found) > MAX_FAULTS else []
        raise Unreadable("\n".join([*faults, *more])) from None


def _place(location: Path) -> str:
    return f"{'.'.join(str(part)[:100] for part in location)}: " if location else ""
