"""Batches into the ledger: one statement for a batch, a call id that is there already is passed over."""

from collections.abc import Sequence

from sqlalchemy import text

from modelyard.canonical.record import CallRecord
from modelyard.core import raw
from modelyard.db.engine import Database
from modelyard.db.schema import ledger

_COLUMNS = [column.name for column in ledger.columns]

# `executemany` starves beside a busy event loop (it takes the interpreter's lock for every row); one statement over a
# JSON array does not. The column names are ours, the values travel as one bound parameter.
_FROM_SQLITE = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(_COLUMNS)))
_FROM_POSTGRES = ", ".join(f"(value->>{index})::{column.type.compile()}" for index, column in enumerate(ledger.columns))
_INSERT = f"INSERT INTO ledger ({', '.join(_COLUMNS)}) SELECT "
_SQLITE = text(f"{_INSERT}{_FROM_SQLITE} FROM json_each(:batch) WHERE true ON CONFLICT (id) DO NOTHING")
_POSTGRES = text(
    f"{_INSERT}{_FROM_POSTGRES} FROM json_array_elements(CAST(:batch AS json)) ON CONFLICT (id) DO NOTHING"
)


async def insert(database: Database, records: Sequence[CallRecord]) -> None:
    """Add these calls, each once."""
    rows = [[getattr(record, name) for name in _COLUMNS] for record in records]
    statement = _SQLITE if database.is_sqlite else _POSTGRES
    async with database.write() as connection:
        await connection.execute(statement, {"batch": raw.encode(rows).decode()})
