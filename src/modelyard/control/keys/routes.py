"""`/api/v1/keys`: everyone manages their own keys, administrators all of them."""

from fastapi import APIRouter

from modelyard.canonical.records import CredentialRow
from modelyard.canonical.snapshot import Limits
from modelyard.control.context import Caller, Context, Done
from modelyard.control.keys import queries, service
from modelyard.control.keys.schemas import Key, KeyLimits, Keys, MadeKey, NewKey
from modelyard.core.errors import Kind, Problem

routes = APIRouter(prefix="/keys", tags=["keys"])


@routes.get("")
async def list_keys(context: Caller) -> Keys:
    """The caller's keys; an administrator sees everybody's, also those that a file declares."""
    everybody = context.principal.manages
    async with context.control.database.read() as connection:
        stored = await queries.listed(connection, None if everybody else context.principal.user_id)
    declared = [
        row for row in context.control.declared.credentials if everybody or row.user_id == context.principal.user_id
    ]
    return Keys(items=[_shown(row) for row in [*declared, *stored]])


@routes.post("")
async def make_key(form: NewKey, context: Caller) -> MadeKey:
    """Make a key. The answer holds the key itself, once."""
    maker = context.principal
    owner = form.user_id or maker.user_id
    if owner != maker.user_id:
        _may_make_for(context, owner)
    limits = Limits(rpm=form.limits.rpm, tpm=form.limits.tpm, concurrency=form.limits.concurrency)
    service.confined(form.models, maker.models, "models")
    service.confined(form.dialects, maker.dialects, "dialects")
    service.unlimited(maker.limits)
    async with context.control.changes.begin(context.actor) as change:
        row, token = await service.add_key(
            change,
            context.control.seal,
            name=form.name,
            user_id=owner,
            models=form.models,
            dialects=form.dialects,
            limits=limits,
            expires_at=_expiry(form.expires_at, maker.expires_at if maker.credential_kind == "key" else None),
        )
    return MadeKey(**_shown(row).model_dump(), key=token)


@routes.delete("/{key_id}")
async def revoke_key(key_id: str, context: Caller) -> Done:
    """Revoke a key: it is refused everywhere from now on."""
    if any(row.id == key_id for row in context.control.declared.credentials):
        if not context.principal.manages:
            raise Problem(Kind.NOT_FOUND, "There is no such key.")
        raise Problem(Kind.CONFLICT, "This key is declared in the configuration; remove it there.")
    owner = None if context.principal.manages else context.principal.user_id
    async with context.control.changes.begin(context.actor) as change:
        await service.revoke(change, key_id, owner_id=owner)
    return Done()


def _may_make_for(context: Context, user_id: str) -> None:
    if not context.principal.manages:
        raise Problem(Kind.FORBIDDEN, "Only an administrator may make keys for somebody else.", param="user_id")
    if user_id not in context.control.users():
        raise Problem(Kind.NOT_FOUND, "There is no such user.", param="user_id")


def _expiry(wanted: int | None, makers: float | None) -> int | None:
    """A key that expires cannot make one that lives longer."""
    if makers is None:
        return wanted
    return int(makers) if wanted is None else min(wanted, int(makers))


def _shown(row: CredentialRow) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        hint=row.hint,
        models=None if row.models is None else list(row.models),
        dialects=None if row.dialects is None else list(row.dialects),
        expires_at=row.expires_at,
        limits=KeyLimits(rpm=row.limits.rpm, tpm=row.limits.tpm, concurrency=row.limits.concurrency),
        source=row.source,
        created_at=row.created_at,
    )
