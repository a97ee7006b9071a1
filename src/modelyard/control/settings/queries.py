"""Stored settings."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.settings.table import INITIAL
from modelyard.db.schema import stored_settings


async def stored(connection: AsyncConnection) -> dict[str, Any]:
    """Name to value of those that were changed. What a newer version has stored is left out."""
    found = await connection.execute(select(stored_settings.c.name, stored_settings.c.value))
    return {name: value for name, value in found if name in INITIAL}
