"""`/api/v1/keys`: everyone manages their own keys, administrators all of them."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from modelyard.canonical.records import CredentialRow
from modelyard.canonical.snapshot import Limits, Principal
from modelyard.control.context import Caller, Context, Done
from modelyard.control.keys import queries, service
from modelyard.control.keys.schemas import Key, KeyLimits, KeyPatch, Keys, MadeKey, NewKey, Rotation
from modelyard.control.people.rights import is_confined
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import API_KEYS

routes = APIRouter(prefix="/keys", tags=["keys"])

KeyId = Annotated[str, Path(max_length=600)]


@routes.get("")
async def list_keys(context: Caller, user_id: Annotated[str | None, Query(max_length=300)] = None) -> Keys:
    """The caller's keys; an administrator sees everybody's, or one user's, also those that a file declares."""
    own = context.principal.user_id
    if not context.principal.manages:
        if user_id not in (None, own):
            raise Problem(Kind.FORBIDDEN, "Only an administrator may list the keys of somebody else.", param="user_id")
        user_id = own
    async with context.control.database.read() as connection:
        stored = await queries.listed(connection, user_id)
        replaced = await queries.replacements(connection, user_id)
    declared = [row for row in context.control.declared.credentials if user_id in (None, row.user_id)]
    return Keys(items=[_shown(row, replaced.get(row.id)) for row in [*declared, *stored]])


@routes.post("")
async def make_key(form: NewKey, context: Caller) -> MadeKey:
    """Make a key. The answer holds the key itself, once."""
    maker = context.principal
    owner = form.user_id or maker.user_id
    if owner != maker.user_id:
        _may_make_for(context, owner)
    _permitted(maker)
    limits = _limits(form.limits)
    service.confined(form.models, maker.models, "models")
    service.confined(form.dialects, maker.dialects, "dialects")
    service.unlimited(maker.limits)
    async with context.control.changes.begin(context.actor) as change:
        if not maker.manages:
            await service.check_number(change, maker.user_id)
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


@routes.patch("/{key_id}")
async def change_key(key_id: KeyId, form: KeyPatch, context: Caller) -> Key:
    """Change a key. Its owner may narrow its limits and expiry; to widen those takes an administrator."""
    owner = _changer(context, key_id)
    fields: service.KeyFields = {}
    if "name" in form.model_fields_set:
        fields["name"] = form.name
    if "models" in form.model_fields_set:
        fields["models"] = form.models
    if "dialects" in form.model_fields_set:
        fields["dialects"] = form.dialects
    if "limits" in form.model_fields_set:
        fields["limits"] = _limits(form.limits)
    if "expires_at" in form.model_fields_set:
        fields["expires_at"] = form.expires_at
    async with context.control.changes.begin(context.actor) as change:
        row = await service.update_key(change, key_id, owner_id=owner, **fields)
        replaced = await queries.replaced_by(change.connection, key_id)
    return _shown(row, replaced)


@routes.post("/{key_id}/rotate")
async def rotate_key(key_id: KeyId, context: Caller, form: Annotated[Rotation | None, Body()] = None) -> MadeKey:
    """Make a key in place of this one, which works for `overlap_seconds` more. The answer holds the new key, once."""
    owner = _changer(context, key_id)
    async with context.control.changes.begin(context.actor) as change:
        row, token = await service.rotate(
            change,
            context.control.seal,
            key_id,
            overlap_seconds=form.overlap_seconds if form is not None else 0,
            owner_id=owner,
        )
    return MadeKey(**_shown(row).model_dump(), key=token)


@routes.delete("/{key_id}")
async def revoke_key(key_id: KeyId, context: Caller) -> Done:
    """Revoke a key: it is refused everywhere from now on. A key with bounds ends none but itself."""
    if key_id != context.principal.credential_id:
        _unbounded(context.principal)
    _refuse_declared(context, key_id)
    owner = None if context.principal.manages else context.principal.user_id
    async with context.control.changes.begin(context.actor) as change:
        await service.revoke(change, key_id, owner_id=owner)
    return Done()


def _permitted(principal: Principal) -> None:
    if API_KEYS not in principal.permissions:
        raise Problem(Kind.FORBIDDEN, "You may not make API keys; ask an administrator for it (features.api_keys).")


def _changer(context: Context, key_id: str) -> str | None:
    """Whose keys the caller may change: None for all. Raises Problem."""
    principal = context.principal
    _permitted(principal)
    _unbounded(principal)
    _refuse_declared(context, key_id)
    return None if principal.manages else principal.user_id


def _unbounded(principal: Principal) -> None:
    """A key changes no keys unless it is free of bounds: else it, or one that somebody took it from, could free itself."""
    service.unlimited(principal.limits)
    if is_confined(principal):
        raise Problem(
            Kind.FORBIDDEN,
            "A key that is limited to some models or dialects cannot change keys; sign in, or use another.",
        )
    if principal.credential_kind == "key" and principal.expires_at is not None:
        raise Problem(Kind.FORBIDDEN, "A key that expires cannot change keys; sign in, or use one that does not.")


def _refuse_declared(context: Context, key_id: str) -> None:
    for row in context.control.declared.credentials:
        if row.id == key_id:
            if not context.principal.manages and row.user_id != context.principal.user_id:
                raise Problem(Kind.NOT_FOUND, "There is no such key.")
            raise Problem(Kind.CONFLICT, f"This key is declared in the {row.source}; change it there and start again.")


def _may_make_for(context: Context, user_id: str) -> None:
    if not context.principal.manages:
        raise Problem(Kind.FORBIDDEN, "Only an administrator may make keys for somebody else.", param="user_id")
    if user_id not in context.control.users():
        raise Problem(Kind.NOT_FOUND, "There is no such user.", param="user_id")


def _limits(form: KeyLimits) -> Limits:
    return Limits(rpm=form.rpm, tpm=form.tpm, concurrency=form.concurrency)


def _expiry(wanted: int | None, makers: float | None) -> int | None:
    """A key that expires cannot make one that lives longer."""
    if makers is None:
        return wanted
    return int(makers) if wanted is None else min(wanted, int(makers))


def _shown(row: CredentialRow, replaced_by: str | None = None) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        hint=row.hint,
        models=None if row.models is None else list(row.models),
        dialects=None if row.dialects is None else list(row.dialects),
        expires_at=row.expires_at,
        limits=KeyLimits(rpm=row.limits.rpm, tpm=row.limits.tpm, concurrency=row.limits.concurrency),
        replaced_by=replaced_by,
        source=row.source,
        created_at=row.created_at,
    )
