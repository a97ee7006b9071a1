"""`/api/v1/auths`: signing in and out."""

from fastapi import APIRouter, Request, Response

from modelyard.control.context import Caller, Done, Parts
from modelyard.control.people import service
from modelyard.control.people.schemas import Person, Session, SignIn
from modelyard.control.people.throttle import SignInThrottle
from modelyard.policy.credentials import SESSION_COOKIE


def router(throttle: SignInThrottle) -> APIRouter:
    """The routes; sign-in shares one throttle."""
    routes = APIRouter(prefix="/auths", tags=["auths"])

    @routes.post("/signin")
    async def sign_in(form: SignIn, request: Request, response: Response, parts: Parts) -> Session:
        """Sign in with e-mail address and password. Also sets an HttpOnly session cookie."""
        token, user = await service.sign_in(
            parts.changes,
            parts.seal,
            throttle,
            email=form.email,
            password=form.password,
            address=request.client.host if request.client else "",
            seconds=parts.session_seconds,
        )
        set_cookie(response, request, token, parts.session_seconds)
        return Session(token=token, id=user.id, email=user.email, name=user.name, role=user.role)

    @routes.post("/signout")
    async def sign_out(context: Caller, response: Response) -> Done:
        """End this session."""
        if context.principal.credential_kind == "session":
            await service.sign_out(context.control.changes, context.actor, context.principal.credential_id)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return Done()

    @routes.get("/")
    async def who_am_i(context: Caller) -> Person:
        """Who the credential of this request stands for."""
        who = context.principal
        return Person(id=who.user_id, email=who.email, name=who.name, role=who.role)

    return routes


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
