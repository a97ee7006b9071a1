"""Model lists: what a server offers, read; and one row of our own `GET /v1/models`, written."""

from typing import Any

from modelyard.core import raw

MAX_NAME_LENGTH = 256


class NotAList(ValueError):
    """The answer is not a list of models."""


def read_models(body: bytes) -> list[dict[str, Any]]:
    """The rows of `GET /models`: objects with at least an `id`. Raises NotAList."""
    value = _value(body)
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise NotAList("the answer has no list of models in `data`")
    return [row for row in rows if isinstance(row, dict) and _is_name(row.get("id"))]


def read_tags(body: bytes) -> list[dict[str, Any]]:
    """The rows of Ollama's `GET /api/tags`, each with its name as `id`. Raises NotAList."""
    value = _value(body)
    rows = value.get("models") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise NotAList("the answer has no list of models in `models`")
    named = ((row, row.get("model") or row.get("name")) for row in rows if isinstance(row, dict))
    return [{**row, "id": name} for row, name in named if _is_name(name)]


def _is_name(value: Any) -> bool:
    """A name that a header, a terminal and every database can hold. Others are passed over."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_LENGTH and value.isprintable()


def _value(body: bytes) -> Any:
    try:
        return raw.value_of(raw.Raw(body))
    except raw.NotJson as error:
        raise NotAList(f"the answer is not JSON ({error})") from None


def write_model(model_id: str, name: str, owned_by: str, created: int) -> bytes:
    """One row of our `GET /v1/models`."""
    return raw.encode({"id": model_id, "object": "model", "created": created, "owned_by": owned_by, "name": name})
