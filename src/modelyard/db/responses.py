"""Stored answers of the responses API. The data plane comes here only for what a request itself names, or keeps."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from modelyard.canonical.record import StoredTurn
from modelyard.db.engine import Database
from modelyard.db.schema import responses

# A conversation of more turns than this is refused, not cut.
MOST_TURNS = 1_000

# Characters that are kept for one person.
MOST_KEPT = 256 * 1024 * 1024

PURGED_AT_ONCE = 1_000


class ResponseStore:
    """The table of stored answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, turn: StoredTurn) -> None:
        """Keep one turn, and of one person's no more than MOST_KEPT: the oldest give way.

        An id that is there already is replaced: a backend may count from one again.
        """
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        values = {**turn._asdict(), "size": len(turn.items) + len(turn.answer)}
        statement = insert(responses).values(**values)
        statement = statement.on_conflict_do_update(index_elements=["user_id", "id"], set_=values)
        mine = responses.c.user_id == turn.user_id
        async with self._database.write() as connection:
            await connection.execute(statement)
            over = (
                (await connection.execute(select(func.sum(responses.c.size)).where(mine))).scalar() or 0
            ) - MOST_KEPT
            if over <= 0:
                return
            oldest = (
                select(responses.c.id, responses.c.size).where(mine).order_by(responses.c.created_at, responses.c.id)
            )
            for row in (await connection.execute(oldest)).all():
                if over <= 0 or row.id == turn.id:
                    break
                over -= row.size
                await connection.execute(delete(responses).where(mine, responses.c.id == row.id))

    async def chain(self, user_id: str, response_id: str, now: int, most_bytes: int) -> Sequence[str] | None:
        """The items of a conversation's turns, oldest first, up to this one.

        None when one of them is not there any more, or when they are more than `most_bytes` together.
        """
        newest, older = responses.alias("newest"), responses.alias("older")
        first = (
            select(newest.c.id, newest.c.previous_id, newest.c.size, newest.c.expires_at)
            .where(newest.c.user_id == user_id, newest.c.id == response_id)
            .cte("turns", recursive=True)
        )
        # UNION, not UNION ALL: a backend that gives its ids twice may have made a circle.
        turns = first.union(
            select(older.c.id, older.c.previous_id, older.c.size, older.c.expires_at).where(
                older.c.user_id == user_id, older.c.id == first.c.previous_id
            )
        )
        async with self._database.read() as connection:
            found = (await connection.execute(select(turns).limit(MOST_TURNS + 1))).all()
            whole = bool(found) and len(found) <= MOST_TURNS and found[-1].previous_id is None
            if not whole or any(row.expires_at <= now for row in found) or sum(row.size for row in found) > most_bytes:
                return None
            ids = [row.id for row in found]
            query = select(responses.c.id, responses.c["items"]).where(
                responses.c.user_id == user_id, responses.c.id.in_(ids)
            )
            items = {row.id: row[1] for row in (await connection.execute(query)).all()}
        return [items[turn] for turn in reversed(ids)] if len(items) == len(ids) else None

    async def answer(self, user_id: str, response_id: str, now: int) -> str | None:
        """One stored answer as it was given."""
        query = select(responses.c.answer).where(
            responses.c.user_id == user_id, responses.c.id == response_id, responses.c.expires_at > now
        )
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
        return found

    async def forget(self, user_id: str, response_id: str) -> bool:
        """Remove one stored answer. False when it is not there."""
        query = delete(responses).where(responses.c.user_id == user_id, responses.c.id == response_id)
        async with self._database.write() as connection:
            return (await connection.execute(query)).rowcount > 0

    async def purge(self, now: int) -> int:
        """Remove what has expired, a bounded number at once. The number removed."""
        old = select(responses.c.user_id, responses.c.id).where(responses.c.expires_at <= now).limit(PURGED_AT_ONCE)
        async with self._database.read() as connection:
            found = (await connection.execute(old)).all()
        if not found:
            return 0
        async with self._database.write() as connection:
            for row in found:
                await connection.execute(
                    delete(responses).where(
                        responses.c.user_id == row.user_id, responses.c.id == row.id, responses.c.expires_at <= now
                    )
                )
        return len(found)
