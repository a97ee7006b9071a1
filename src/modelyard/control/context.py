"""What a management request knows: who asks, and the parts of the server that the control plane works with."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ConnectionRow, Declared
from modelyard.canonical.snapshot import Principal, Published
from modelyard.control.discovery import Discovery
from modelyard.control.lifecycle.service import Lifecycle
from modelyard.control.transaction import Actor, Changes
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.db.engine import Database
from modelyard.upstream.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control plane's parts, built once by `app` and handed to every route.

    `is_offered` says whether a backend offers a base model of exactly this name, switched off or not.
    """

    database: Database
    ledger: Database
    changes: Changes
    seal: Seal
    declared: Declared
    published: Published
    discovery: Discovery
    client: Client
    connections: Callable[[], Sequence[ConnectionRow]]
    users: Callable[[], Collection[str]]
    is_offered: Callable[[str], bool]
    lifecycle: Lifecycle
    session_seconds: int
    trash_seconds: int
    default_timeouts: Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One management request by a known caller."""

    control: Control
    principal: Principal
    address: str
    request_id: str

    @property
    def actor(self) -> Actor:
        """Who the audit log names."""
        key_id = self.principal.credential_id if self.principal.credential_kind != "session" else ""
        return Actor(user_id=self.principal.user_id, key_id=key_id, address=self.address, request_id=self.request_id)


class Done(BaseModel):
    """The answer to a change that has nothing else to tell."""

    status: bool = True


def control_of(request: Request) -> Control:
    """The parts of the server, for the few routes that need no credential."""
    control: Control = request.scope["modelyard.control"]
    return control


def caller(request: Request) -> Context:
    """Any approved person. The credential was checked in front of the management app (`api.management`)."""
    principal: Principal | None = request.scope.get("modelyard.principal")
    if principal is None:
        raise Problem(Kind.UNAUTHENTICATED, "Sign in, or send an API key as `Authorization: Bearer sk-my-...`.")
    return Context(
        control=control_of(request),
        principal=principal,
        address=request.client.host if request.client else "",
        request_id=request.scope["modelyard.request_id"],
    )


def administrator(request: Request) -> Context:
    """An administrator. A key that is confined to some models or dialects may not manage anything."""
    context = caller(request)
    if not context.principal.is_admin:
        raise Problem(Kind.FORBIDDEN, "Only an administrator may do this.")
    if not context.principal.manages:
        raise Problem(Kind.FORBIDDEN, "This API key is limited to calling models; use one without a scope to manage.")
    return context


Caller = Annotated[Context, Depends(caller)]
Administrator = Annotated[Context, Depends(administrator)]
Parts = Annotated[Control, Depends(control_of)]
