"""Users, memberships and sessions."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import CredentialRow, GroupRow, UserRow
from modelyard.canonical.snapshot import ADMIN
from modelyard.db.schema import groups, memberships, sessions, users


async def all_users(connection: AsyncConnection) -> list[UserRow]:
    """Everyone, with the ids of the groups that they were put into."""
    joined: dict[str, set[str]] = {}
    for user_id, group_id in await connection.execute(select(memberships.c.user_id, memberships.c.group_id)):
        joined.setdefault(user_id, set()).add(group_id)
    columns = (
        users.c.id, users.c.email, users.c.name, users.c.role, users.c.kind, users.c.created_at, users.c.updated_at,
    )  # fmt: skip
    found = await connection.execute(select(*columns).order_by(users.c.created_at, users.c.email))
    return [UserRow(**row, group_ids=frozenset(joined.get(row["id"], ()))) for row in found.mappings()]


async def all_groups(connection: AsyncConnection) -> list[GroupRow]:
    """Every group, by name."""
    columns = (
        groups.c.id, groups.c.name, groups.c.description, groups.c.parent_id, groups.c.permissions, groups.c.share,
        groups.c.created_at, groups.c.updated_at,
    )  # fmt: skip
    found = await connection.execute(select(*columns).order_by(groups.c.name))
    return [GroupRow(**row) for row in found.mappings()]


async def live_sessions(connection: AsyncConnection, now: int) -> list[CredentialRow]:
    """Sessions that have not expired."""
    columns = (sessions.c.id, sessions.c.user_id, sessions.c.digest, sessions.c.expires_at, sessions.c.created_at)
    found = await connection.execute(select(*columns).where(sessions.c.expires_at > now))
    return [CredentialRow(**row, kind="session") for row in found.mappings()]


async def by_email(connection: AsyncConnection, email: str) -> RowMapping | None:
    """The user with that e-mail address (lower case), with the password's hash."""
    return (await connection.execute(select(users).where(users.c.email == email))).mappings().first()


async def count_admins(connection: AsyncConnection) -> int:
    """How many administrators there are."""
    return int((await connection.execute(select(func.count()).where(users.c.role == ADMIN))).scalar_one())


async def add_user(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(users).values(**values))


async def add_session(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(sessions).values(**values))


async def end_session(connection: AsyncConnection, session_id: str) -> None:
    await connection.execute(delete(sessions).where(sessions.c.id == session_id))


async def end_expired_sessions(connection: AsyncConnection, now: int) -> None:
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
