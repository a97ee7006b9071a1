"""States that were applied, kept whole for going back to them. They hold references, never secrets."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.transaction import Change
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import revisions

MOST = 200  # the oldest are let go
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One state. `size` is in characters; the time is in Unix seconds."""

    id: int
    user_id: str
    message: str | None
    size: int
    created_at: int


async def keep(change: Change, content: str, owners: Mapping[str, str], message: str) -> int:
    """Keep a document with the owners for whom it has no name, unless it is the newest one already. Its number."""
    columns = (revisions.c.id, revisions.c.content, revisions.c.owners)
    newest = (await change.connection.execute(select(*columns).order_by(revisions.c.id.desc()).limit(1))).first()
    if newest is not None and newest.content == content and newest.owners == owners:
        return int(newest.id)
    values = {
        "content": content,
        "owners": dict(owners),
        "user_id": change.actor.user_id,
        "message": message,
        "created_at": now(),
    }
    made = await change.connection.execute(insert(revisions).values(**values).returning(revisions.c.id))
    number = int(made.scalar_one())
    await change.connection.execute(delete(revisions).where(revisions.c.id <= number - MOST))
    return number


async def listed(connection: AsyncConnection) -> list[Revision]:
    """All, newest first."""
    columns = (
        revisions.c.id, revisions.c.user_id, revisions.c.message, func.length(revisions.c.content).label("size"),
        revisions.c.created_at,
    )  # fmt: skip
    found = await connection.execute(select(*columns).order_by(revisions.c.id.desc()))
    return [Revision(**row) for row in found.mappings()]


async def owners(connection: AsyncConnection, number: int) -> dict[str, str] | None:
    """Model to the stored id of its owner, where the document of a revision names none. None: they were not noted yet."""
    query = select(revisions.c.owners).where(revisions.c.id == number)
    found: dict[str, str] | None = (await connection.execute(query)).scalar()
    return found


async def document(connection: AsyncConnection, number: int) -> str:
    """The document of a revision. Raises Problem NOT_FOUND."""
    query = select(revisions.c.content).where(revisions.c.id == min(max(number, 0), LARGEST_ID))
    content = (await connection.execute(query)).scalar()
    if content is None:
        raise Problem(Kind.NOT_FOUND, f"There is no revision {number}.")
    return str(content)
