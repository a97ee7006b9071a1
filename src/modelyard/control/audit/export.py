"""The audit log as a file: JSON lines or CSV, written while it is read."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

JSONL = "jsonl"
CSV = "csv"
MEDIA_TYPES = {JSONL: "application/jsonl", CSV: "text/csv; charset=utf-8"}

COLUMNS = (
    "position", "id", "created_at", "user_id", "action", "entity_type", "entity_id", "description", "changes",
    "audit_metadata", "digest",
)  # fmt: skip

# A spreadsheet takes a cell that begins so for a formula, and a formula may call other programs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def lines(rows: AsyncIterator[Mapping[str, Any]], form: str) -> AsyncIterator[bytes]:
    """The file in pieces: one for each entry, and one for the head of a CSV."""
    if form == CSV:
        yield _csv_line([*COLUMNS, "time"])
    async for row in rows:
        yield _json_line(row) if form == JSONL else _csv_line(_cells(row))


def _json_line(row: Mapping[str, Any]) -> bytes:
    entry = {name: row[name] for name in COLUMNS}
    entry["digest"] = row["digest"].hex() if row["digest"] is not None else None
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _cells(row: Mapping[str, Any]) -> list[str | int]:
    cells: list[str | int] = []
    for name in COLUMNS:
        value = row[name]
        if value is None:
            cells.append("")
        elif isinstance(value, bytes):
            cells.append(value.hex())
        elif isinstance(value, int):
            cells.append(value)
        else:
            cells.append(harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return [*cells, datetime.fromtimestamp(row["created_at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")]


def harmless(cell: str) -> str:
    """A cell that no spreadsheet calculates: an apostrophe is put before what looks like a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _csv_line(cells: list[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "backslashreplace")
