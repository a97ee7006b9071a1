"""Ollama's lists of models, written: /api/tags, /api/ps, /api/show, /api/version (api.md).

A row's `about` is what the backend's own list said of the model; it is empty for a model of another kind of backend,
and then its place is taken by what is true of any model: a digest made of its name, no size, no details.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from modelyard.core import raw
from modelyard.dialects.ollama.words import moment

COMPLETION = "completion"

_WORDS = ("parent_model", "format", "family", "parameter_size", "quantization_level")
_COUNTS = ("context_length", "embedding_length")
_DIGEST_LENGTH = 64
_MOST = 2**62


class Row(NamedTuple):
    """One model of the catalogue. `created` is in Unix seconds."""

    id: str
    name: str
    created: int
    about: Mapping[str, Any]


def write_tags(rows: Iterable[Row]) -> bytes:
    """The answer of GET /api/tags: the models that there are."""
    return raw.encode({"models": [_listed(row) for row in rows]})


def write_ps(rows: Iterable[Row]) -> bytes:
    """The answer of GET /api/ps: the models that are loaded. `about` is the backend's row of the same list."""
    return raw.encode({"models": [_loaded(row) for row in rows]})


def write_show(row: Row, capabilities: Sequence[str] = ()) -> bytes:
    """The answer of POST /api/show, with nothing in it that only those who may write the model may see.

    Without `capabilities` the backend's own are told, or that it completes text.
    """
    details = _details(row.about)
    architecture = details["family"] or "unknown"
    info: dict[str, Any] = {"general.architecture": architecture, "general.basename": row.name}
    info.update({f"{architecture}.{name}": details[name] for name in _COUNTS if name in details})
    return raw.encode(
        {
            "modelfile": f"# Modelfile of {row.id!a}\nFROM {row.id!a}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": details,
            "model_info": info,
            "capabilities": list(capabilities) or _capabilities(row.about) or [COMPLETION],
            "modified_at": _moment(row, "modified_at"),
        }
    )


def write_version(version: str) -> bytes:
    """The answer of GET /api/version."""
    return raw.encode({"version": version})


def _listed(row: Row) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "name": row.id,
        "model": row.id,
        "modified_at": _moment(row, "modified_at"),
        "size": _count(row.about.get("size")),
        "digest": _digest(row),
        "details": _details(row.about),
    }
    capabilities = _capabilities(row.about)
    if capabilities:
        listed["capabilities"] = capabilities
    return listed


def _loaded(row: Row) -> dict[str, Any]:
    return {
        "name": row.id,
        "model": row.id,
        "size": _count(row.about.get("size")),
        "digest": _digest(row),
        "details": _details(row.about),
        "expires_at": _moment(row, "expires_at"),
        "size_vram": _count(row.about.get("size_vram")),
        "context_length": _count(row.about.get("context_length")),
    }


def _details(about: Mapping[str, Any]) -> dict[str, Any]:
    told = about.get("details")
    told = told if isinstance(told, Mapping) else {}
    details: dict[str, Any] = {name: _word(told.get(name)) for name in _WORDS}
    families = told.get("families")
    details["families"] = [name for name in families if isinstance(name, str)] if isinstance(families, list) else []
    details.update({name: _count(told[name]) for name in _COUNTS if _count(told.get(name))})
    return details


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0


def _digest(row: Row) -> str:
    told = row.about.get("digest")
    if isinstance(told, str) and len(told) == _DIGEST_LENGTH:
        return told
    return hashlib.sha256(row.id.encode("utf-8", "replace")).hexdigest()


def _capabilities(about: Mapping[str, Any]) -> list[str]:
    told = about.get("capabilities")
    return [name for name in told if isinstance(name, str)] if isinstance(told, list) else []


def _moment(row: Row, name: str) -> str:
    """A time that the backend told, as it told it, if it is one; else when the model was made."""
    told = row.about.get(name)
    if isinstance(told, str):
        try:
            datetime.fromisoformat(told)
            return told
        except ValueError:
            pass
    return moment(row.created)
