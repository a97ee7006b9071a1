"""Catalogue rows and grants."""

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.db.schema import grants, models


def row_of(found: RowMapping) -> ModelRow:
    """A stored row as a record."""
    return ModelRow(
        id=found["id"],
        user_id=found["user_id"],
        name=found["name"],
        base_model_id=found["base_model_id"],
        params=found["params"],
        meta=found["meta"],
        is_active=found["is_active"],
        created_at=found["created_at"],
        updated_at=found["updated_at"],
    )


async def every(connection: AsyncConnection) -> list[ModelRow]:
    """All rows, oldest first."""
    found = await connection.execute(select(models).order_by(models.c.created_at, models.c.id))
    return [row_of(row) for row in found.mappings()]


async def grants_of_models(connection: AsyncConnection) -> list[GrantRow]:
    """All grants on models."""
    columns = (
        grants.c.resource_type,
        grants.c.resource_id,
        grants.c.principal_type,
        grants.c.principal_id,
        grants.c.permission,
    )
    found = await connection.execute(select(*columns).where(grants.c.resource_type == "model"))
    return [GrantRow(**row) for row in found.mappings()]


async def one(connection: AsyncConnection, model_id: str) -> ModelRow | None:
    found = (await connection.execute(select(models).where(models.c.id == model_id))).mappings().first()
    return None if found is None else row_of(found)
