"""Batches into the ledger: one statement for a batch, a call id that is there already is passed over."""

from collections.abc import Sequence

from sqlalchemy import text

from modelyard.canonical.record import CallRecord
from modelyard.db.engine import Database
from modelyard.db.schema import ledger

# A record is an array in the order of its fields; the ledger's columns have the same names.
_FIELDS = CallRecord.__struct_fields__

# The journal's lines go in as they are, as one JSON array: `executemany` starves beside a busy event loop (it takes the
# interpreter's lock for every row), and reading the lines in Python costs more than all of SQLite's work on them.
_INSERT = f"INSERT INTO ledger ({', '.join(_FIELDS)}) SELECT "
# Fields that a journal of an earlier version does not have yet.
_LATER = {"cache_write_1h": "0", "audio_input": "0", "audio_output": "0", "loss": "''"}


def _known(field: str, value: str) -> str:
    return f"coalesce({value}, {_LATER[field]})" if field in _LATER else value


_FROM_SQLITE = ", ".join(_known(field, f"json_extract(value, '$.s[{index}]')") for index, field in enumerate(_FIELDS))
_FROM_POSTGRES = ", ".join(
    _known(field, f"(value->'s'->>{index})::{ledger.c[field].type.compile()}") for index, field in enumerate(_FIELDS)
)
_SQLITE = text(f"{_INSERT}{_FROM_SQLITE} FROM json_each(:batch) WHERE true ON CONFLICT (id) DO NOTHING")
_POSTGRES = text(
    f"{_INSERT}{_FROM_POSTGRES} FROM json_array_elements(CAST(:batch AS json)) ON CONFLICT (id) DO NOTHING"
)


async def insert(database: Database, lines: Sequence[bytes]) -> None:
    """Add the calls of these settlement lines (`gateway.journal`), each once."""
    statement = _SQLITE if database.is_sqlite else _POSTGRES
    batch = (b"[" + b",".join(lines) + b"]").decode()
    async with database.write() as connection:
        await connection.execute(statement, {"batch": batch})
