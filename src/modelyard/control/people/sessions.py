"""Sessions: opened by signing in, ended by their owner, by an administrator, or by what ends them all."""

from modelyard.control.people import queries
from modelyard.control.transaction import Change
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal, new_token

SESSION_PREFIX = "ses-my-"
# Whoever signs in without end ends their own oldest sessions, and fills nothing.
MAX_SESSIONS = 100
MAX_USER_AGENT = 200


async def open_session(
    change: Change, seal: Seal, user_id: str, seconds: int, *, address: str = "", user_agent: str = ""
) -> str:
    """Start a session within a change. The token is new each time and known to the caller only."""
    token = new_token(SESSION_PREFIX)
    session_id = ids.row_id()
    moment = now()
    await queries.end_expired_sessions(change.connection, moment)
    for ended in await queries.end_surplus_sessions(change.connection, user_id, MAX_SESSIONS - 1):
        change.publish("session", ended)
    await queries.add_session(
        change.connection,
        {
            "id": session_id,
            "user_id": user_id,
            "digest": seal.digest(token),
            "address": address[:MAX_USER_AGENT],
            "user_agent": "".join(filter(str.isprintable, user_agent))[:MAX_USER_AGENT],
            "created_at": moment,
            "expires_at": moment + seconds,
        },
    )
    change.publish("session", session_id)
    return token


async def end_session(change: Change, user_id: str, session_id: str) -> None:
    """End one session of this user. Raises Problem NOT_FOUND: those of others are not told apart from none."""
    ended = await queries.end_sessions(change.connection, user_id, only=session_id)
    if not ended:
        raise Problem(Kind.NOT_FOUND, "There is no such session.")
    await _note(change, ended, user_id)


async def end_sessions(change: Change, user_id: str, *, but: str | None = None) -> int:
    """End all sessions of a user, except one. How many there were."""
    ended = await queries.end_sessions(change.connection, user_id, but=but)
    await _note(change, ended, user_id)
    return len(ended)


async def _note(change: Change, ended: list[str], user_id: str) -> None:
    for session_id in ended:
        await change.audit("session.ended", session_id, changes={"user_id": {"old": user_id, "new": None}})
        change.publish("session", session_id)
