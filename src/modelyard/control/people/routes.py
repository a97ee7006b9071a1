"""`/api/v1/auths`: signing in, up and out, and one's own password."""

from fastapi import APIRouter, Request, Response

from modelyard.canonical.records import UserRow
from modelyard.control.context import Caller, Done, Parts
from modelyard.control.people import signing
from modelyard.control.people.rights import Unconfined, refuse_foreign_page
from modelyard.control.people.schemas import (
    NewPassword,
    PasswordChanged,
    Person,
    Session,
    SignIn,
    SignUp,
)
from modelyard.control.people.signing import Visit
from modelyard.policy.credentials import SESSION_COOKIE
from modelyard.policy.permissions import tree

SESSION = "session"


routes = APIRouter(prefix="/auths", tags=["auths"])


@routes.post("/signin")
async def sign_in(form: SignIn, request: Request, response: Response, parts: Parts) -> Session:
    """Sign in with e-mail address and password. Also sets an HttpOnly session cookie."""
    refuse_foreign_page(request)
    visit = _visit(request, parts.session_seconds)
    token, user = await signing.sign_in(
        parts.changes, parts.seal, email=form.email, password=form.password, visit=visit
    )
    set_cookie(response, request, token, parts.session_seconds)
    return _session(token, user)


@routes.post("/signup")
async def sign_up(form: SignUp, request: Request, response: Response, parts: Parts) -> Session:
    """Make an account for oneself, where that is wanted. A pending one can do nothing until it is approved."""
    refuse_foreign_page(request)
    token, user = await signing.sign_up(
        parts.changes,
        parts.seal,
        parts.published.snapshot.settings,
        parts.declared,
        email=form.email,
        name=form.name,
        password=form.password,
        visit=_visit(request, parts.session_seconds),
    )
    set_cookie(response, request, token, parts.session_seconds)
    return _session(token, user)


@routes.post("/signout")
async def sign_out(context: Caller, response: Response) -> Done:
    """End this session."""
    if context.principal.credential_kind == SESSION:
        await signing.sign_out(context.control.changes, context.actor, context.principal.credential_id)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return Done()


@routes.get("/")
async def who_am_i(context: Caller) -> Person:
    """Who the credential of this request stands for, and what they may do."""
    who = context.principal
    return Person(
        id=who.user_id,
        email=who.email,
        name=who.name,
        role=who.role,
        group_ids=sorted(who.group_ids),
        permissions=tree(who.permissions),
        expires_at=None if who.expires_at is None else int(who.expires_at),
    )


@routes.post("/update/password")
async def change_password(
    form: NewPassword, request: Request, response: Response, context: Unconfined
) -> PasswordChanged:
    """Set one's own password. Every session ends; who asks with a session gets a new one."""
    control = context.control
    by_session = context.principal.credential_kind == SESSION
    token = await signing.change_password(
        control.changes,
        control.seal,
        control.declared,
        context.actor,
        email=context.principal.email,
        password=form.password,
        new_password=form.new_password,
        visit=_visit(request, control.session_seconds) if by_session else None,
    )
    if token is not None:
        set_cookie(response, request, token, control.session_seconds)
    return PasswordChanged(token=token)


def _session(token: str, user: UserRow) -> Session:
    return Session(token=token, id=user.id, email=user.email, name=user.name, role=user.role)


def _visit(request: Request, seconds: int) -> Visit:
    return Visit(address=address_of(request), user_agent=request.headers.get("user-agent", ""), seconds=seconds)


def address_of(request: Request) -> str:
    """Where a request comes from, as far as trusted proxies say."""
    return request.client.host if request.client else ""


def set_cookie(response: Response, request: Request, token: str, seconds: int) -> None:
    """The session cookie: never readable by scripts, never sent by another site's page."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
