"""What the rooms of people, groups and keys ask of a caller before they change or tell anything."""

from typing import Annotated

from fastapi import Depends, Request

from modelyard.canonical.snapshot import UNLIMITED, Principal
from modelyard.control.context import Context, administrator, caller
from modelyard.core.errors import Kind, Problem
from modelyard.policy.credentials import forged


def unconfined(request: Request) -> Context:
    """Any approved person, but not with a key that is confined to calling some models."""
    context = caller(request)
    if is_confined(context.principal):
        raise Problem(Kind.FORBIDDEN, "This API key is limited to calling models; use one without a scope, or sign in.")
    return context


def giver(request: Request) -> Context:
    """An administrator who hands out rights. A key with limits or an end may not: what it made would not have them."""
    context = administrator(request)
    who = context.principal
    if who.limits != UNLIMITED:
        raise Problem(Kind.FORBIDDEN, "A key with limits cannot hand out rights; sign in, or use a key without limits.")
    if who.credential_kind == "key" and who.expires_at is not None:
        raise Problem(Kind.FORBIDDEN, "A key that expires cannot hand out rights; sign in, or use one that does not.")
    return context


def is_confined(principal: Principal) -> bool:
    """True for a credential that is good for some models or dialects only."""
    return principal.models is not None or principal.dialects is not None


def refuse_foreign_page(request: Request) -> None:
    """Nobody is signed in by another site's page, as somebody whom they did not choose (login CSRF)."""
    headers = request.scope["headers"]
    by_browser = any(name in (b"sec-fetch-site", b"origin") for name, _ in headers)
    if by_browser and forged(request.method, headers):
        raise Problem(Kind.FORBIDDEN, "This request came from another site's page and was refused.")


Unconfined = Annotated[Context, Depends(unconfined)]
Giver = Annotated[Context, Depends(giver)]
