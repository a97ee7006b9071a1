"""The first three steps: who calls, which model is meant, may they. Pure: a snapshot and a call's claims in."""

from collections.abc import Callable

from modelyard.canonical.snapshot import PENDING, Model, Principal, Snapshot
from modelyard.core.errors import Kind, Problem
from modelyard.policy.access import in_scope, may_use, named
from modelyard.policy.arena import drawn, entry_named


def authenticate(snapshot: Snapshot, digest: bytes | None, now: float, dialect: str | None = None) -> Principal:
    """Who the credential stands for. `now` is Unix seconds; `dialect` the one the call speaks, if it is a call."""
    if digest is None:
        raise Problem(
            Kind.UNAUTHENTICATED,
            "No API key was sent. Send one as `Authorization: Bearer sk-my-...`, `x-api-key` or `api-key`.",
        )
    principal = snapshot.credentials.get(digest)
    if principal is None:
        raise Problem(Kind.UNAUTHENTICATED, "This API key is not known: it was mistyped or revoked.")
    if principal.expires_at is not None and principal.expires_at <= now:
        raise Problem(Kind.UNAUTHENTICATED, "This API key has expired. Ask its owner for a new one.")
    if principal.role == PENDING:
        raise Problem(Kind.FORBIDDEN, "This account is waiting for an administrator to approve it.")
    if dialect is not None and principal.dialects is not None and dialect not in principal.dialects:
        raise Problem(Kind.OUT_OF_SCOPE, f"This API key may not be used with the {dialect} API.")
    return principal


def find(snapshot: Snapshot, name: str) -> Model | None:
    """The model of that name (`policy.access.named`), or what stands for an arena entry."""
    found = named(snapshot, name)
    if found is not None:
        return found
    entry = entry_named(snapshot, name)
    return None if entry is None else entry.model


def resolve(snapshot: Snapshot, name: str | None) -> Model | None:
    """The model that a call means. Raises Problem when it names none and no default is set."""
    if name is None:
        name = snapshot.default_model
    if name is None:
        raise Problem(
            Kind.INVALID_REQUEST,
            "No model was named and no DEFAULT_MODEL is set. `GET /v1/models` lists those you may use.",
            param="model",
        )
    return find(snapshot, name)


def authorise(principal: Principal, model: Model | None, snapshot: Snapshot, asked: str | None) -> Model:
    """The model when the caller may use it. One they may not see is not told apart from one that does not exist."""
    if model is None or not may_use(principal, model, snapshot):
        raise Problem(
            Kind.MODEL_NOT_FOUND,
            f"The model `{asked or snapshot.default_model}` does not exist or you have no access to it. "
            "`GET /v1/models` lists those you may use.",
            param="model",
        )
    if not in_scope(principal, model, snapshot):
        raise Problem(Kind.OUT_OF_SCOPE, f"This API key may not be used with the model `{model.id}`.", param="model")
    return model


def chosen(
    principal: Principal, model: Model, snapshot: Snapshot, serves: Callable[[Model], bool], lot: Callable[[], float]
) -> Model:
    """Who answers: the model itself, or for an arena entry one that is drawn from those behind it (`policy.arena`)."""
    entry = snapshot.arena.get(model.id)
    if entry is None or entry.model is not model:
        return model
    found = drawn(principal, entry, snapshot, serves, lot)
    if found is None:
        raise Problem(
            Kind.MODEL_NOT_FOUND,
            f"Behind `{model.id}` is no model at the moment that you may use and that can answer this call. "
            "`GET /v1/models` lists those you may use; an administrator sets what the entry draws from.",
            param="model",
        )
    return found
