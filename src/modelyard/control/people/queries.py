"""Users and sessions, and which groups people are in."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import GroupRow, UserRow
from modelyard.canonical.snapshot import ADMIN
from modelyard.db.schema import grants, groups, memberships, models, responses, sessions, users

# All of a user but the password's hash.
COLUMNS = (
    users.c.id, users.c.email, users.c.name, users.c.role, users.c.kind, users.c.created_at, users.c.updated_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session as its owner sees it. Times are Unix seconds."""

    id: str
    user_id: str
    created_at: int
    expires_at: int
    address: str
    user_agent: str


async def all_users(connection: AsyncConnection) -> list[UserRow]:
    """Everyone, with the ids of the groups that they were put into."""
    joined: dict[str, set[str]] = {}
    for user_id, group_id in await connection.execute(select(memberships.c.user_id, memberships.c.group_id)):
        joined.setdefault(user_id, set()).add(group_id)
    found = await connection.execute(select(*COLUMNS).order_by(users.c.created_at, users.c.email))
    return [UserRow(**row, group_ids=frozenset(joined.get(row["id"], ()))) for row in found.mappings()]


async def all_groups(connection: AsyncConnection) -> list[GroupRow]:
    """Every group, by name."""
    columns = (
        groups.c.id, groups.c.name, groups.c.description, groups.c.parent_id, groups.c.permissions, groups.c.share,
        groups.c.created_at, groups.c.updated_at,
    )  # fmt: skip
    found = await connection.execute(select(*columns).order_by(groups.c.name))
    return [GroupRow(**row) for row in found.mappings()]


async def one(connection: AsyncConnection, user_id: str) -> UserRow | None:
    """The user with that id, with the groups that they were put into."""
    found = (await connection.execute(select(*COLUMNS).where(users.c.id == user_id))).mappings().first()
    if found is None:
        return None
    joined = await connection.execute(select(memberships.c.group_id).where(memberships.c.user_id == user_id))
    return UserRow(**found, group_ids=frozenset(joined.scalars()))


async def by_email(connection: AsyncConnection, email: str) -> RowMapping | None:
    """The user with that e-mail address (lower case), with the password's hash."""
    return (await connection.execute(select(users).where(users.c.email == email))).mappings().first()


async def password_hash(connection: AsyncConnection, user_id: str) -> str | None:
    """The hash of a user's password; None without a password, or without such a user."""
    found = await connection.execute(select(users.c.password_hash).where(users.c.id == user_id))
    return found.scalar()


async def known_ids(connection: AsyncConnection, user_ids: Collection[str]) -> set[str]:
    """Those among the ids that are users'."""
    wanted = list(user_ids)
    known: set[str] = set()
    for start in range(0, len(wanted), 500):
        found = await connection.execute(select(users.c.id).where(users.c.id.in_(wanted[start : start + 500])))
        known.update(found.scalars())
    return known


async def count_admins(connection: AsyncConnection) -> int:
    """How many administrators there are."""
    return int((await connection.execute(select(func.count()).where(users.c.role == ADMIN))).scalar_one())


async def add_user(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(users).values(**values))


async def change_user(connection: AsyncConnection, user_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(users).where(users.c.id == user_id).values(**values))


async def remove_user(connection: AsyncConnection, user_id: str) -> None:
    """The user with sessions, memberships, the grants on them and what calls of theirs have stored."""
    await connection.execute(delete(responses).where(responses.c.user_id == user_id))
    await connection.execute(delete(grants).where(grants.c.principal_type == "user", grants.c.principal_id == user_id))
    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
    await connection.execute(delete(memberships).where(memberships.c.user_id == user_id))
    await connection.execute(delete(users).where(users.c.id == user_id))


async def models_of(connection: AsyncConnection, user_id: str) -> list[str]:
    """The ids of the models that a user owns."""
    found = await connection.execute(select(models.c.id).where(models.c.user_id == user_id).order_by(models.c.id))
    return list(found.scalars())


async def give_models(connection: AsyncConnection, user_id: str, new_owner: str, moment: int) -> None:
    values = {"user_id": new_owner, "updated_at": moment}
    await connection.execute(update(models).where(models.c.user_id == user_id).values(**values))


async def grants_to(connection: AsyncConnection, principal_type: str, principal_id: str) -> Sequence[RowMapping]:
    """What a user or a group was granted: resource_type, resource_id, permission."""
    columns = (grants.c.resource_type, grants.c.resource_id, grants.c.permission)
    found = await connection.execute(
        select(*columns)
        .where(grants.c.principal_type == principal_type, grants.c.principal_id == principal_id)
        .order_by(*columns)
    )
    return found.mappings().all()


async def sessions_of(connection: AsyncConnection, user_id: str, now: int) -> list[SessionRow]:
    """A user's sessions that have not expired, newest first."""
    columns = (
        sessions.c.id, sessions.c.user_id, sessions.c.created_at, sessions.c.expires_at, sessions.c.address,
        sessions.c.user_agent,
    )  # fmt: skip
    found = await connection.execute(
        select(*columns)
        .where(sessions.c.user_id == user_id, sessions.c.expires_at > now)
        .order_by(sessions.c.created_at.desc(), sessions.c.id)
    )
    return [SessionRow(**row) for row in found.mappings()]


async def add_session(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(sessions).values(**values))


async def end_sessions(
    connection: AsyncConnection, user_id: str, *, only: str | None = None, but: str | None = None
) -> list[str]:
    """End a user's sessions: all, `only` this one, or all `but` this one. The ids of those that there were."""
    conditions: list[ColumnElement[bool]] = [sessions.c.user_id == user_id]
    if only is not None:
        conditions.append(sessions.c.id == only)
    if but is not None:
        conditions.append(sessions.c.id != but)
    found = await connection.execute(delete(sessions).where(and_(*conditions)).returning(sessions.c.id))
    return list(found.scalars())


async def end_surplus_sessions(connection: AsyncConnection, user_id: str, kept: int) -> list[str]:
    """End all but the newest sessions of a user. The ids of those that ended."""
    newest = (
        select(sessions.c.id)
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.created_at.desc(), sessions.c.id)
        .limit(kept)
    )
    found = await connection.execute(
        delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id.not_in(newest)).returning(sessions.c.id)
    )
    return list(found.scalars())


async def end_expired_sessions(connection: AsyncConnection, now: int) -> None:
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
