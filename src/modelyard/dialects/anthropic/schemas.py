"""JSON schemas as Anthropic takes them (guide "Structured outputs", "JSON Schema limitations")."""

from typing import Any

from modelyard.core import raw
from modelyard.core.raw import Raw

NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
_OBJECT = Raw(b'"object"')
_DEEPEST = 100


def of_arguments(schema: Raw | None) -> Raw:
    """The schema of a tool's arguments: it must say that they are an object."""
    if schema is None:
        return NO_ARGUMENTS
    try:
        fields = raw.split(bytes(schema))
    except raw.NotJson:
        return schema  # whoever gave it will be told by the backend
    return schema if "type" in fields else Raw(raw.join({"type": _OBJECT, **fields}))


def closed(schema: Raw) -> Any:
    """A schema for output: each of its objects must refuse further properties in so many words.

    What says nothing of them is closed; a schema that opens them stays, for the backend to refuse.
    """
    try:
        value = raw.value_of(schema)
    except raw.NotJson:
        return schema
    return value if _close(value, 0) else schema


def _close(value: Any, depth: int) -> bool:
    """Close the objects in a decoded schema; True when there were any to close."""
    if depth > _DEEPEST:
        return False
    changed = False
    if isinstance(value, dict):
        if value.get("type") == "object" and "additionalProperties" not in value:
            value["additionalProperties"] = False
            changed = True
        for name, inner in value.items():
            # Examples and constants are no schemas.
            if name not in ("enum", "const", "default", "examples"):
                changed |= _close(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            changed |= _close(inner, depth + 1)
    return changed
