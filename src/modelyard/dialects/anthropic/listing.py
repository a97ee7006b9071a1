"""Our list of models in Anthropic's form (API reference, "List Models", "Get a Model")."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from modelyard.core.errors import Kind, Problem
from modelyard.dialects.writing import encoded

USUAL_LIMIT, MOST = 20, 1000
_END_OF_TIME = 253_402_300_799  # 9999-12-31, the last day that RFC 3339 can tell

Row = tuple[str, str, int]
"""A model's id, its name for people, and when it was made in Unix seconds."""


def write_model(model_id: str, name: str, created: int) -> bytes:
    """One model."""
    return encoded(_entry((model_id, name, created)))


def write_models(rows: Sequence[Row], query: bytes) -> bytes:
    """A page of the list: `limit` rows after `after_id`, or right before `before_id`, or from the start.

    Raises Problem INVALID_REQUEST for a limit out of range, a model that is not in the list, or both ids at once.
    """
    asked = dict(parse_qsl(query.decode("latin-1"), encoding="utf-8", errors="replace"))
    limit = _limit(asked.get("limit"))
    after, before = asked.get("after_id"), asked.get("before_id")
    if after and before:
        raise Problem(Kind.INVALID_REQUEST, "Name `after_id` or `before_id`, not both.", param="before_id")
    if before:
        end = _place(rows, before, "before_id")
        start = max(end - limit, 0)
        more = start > 0
    else:
        start = _place(rows, after, "after_id") + 1 if after else 0
        end = start + limit
        more = end < len(rows)
    page = rows[start:end]
    return encoded(
        {
            "data": [_entry(row) for row in page],
            "has_more": more,
            "first_id": page[0][0] if page else None,
            "last_id": page[-1][0] if page else None,
        }
    )


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL_LIMIT
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    if not 1 <= limit <= MOST:
        raise Problem(Kind.INVALID_REQUEST, f"`limit` must be a number from 1 to {MOST}.", param="limit")
    return limit


def _place(rows: Sequence[Row], model_id: str, param: str) -> int:
    for place, row in enumerate(rows):
        if row[0] == model_id:
            return place
    raise Problem(Kind.INVALID_REQUEST, f"`{param}` must be the id of a model in the list.", param=param)


def _entry(row: Row) -> dict[str, Any]:
    model_id, name, created = row
    moment = datetime.fromtimestamp(min(max(created, 0), _END_OF_TIME), UTC)
    return {
        "type": "model",
        "id": model_id,
        "display_name": name,
        "created_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "lifecycle": "active",
    }
