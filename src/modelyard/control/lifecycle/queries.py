"""Jobs as they are kept, and which base models are in use."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.core.clock import now
from modelyard.db.schema import jobs, models

LOADING = "loading"
LOADED = "loaded"
UNLOADING = "unloading"
UNLOADED = "unloaded"
FAILED = "failed"
NOT_SUPPORTED = "not_supported"
UNFINISHED = (LOADING, UNLOADING)

# Whoever works on a job says so this often; one of whom nothing was heard for longer than the second is gone.
HEARTBEAT_SECONDS = 15
STALE_SECONDS = 60
INTERRUPTED = "It was interrupted: the server that worked on it has ended."

KEPT = 1000
_AT_ONCE = 500  # values in one statement


async def add(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write new jobs, and forget the oldest of those that have ended."""
    await connection.execute(insert(jobs), [dict(row) for row in rows])
    ended = select(jobs.c.id).where(jobs.c.state.not_in(UNFINISHED)).order_by(jobs.c.id.desc())
    oldest = (await connection.execute(ended.offset(KEPT).limit(1))).scalar()
    if oldest is not None:
        await connection.execute(delete(jobs).where(jobs.c.id <= oldest, jobs.c.state.not_in(UNFINISHED)))


async def finish(connection: AsyncConnection, job_id: str, state: str, reason: str | None) -> None:
    """Write how a job ended."""
    await connection.execute(
        update(jobs).where(jobs.c.id == job_id).values(state=state, reason=reason, updated_at=now())
    )


async def keep_alive(connection: AsyncConnection, process: str, alive: Sequence[str]) -> None:
    """Say that this process still works on these jobs, and mark all others that nobody works on any more."""
    moment = now()
    for start in range(0, len(alive), _AT_ONCE):
        part = alive[start : start + _AT_ONCE]
        await connection.execute(
            update(jobs).where(jobs.c.id.in_(part), jobs.c.state.in_(UNFINISHED)).values(updated_at=moment)
        )
    await interrupt(connection, process, alive)
    await connection.execute(
        update(jobs)
        .where(jobs.c.state.in_(UNFINISHED), jobs.c.updated_at < moment - STALE_SECONDS)
        .values(state=FAILED, reason=INTERRUPTED, updated_at=moment)
    )


async def interrupt(connection: AsyncConnection, process: str, but: Collection[str] = ()) -> None:
    """Mark what this process left unfinished, but for the jobs that it still works on."""
    await connection.execute(
        update(jobs)
        .where(jobs.c.process == process, jobs.c.state.in_(UNFINISHED), jobs.c.id.not_in(but))
        .values(state=FAILED, reason=INTERRUPTED, updated_at=now())
    )


async def page(connection: AsyncConnection, *, limit: int, before: str | None) -> list[dict[str, Any]]:
    """Jobs, newest first, those before the id `before`."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    return await _rows(connection, query if before is None else query.where(jobs.c.id < before))


async def latest(connection: AsyncConnection) -> list[dict[str, Any]]:
    """The newest job of each model on each connection."""
    place = (jobs.c.model_id, jobs.c.connection_id)
    ranked = select(
        *jobs.c, func.row_number().over(partition_by=place, order_by=jobs.c.id.desc()).label("rank")
    ).subquery()
    columns = [ranked.c[column.name] for column in jobs.c]
    return await _rows(connection, select(*columns).where(ranked.c.rank == 1).order_by(ranked.c.id.desc()))


async def _rows(connection: AsyncConnection, query: Select[Any]) -> list[dict[str, Any]]:
    stale = now() - STALE_SECONDS
    return [
        {**row, "state": FAILED, "reason": INTERRUPTED}
        if row["state"] in UNFINISHED and row["updated_at"] < stale
        else dict(row)
        for row in (await connection.execute(query)).mappings()
    ]


class Standing(NamedTuple):
    """What of a row of the catalogue says which base model it is about."""

    id: str
    base_model_id: str | None
    is_active: bool


_STANDING = select(models.c.id, models.c.base_model_id, models.c.is_active)


async def standing_on(connection: AsyncConnection, names: Collection[str]) -> list[Standing]:
    """The stored rows that override one of these base models or stand on it."""
    wanted = sorted(names)
    found: list[Standing] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        query = _STANDING.where(
            or_(models.c.base_model_id.in_(part), and_(models.c.base_model_id.is_(None), models.c.id.in_(part)))
        )
        found += [Standing(*row) for row in await connection.execute(query)]
    return found


async def of_names(connection: AsyncConnection, names: Collection[str]) -> list[Standing]:
    """The stored rows with these ids."""
    return [Standing(*row) for row in await connection.execute(_STANDING.where(models.c.id.in_(names)))]
