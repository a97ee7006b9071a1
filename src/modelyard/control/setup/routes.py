"""`POST /api/v1/setup`."""

from fastapi import APIRouter, Request, Response

from modelyard.control.context import Parts
from modelyard.control.people.routes import address_of, set_cookie
from modelyard.control.settings import table
from modelyard.control.setup import service
from modelyard.control.setup.schemas import Doors, SetUp, SetUpDone

routes = APIRouter(tags=["setup"])


@routes.get("/setup")
async def doors(parts: Parts) -> Doors:
    """Which way in there is for somebody without an account."""
    needed = await service.needed(parts.database) and not parts.declared.credentials
    return Doors(needed=needed, sign_up=bool(parts.published.snapshot.settings[table.SIGN_UP_ENABLED]))


@routes.post("/setup")
async def set_up(form: SetUp, request: Request, response: Response, parts: Parts) -> SetUpDone:
    """Make the first administrator with the one-time link's token."""
    user, token, key = await service.set_up(
        parts.changes,
        parts.seal,
        token=form.token,
        email=form.email,
        password=form.password,
        address=address_of(request),
        session_seconds=parts.session_seconds,
        user_agent=request.headers.get("user-agent", ""),
    )
    set_cookie(response, request, token, parts.session_seconds)
    return SetUpDone(token=token, id=user.id, email=user.email, name=user.name, role=user.role, key=key)
