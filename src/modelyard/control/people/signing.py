"""Signing in, up and out, and one's own password."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.canonical.records import PERSON, Declared, UserRow
from modelyard.canonical.snapshot import PENDING, USER
from modelyard.control.groups import queries as groups
from modelyard.control.people import passwords, queries, throttle
from modelyard.control.people.service import checked_email, create_user, refuse_declared, update_user
from modelyard.control.people.sessions import open_session
from modelyard.control.settings import table
from modelyard.control.transaction import Actor, Changes
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Where a session comes from, and how many seconds it lasts."""

    address: str
    user_agent: str
    seconds: int


async def sign_in(changes: Changes, seal: Seal, *, email: str, password: str, visit: Visit) -> tuple[str, UserRow]:
    """(token, user). Raises Problem UNAUTHENTICATED, or RATE_LIMITED after too many failures."""
    email = email.strip().lower()[:254]
    subjects = throttle.account(email), throttle.address(visit.address)
    async with throttle.attempt(changes.database, seal, *subjects):
        async with changes.database.read() as connection:
            found = await queries.by_email(connection, email)
        known = found["password_hash"] if found is not None and found["kind"] == PERSON else None
        if not await passwords.verified(known, password) or found is None:
            raise _refused()
    await throttle.succeeded(changes.database, seal, *subjects)
    user = UserRow(id=found["id"], email=found["email"], name=found["name"], role=found["role"])
    async with changes.begin(Actor(user_id=user.id, address=visit.address)) as change:
        # A password that was changed while it was checked opens nothing.
        if await queries.password_hash(change.connection, user.id) != known:
            raise _refused()
        token = await open_session(
            change, seal, user.id, visit.seconds, address=visit.address, user_agent=visit.user_agent
        )
        await change.audit("user.signed_in", user.id)
    return token, user


async def sign_up(
    changes: Changes,
    seal: Seal,
    settings: Mapping[str, Any],
    declared: Declared,
    *,
    email: str,
    name: str,
    password: str,
    visit: Visit,
) -> tuple[str, UserRow]:
    """An account that somebody makes for themselves: (token, user). `settings` are those in force.

    Raises Problem FORBIDDEN when that is not wanted here, RATE_LIMITED, MALFORMED, or CONFLICT for a taken address.
    """
    if settings[table.SIGN_UP_ENABLED] is not True:
        raise Problem(Kind.FORBIDDEN, "Accounts are made by an administrator here.")
    email = checked_email(email)
    passwords.check_length(password)
    # Never taken back: neither many accounts nor a search for taken addresses come quickly from one place.
    async with throttle.attempt(changes.database, seal, throttle.signing_up(visit.address)):
        # Before it is known whether the address is taken, so that the time tells nothing.
        password_hash = await passwords.hashed(password)
    # Only ever the two lowest roles, whatever is stored.
    role = USER if settings[table.SIGN_UP_ROLE] == USER else PENDING
    wanted = settings[table.SIGN_UP_GROUP]
    async with changes.begin(Actor(user_id="sign-up", address=visit.address)) as change:
        group = await groups.one(change.connection, wanted) if isinstance(wanted, str) else None
        user = await create_user(
            change,
            email=email,
            name=name,
            role=role,
            password_hash=password_hash,
            group_ids=[group.id] if group is not None else [],
            declared=declared.users,
        )
        token = await open_session(
            change, seal, user.id, visit.seconds, address=visit.address, user_agent=visit.user_agent
        )
    return token, user


async def sign_out(changes: Changes, actor: Actor, session_id: str) -> None:
    """End a session, everywhere."""
    async with changes.begin(actor) as change:
        await queries.end_sessions(change.connection, actor.user_id, only=session_id)
        await change.audit("user.signed_out", actor.user_id)
        change.publish("session", session_id)


async def change_password(
    changes: Changes,
    seal: Seal,
    declared: Declared,
    actor: Actor,
    *,
    email: str,
    password: str,
    new_password: str,
    visit: Visit | None,
) -> str | None:
    """Set one's own password: all sessions end. With a `visit` the token of a new one.

    Raises Problem FORBIDDEN for a wrong present password, MALFORMED, CONFLICT, or RATE_LIMITED: guesses count with those of
    signing in.
    """
    refuse_declared(actor.user_id, declared.users)
    passwords.check_length(new_password)
    subjects = throttle.account(email), throttle.address(actor.address)
    async with throttle.attempt(changes.database, seal, *subjects):
        async with changes.database.read() as connection:
            known = await queries.password_hash(connection, actor.user_id)
        if not await passwords.verified(known, password):
            raise Problem(Kind.FORBIDDEN, "The present password is wrong.", param="password")
        await throttle.succeeded(changes.database, seal, *subjects)
        password_hash = await passwords.hashed(new_password)
    async with changes.begin(actor) as change:
        if await queries.password_hash(change.connection, actor.user_id) != known:
            raise Problem(Kind.CONFLICT, "The password was changed by somebody else meanwhile.", param="password")
        await update_user(change, actor.user_id, declared=declared.users, password_hash=password_hash)
        if visit is None:
            return None
        return await open_session(
            change, seal, actor.user_id, visit.seconds, address=visit.address, user_agent=visit.user_agent
        )


def _refused() -> Problem:
    return Problem(Kind.UNAUTHENTICATED, "The e-mail address or the password is wrong.")
