"""The audit log, read."""

from collections.abc import Mapping

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.db.schema import audit


async def page(
    connection: AsyncConnection, wanted: Mapping[str, str | None], *, limit: int, offset: int
) -> list[RowMapping]:
    """Entries that match every given column (`wanted` has column names of ours), newest first."""
    query = select(audit).order_by(audit.c.created_at.desc(), audit.c.id.desc()).limit(limit).offset(offset)
    for column, value in wanted.items():
        if value is not None:
            query = query.where(audit.c[column] == value)
    return list((await connection.execute(query)).mappings())
