"""Connections. Keys and headers are sealed on their way in and opened on their way out, nowhere else."""

from typing import Any

import msgspec
from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.endpoint import Timeouts, Tls
from modelyard.canonical.records import ConnectionRow
from modelyard.canonical.snapshot import Limits
from modelyard.core import log, raw
from modelyard.core.seal import CannotOpen, Seal
from modelyard.db.schema import connections

_log = log.get(__name__)


def row_of(found: RowMapping, seal: Seal) -> ConnectionRow:
    """A stored row as a record. One whose secrets cannot be opened is switched off rather than used without them."""
    enable = found["enable"]
    try:
        keys = msgspec.json.decode(seal.open(found["sealed_keys"]), type=list[str])
        headers = msgspec.json.decode(seal.open(found["sealed_headers"]), type=dict[str, str])
    except CannotOpen as error:
        _log.error("connection switched off", connection=found["name"], reason=str(error))
        keys, headers, enable = [], {}, False
    return ConnectionRow(
        id=found["id"],
        name=found["name"],
        kind=found["kind"],
        base_url=found["base_url"],
        flavour=found["flavour"],
        api_keys=tuple(keys),
        enable=enable,
        prefix_id=found["prefix_id"],
        model_ids=tuple(found["model_ids"]),
        tags=tuple(found["tags"]),
        connection_type=found["connection_type"],
        priority=found["priority"],
        weight=found["weight"],
        timeouts=Timeouts(**found["timeouts"]),
        limits=Limits(**found["limits"]),
        headers=headers,
        tls=Tls(**found["tls"]),
        loads=found["loads"],
        created_at=found["created_at"],
        updated_at=found["updated_at"],
    )


def _values(row: ConnectionRow, seal: Seal) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "flavour": row.flavour,
        "base_url": row.base_url,
        "sealed_keys": seal.close(raw.encode(row.api_keys).decode()),
        "sealed_headers": seal.close(raw.encode(dict(row.headers)).decode()),
        "enable": row.enable,
        "prefix_id": row.prefix_id,
        "model_ids": list(row.model_ids),
        "tags": list(row.tags),
        "connection_type": row.connection_type,
        "priority": row.priority,
        "weight": row.weight,
        "timeouts": msgspec.to_builtins(row.timeouts),
        "limits": msgspec.to_builtins(row.limits),
        "tls": msgspec.to_builtins(row.tls),
        "loads": row.loads,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


async def every(connection: AsyncConnection, seal: Seal) -> list[ConnectionRow]:
    """All rows, oldest first."""
    found = await connection.execute(select(connections).order_by(connections.c.created_at, connections.c.id))
    return [row_of(row, seal) for row in found.mappings()]


async def one(connection: AsyncConnection, connection_id: str, seal: Seal) -> ConnectionRow | None:
    found = (await connection.execute(select(connections).where(connections.c.id == connection_id))).mappings().first()
    return None if found is None else row_of(found, seal)


async def id_of_name(connection: AsyncConnection, name: str) -> str | None:
    """The id of the connection with that name."""
    found = await connection.execute(select(connections.c.id).where(connections.c.name == name))
    return found.scalar()


async def add(connection: AsyncConnection, row: ConnectionRow, seal: Seal) -> None:
    await connection.execute(insert(connections).values(**_values(row, seal)))


async def replace(connection: AsyncConnection, row: ConnectionRow, seal: Seal) -> None:
    await connection.execute(update(connections).where(connections.c.id == row.id).values(**_values(row, seal)))


async def remove(connection: AsyncConnection, connection_id: str) -> None:
    await connection.execute(delete(connections).where(connections.c.id == connection_id))
