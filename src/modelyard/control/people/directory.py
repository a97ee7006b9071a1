"""Finding people: stored and declared ones in one list, in a total order."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from modelyard.canonical.records import UserRow
from modelyard.canonical.snapshot import PENDING
from modelyard.control.people import queries
from modelyard.core.errors import Kind, Problem
from modelyard.db.engine import Database


async def everyone(database: Database, declared: Sequence[UserRow]) -> list[UserRow]:
    """Declared users, then stored ones."""
    async with database.read() as connection:
        return [*declared, *await queries.all_users(connection)]


async def find(database: Database, declared: Sequence[UserRow], user_id: str) -> UserRow:
    """One user. Raises Problem NOT_FOUND."""
    for row in declared:
        if row.id == user_id:
            return row
    async with database.read() as connection:
        found = await queries.one(connection, user_id)
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such user.")
    return found


def matching(rows: Iterable[UserRow], *, query: str, role: str | None) -> list[UserRow]:
    """Those whose name or address holds the text, in any case. No character of it is special."""
    text = query.strip().casefold()
    return [
        row
        for row in rows
        if role in (None, row.role) and (text in row.name.casefold() or text in row.email.casefold())
    ]


def to_share_with(rows: Iterable[UserRow], query: str) -> list[UserRow]:
    """Approved people whose name holds the text, or whose whole address it is: no address can be felt for bit by bit."""
    text = query.strip().casefold()
    return [
        row
        for row in rows
        if row.role != PENDING
        and (text in public_name(row).casefold() or (text != "" and text == row.email.casefold()))
    ]


def public_name(row: UserRow) -> str:
    """What anybody may see of a user. A file's users without a name are called by their address: its first part, then."""
    return row.name.partition("@")[0] if row.name.lower() == row.email else row.name


def ordered(rows: Iterable[UserRow], order_by: str, *, descending: bool) -> list[UserRow]:
    """By one field, case-folded, then by id: a total order."""
    value = attrgetter(order_by)

    def place(row: UserRow) -> tuple[str | int, str]:
        found = value(row)
        return (found.casefold() if isinstance(found, str) else found, row.id)

    return sorted(rows, key=place, reverse=descending)
