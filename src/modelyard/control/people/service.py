"""Users and sessions."""

import re

from modelyard.canonical.records import UserRow
from modelyard.canonical.snapshot import ADMIN, PENDING, USER
from modelyard.control.people import passwords, queries
from modelyard.control.people.throttle import SignInThrottle
from modelyard.control.transaction import SYSTEM, Actor, Change, Changes
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal, new_token

ROLES = (PENDING, USER, ADMIN)
SESSION_PREFIX = "ses-my-"

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def checked_email(email: str) -> str:
    """The address in lower case. Raises Problem MALFORMED. Only its shape is checked: local names are fine."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise Problem(Kind.MALFORMED, "That is not an e-mail address, such as you@example.com.", param="email")
    return email


async def create_user(change: Change, *, email: str, name: str, role: str, password_hash: str | None) -> UserRow:
    """Add a person within a change. Raises Problem CONFLICT when the address is taken."""
    email = checked_email(email)
    if role not in ROLES:
        raise Problem(Kind.MALFORMED, f"The role must be one of {', '.join(ROLES)}.", param="role")
    if await queries.by_email(change.connection, email) is not None:
        raise Problem(Kind.CONFLICT, "There is a user with that e-mail address already.", param="email")
    moment = now()
    row = UserRow(
        id=ids.row_id(), email=email, name=name.strip() or email.partition("@")[0], role=role, created_at=moment
    )
    await queries.add_user(
        change.connection,
        {
            "id": row.id,
            "email": row.email,
            "name": row.name,
            "role": row.role,
            "password_hash": password_hash,
            "created_at": moment,
            "updated_at": moment,
        },
    )
    shown = {"email": email, "name": row.name, "role": role}
    await change.audit(
        "user.created", row.id, changes={name: {"old": None, "new": value} for name, value in shown.items()}
    )
    change.publish("user", row.id)
    return row


async def open_session(change: Change, seal: Seal, user_id: str, seconds: int) -> str:
    """Start a session within a change. The token is known to the caller only."""
    token = new_token(SESSION_PREFIX)
    session_id = ids.row_id()
    moment = now()
    await queries.end_expired_sessions(change.connection, moment)
    await queries.add_session(
        change.connection,
        {
            "id": session_id,
            "user_id": user_id,
            "digest": seal.digest(token),
            "created_at": moment,
            "expires_at": moment + seconds,
        },
    )
    change.publish("session", session_id)
    return token


async def sign_in(
    changes: Changes, seal: Seal, throttle: SignInThrottle, *, email: str, password: str, address: str, seconds: int
) -> tuple[str, UserRow]:
    """(token, user). Raises Problem UNAUTHENTICATED, or RATE_LIMITED after too many failures."""
    email = email.strip().lower()[:254]
    throttle.attempt(email, address)
    async with changes.database.read() as connection:
        found = await queries.by_email(connection, email)
    if not await passwords.verified(found["password_hash"] if found is not None else None, password) or found is None:
        raise Problem(Kind.UNAUTHENTICATED, "The e-mail address or the password is wrong.")
    throttle.succeeded(email, address)
    user = UserRow(id=found["id"], email=found["email"], name=found["name"], role=found["role"])
    async with changes.begin(Actor(user_id=user.id, address=address)) as change:
        token = await open_session(change, seal, user.id, seconds)
        await change.audit("user.signed_in", user.id)
    return token, user


async def sign_out(changes: Changes, actor: Actor, session_id: str) -> None:
    """End a session, everywhere."""
    async with changes.begin(actor) as change:
        await queries.end_session(change.connection, session_id)
        await change.audit("user.signed_out", actor.user_id)
        change.publish("session", session_id)


async def ensure_administrator(changes: Changes, *, email: str, password: str) -> bool:
    """Make the administrator that the settings name, unless there is a user with that address. True when made."""
    email = checked_email(email)
    async with changes.database.read() as connection:
        if await queries.by_email(connection, email) is not None:
            return False
    password_hash = await passwords.hashed(password)
    async with changes.begin(SYSTEM) as change:
        await create_user(change, email=email, name="", role=ADMIN, password_hash=password_hash)
    return True
