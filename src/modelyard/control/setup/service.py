"""The one-time setup link: whoever holds it makes the first administrator."""

import hmac

from sqlalchemy import delete, insert, select

from modelyard.canonical.records import UserRow
from modelyard.canonical.snapshot import ADMIN
from modelyard.control.keys.service import add_key
from modelyard.control.people import passwords, queries, throttle
from modelyard.control.people.service import checked_email, create_user
from modelyard.control.people.sessions import open_session
from modelyard.control.transaction import SYSTEM, Actor, Changes
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal, new_token
from modelyard.db.engine import Database
from modelyard.db.schema import facts

TOKEN = "setup-token"  # noqa: S105 - the name of a row
FIRST_KEY = "first key"


async def needed(database: Database) -> bool:
    """True while there is no administrator."""
    async with database.read() as connection:
        return await queries.count_admins(connection) == 0


async def new_link(changes: Changes, seal: Seal) -> str:
    """A fresh setup token; an older one is void. Only its digest is stored."""
    token = new_token("")
    async with changes.begin(SYSTEM) as change:
        await change.connection.execute(delete(facts).where(facts.c.name == TOKEN))
        await change.connection.execute(insert(facts).values(name=TOKEN, value=seal.digest(token).hex()))
        await change.audit("setup.link_made", TOKEN, description="an older link is void")
    return token


async def set_up(
    changes: Changes,
    seal: Seal,
    *,
    token: str,
    email: str,
    password: str,
    address: str,
    session_seconds: int,
    user_agent: str = "",
) -> tuple[UserRow, str, str]:
    """Make the first administrator. (user, session token, first API key). Raises Problem."""
    passwords.check_length(password)
    email = checked_email(email)
    await _check(changes.database, seal, token, address)  # before the costly hash
    password_hash = await passwords.hashed(password)
    async with changes.begin(Actor(user_id="setup", address=address)) as change:
        # Of two who use the link at once, the second finds it gone.
        found = await change.connection.execute(delete(facts).where(facts.c.name == TOKEN).returning(facts.c.value))
        if not _is_right(found.scalar(), seal, token):
            raise _not_valid()
        user = await create_user(change, email=email, name="", role=ADMIN, password_hash=password_hash)
        session = await open_session(change, seal, user.id, session_seconds, address=address, user_agent=user_agent)
        _, key = await add_key(change, seal, name=FIRST_KEY, user_id=user.id)
    return user, session, key


async def _check(database: Database, seal: Seal, token: str, address: str) -> None:
    """Raises Problem FORBIDDEN, or RATE_LIMITED after too many wrong ones.

    Only wrong ones are counted, as long as there is a right one: nobody guesses 256 bits, but somebody who tries must not
    make the one who holds the link wait.
    """
    async with database.read() as connection:
        stored = (await connection.execute(select(facts.c.value).where(facts.c.name == TOKEN))).scalar()
    if _is_right(stored, seal, token):
        return
    if stored is not None:
        async with throttle.attempt(database, seal, throttle.setting_up(address)):
            pass
    raise _not_valid()


def _is_right(stored: object, seal: Seal, token: str) -> bool:
    return isinstance(stored, str) and hmac.compare_digest(stored, seal.digest(token).hex())


def _not_valid() -> Problem:
    return Problem(
        Kind.FORBIDDEN,
        "This setup link is not valid: it was used, or a newer one was printed. Start the server again for a new one.",
    )
