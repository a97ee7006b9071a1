"""Stored settings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.settings.table import INITIAL
from modelyard.core.clock import now
from modelyard.db.schema import stored_settings


async def stored(connection: AsyncConnection) -> dict[str, Any]:
    """Name to value of those that were changed. What a newer version has stored is left out."""
    found = await connection.execute(select(stored_settings.c.name, stored_settings.c.value))
    return {name: value for name, value in found if name in INITIAL}


async def put(connection: AsyncConnection, name: str, value: Any) -> None:
    """Store one, whether it was stored before or not."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    changed = {"value": value, "updated_at": now()}
    statement = insert(stored_settings).values(name=name, **changed)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
