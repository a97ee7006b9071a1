"""Reads the tables of a `webui.db`: read-only, bounded, without a trace beside the file."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelyard.control.importers.reading import json_or_none
from modelyard.core.errors import Kind, Problem

SQLITE = b"SQLite format 3\0"

# table -> (the most rows that are read, the columns of interest; those that a release does not have are left out)
TABLES: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "model": (
        50_000,
        ("id", "user_id", "base_model_id", "name", "params", "meta", "access_control", "is_active"),
    ),
    "modelfile": (
        50_000,
        ("tag_name", "user_id", "modelfile", "title", "desc", "content", "imageUrl", "suggestionPrompts", "categories",
         "user"),
    ),
    "user": (200_000, ("id", "email", "name", "role")),
    "group": (
        20_000,
        ("id", "name", "description", "data", "meta", "permissions", "parent_group_id", "user_ids"),
    ),
    "group_member": (2_000_000, ("group_id", "user_id")),
    "access_grant": (
        2_000_000,
        ("resource_type", "resource_id", "principal_type", "principal_id", "permission"),
    ),
    "config": (10_000, ("id", "data", "key", "value")),
}  # fmt: skip
# The columns that hold JSON as text.
JSON_COLUMNS = frozenset(
    {
        "params", "meta", "access_control", "modelfile", "data", "permissions", "user_ids", "suggestionPrompts",
        "categories", "value",
    }
)  # fmt: skip
# Counted, so that it can be told what stays behind.
COUNTED = (
    "auth", "api_key", "chat", "channel", "document", "feedback", "file", "folder", "function", "knowledge", "memory",
    "note", "prompt", "skill", "tag", "tool",
)  # fmt: skip

MAX_CELL = 32 * 1024 * 1024
MAX_COUNTED = 1_000_000


@dataclass(slots=True)
class Found:
    """What the database holds. JSON columns are decoded; NULL and JSON null are None."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    columns: dict[str, frozenset[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    grants: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def has(self, table: str) -> bool:
        return table in self.columns

    def has_column(self, table: str, column: str) -> bool:
        return column in self.columns.get(table, ())

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.tables.get(table, [])


def read_database(path: Path) -> Found:
    """The tables of interest. Raises Problem for a file that is broken, foreign or in use."""
    for ending in ("-wal", "-journal"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise Problem(
                Kind.CONFLICT,
                f"{path.name} is in use, or was not closed: {beside.name} holds what is not in it yet. Stop Open WebUI, "
                "or make a copy with `sqlite3 webui.db '.backup copy.db'`, and import that.",
            )
    # Immutable: SQLite takes no lock and makes no file beside this one.
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
            connection.text_factory = _text
            connection.row_factory = sqlite3.Row
            found = _read(connection)
    except sqlite3.Error as error:
        raise Problem(
            Kind.MALFORMED, f"{path.name} cannot be read as a database ({error}). Is the copy whole?"
        ) from None
    if not found.has("user") or not (found.has("model") or found.has("modelfile")):
        raise Problem(Kind.MALFORMED, f"{path.name} is no database of Open WebUI: it has no users, or no models.")
    return found


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _read(connection: sqlite3.Connection) -> Found:
    found = Found()
    for table in _tables(connection):
        if table in TABLES:
            found.columns[table] = frozenset(_columns(connection, table))
            found.tables[table] = _rows(connection, table, found.columns[table])
        elif table in COUNTED:
            inner = f"SELECT 1 FROM {_quoted(table)} LIMIT {MAX_COUNTED}"  # noqa: S608 - a name from COUNTED
            found.counts[table] = connection.execute(f"SELECT count(*) FROM ({inner})").fetchone()[0]  # noqa: S608 - as above
    for grant in found.rows("access_grant"):
        if grant.get("resource_type") == "model":
            found.grants.setdefault(str(grant.get("resource_id")), []).append(grant)
    return found


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The names of real tables: a view could compute anything."""
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row["name"] for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]


def _rows(connection: sqlite3.Connection, table: str, there: frozenset[str]) -> list[dict[str, Any]]:
    most, wanted = TABLES[table]
    columns = [column for column in wanted if column in there]
    if not columns:
        return []
    listed = ", ".join(_quoted(column) for column in columns)
    order = next((_quoted(column) for column in ("id", "tag_name", "key") if column in columns), "rowid")
    query = f"SELECT {listed} FROM {_quoted(table)} ORDER BY {order} LIMIT {most + 1}"  # noqa: S608 - names from TABLES
    rows = [{column: _value(column, row[column]) for column in columns} for row in connection.execute(query)]
    if len(rows) > most:
        raise Problem(Kind.TOO_LARGE, f"The table {table} has more than {most} rows.")
    return rows


def _value(column: str, value: Any) -> Any:
    if column in JSON_COLUMNS and value is not None:
        return json_or_none(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _quoted(name: str) -> str:
    return f'"{name}"'
