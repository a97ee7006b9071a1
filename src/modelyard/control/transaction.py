"""One change: rows, audit entry and the new version of the snapshot stand or fall together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.audit import chain
from modelyard.control.audit.values import plain, plain_text
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.db.engine import Database
from modelyard.db.schema import publication, publication_log
from modelyard.db.slices import slices

# (type, id) of each object that a change made, changed or removed.
Touched = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change and from where. `key_id` is empty for a session or the command line."""

    user_id: str
    key_id: str = ""
    address: str = ""
    request_id: str = ""


COMMAND_LINE = Actor(user_id="command-line")
SYSTEM = Actor(user_id="system")


class Change:
    """What a service does within one transaction. A savepoint that is rolled back takes its audit entries with it."""

    def __init__(self, connection: AsyncConnection, actor: Actor) -> None:
        self.connection = connection
        self.actor = actor
        self.entries: list[dict[str, Any]] = []
        self.touched: dict[tuple[str, str], None] = {}
        self._savepoints: list[int] = []  # how many entries there were before each of those that are open
        event.listen(connection.sync_connection, "savepoint", self._begun)
        event.listen(connection.sync_connection, "release_savepoint", self._kept)
        event.listen(connection.sync_connection, "rollback_savepoint", self._undone)

    def _begun(self, connection: object, name: str | None) -> None:
        self._savepoints.append(len(self.entries))

    def _kept(self, connection: object, name: str, context: object) -> None:
        self._savepoints.pop()

    def _undone(self, connection: object, name: str, context: object) -> None:
        del self.entries[self._savepoints.pop() :]

    async def audit(
        self,
        action: str,
        entity_id: str,
        *,
        changes: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        """Note what is being changed: `action` is `<entity type>.<verb>`, `changes` is field -> {old, new}, secrets masked.

        The entries of a change are written at its end, in this order. Values of any kind are taken (`audit.values`).
        """
        actor = self.actor
        metadata = {"key_id": actor.key_id, "address": actor.address, "request_id": actor.request_id}
        self.entries.append(
            {
                "id": ids.row_id(),
                "user_id": plain_text(actor.user_id),
                "action": action,
                "entity_type": action.partition(".")[0],
                "entity_id": plain_text(entity_id),
                "description": None if description is None else plain_text(description),
                "changes": plain(changes) if changes else None,
                "audit_metadata": {name: plain_text(value) for name, value in metadata.items() if value} or None,
                "created_at": now(),
            }
        )

    def publish(self, entity_type: str, entity_id: str) -> None:
        """This object matters to the data plane and is made, changed or gone: the snapshot is patched after the commit.

        Types: user, group, key, session, connection, model, settings (its id is the name of the setting),
        user_grants and group_grants (all that was granted to this user or group is gone).
        """
        self.touched[entity_type, entity_id] = None


class Changes:
    """Begins changes. After a commit that matters, `refresh` runs before the change is over: the worker that answers
    a management call serves the new snapshot already."""

    def __init__(self, database: Database, chain_key: bytes, refresh: Callable[[Touched], Awaitable[None]]) -> None:
        self.database = database
        self._chain_key = chain_key
        self._refresh = refresh

    @asynccontextmanager
    async def begin(self, actor: Actor) -> AsyncIterator[Change]:
        """One transaction by one actor, one after the other. Rolled back when the block raises."""
        async with self.database.write() as connection:
            if not self.database.is_sqlite:  # SQLite has let nobody else write from the beginning
                await chain.lock(connection)
            change = Change(connection, actor)
            yield change
            if change.entries:
                await chain.append(connection, self._chain_key, change.entries)
            touched = tuple(change.touched)
            if touched:
                moved = update(publication).values(version=publication.c.version + 1).returning(publication.c.version)
                version = (await connection.execute(moved)).scalar_one()
                for part in slices(touched):
                    rows = [{"version": version, "entity_type": kind, "entity_id": name} for kind, name in part]
                    await connection.execute(insert(publication_log), rows)
        if touched:
            await self._refresh(touched)


async def unserved(touched: Touched) -> None:
    """The `refresh` of a process that serves nothing: those that do follow `publication_log` by themselves."""


async def begin_chain(changes: Changes) -> None:
    """Write the first entry of the audit log's chain, unless there is one: from then on no log is without."""
    async with changes.database.read() as connection:
        if await chain.has_begun(connection):
            return
    async with changes.begin(SYSTEM) as change:
        await change.audit("audit.began", "log")


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Field -> {old, new} for the fields that differ."""
    return {name: {"old": old.get(name), "new": value} for name, value in new.items() if old.get(name) != value}
