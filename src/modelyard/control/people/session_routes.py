"""`/api/v1/auths`: one's own sessions, and the rules of signing up."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path

from modelyard.control.context import Administrator, Context, Done
from modelyard.control.groups import service as groups
from modelyard.control.people import queries, sessions
from modelyard.control.people.rights import Giver, Unconfined
from modelyard.control.people.schemas import Ended, OwnSession, Sessions, SignUpRules, SignUpRulesForm
from modelyard.control.settings import service as settings
from modelyard.control.settings import table
from modelyard.core.clock import now

routes = APIRouter(prefix="/auths", tags=["auths"])

STORED = {
    "ENABLE_SIGNUP": table.SIGN_UP_ENABLED,
    "DEFAULT_USER_ROLE": table.SIGN_UP_ROLE,
    "DEFAULT_GROUP_ID": table.SIGN_UP_GROUP,
}


@routes.get("/sessions")
async def list_sessions(context: Unconfined) -> Sessions:
    """One's own sessions, newest first."""
    return await shown_sessions(context, context.principal.user_id)


@routes.delete("/sessions")
async def end_other_sessions(context: Unconfined) -> Ended:
    """End one's own sessions, all but the one of this request."""
    async with context.control.changes.begin(context.actor) as change:
        ended = await sessions.end_sessions(change, context.principal.user_id, but=context.principal.credential_id)
    return Ended(ended=ended)


@routes.delete("/sessions/{session_id}")
async def end_session(session_id: Annotated[str, Path(max_length=300)], context: Unconfined) -> Done:
    """End one of one's own sessions."""
    async with context.control.changes.begin(context.actor) as change:
        await sessions.end_session(change, context.principal.user_id, session_id)
    return Done()


@routes.get("/admin/config")
async def sign_up_rules(context: Administrator) -> SignUpRules:
    """Whether people may make accounts for themselves, with which role and in which group."""
    return _rules(context.control.published.snapshot.settings)


@routes.post("/admin/config")
async def change_sign_up_rules(form: SignUpRulesForm, context: Giver) -> SignUpRules:
    """Change those rules. Fields that are left out keep their value; no group is null."""
    given = form.model_dump(exclude_unset=True)
    async with context.control.changes.begin(context.actor) as change:
        if "DEFAULT_GROUP_ID" in given:
            given["DEFAULT_GROUP_ID"] = given["DEFAULT_GROUP_ID"] or None
            if given["DEFAULT_GROUP_ID"] is not None:
                await groups.stored(change, given["DEFAULT_GROUP_ID"], context.control.declared.groups)
        for name, value in given.items():
            await settings.put(change, STORED[name], value, context.control.published.snapshot.settings, param=name)
    return _rules(context.control.published.snapshot.settings)


def _rules(settings_in_force: Mapping[str, Any]) -> SignUpRules:
    return SignUpRules(**{name: settings_in_force[stored] for name, stored in STORED.items()})


async def shown_sessions(context: Context, user_id: str) -> Sessions:
    """The sessions of a user, as they are shown."""
    async with context.control.database.read() as connection:
        rows = await queries.sessions_of(connection, user_id, now())
    own = context.principal.credential_id
    return Sessions(
        items=[
            OwnSession(
                id=row.id,
                created_at=row.created_at,
                expires_at=row.expires_at,
                address=row.address,
                user_agent=row.user_agent,
                current=row.id == own,
            )
            for row in rows
        ]
    )
