"""API keys: made, changed, rotated, revoked."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from modelyard.canonical.records import CredentialRow
from modelyard.canonical.snapshot import UNLIMITED, Limits
from modelyard.control.keys import queries
from modelyard.control.transaction import Change, difference
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import KEY_PREFIX, Seal, mask, new_token

LONGEST_OVERLAP = 30 * 24 * 3600
MAX_KEYS = 1000  # of one person who is no administrator: each is in the memory of every process


class KeyFields(TypedDict, total=False):
    """What can be changed of a key. None: no bound. `expires_at` is in Unix seconds."""

    name: str
    models: Sequence[str] | None
    dialects: Sequence[str] | None
    limits: Limits
    expires_at: int | None


async def add_key(
    change: Change,
    seal: Seal,
    *,
    name: str,
    user_id: str,
    models: Sequence[str] | None = None,
    dialects: Sequence[str] | None = None,
    limits: Limits = UNLIMITED,
    expires_at: int | None = None,
    token: str | None = None,
) -> tuple[CredentialRow, str]:
    """Make a key within a change. (row, the key itself: the only time it is known)

    `token` is a key that an operator chose. Raises Problem MALFORMED for a past expiry, CONFLICT for a token in use.
    """
    secret = new_token(KEY_PREFIX) if token is None else token
    digest = seal.digest(secret)
    if token is not None and await queries.is_taken(change.connection, digest):
        raise Problem(Kind.CONFLICT, "This key is in use, or was: give another one.", param="key")
    row = _row(name, user_id, models, dialects, limits, expires_at)
    row = replace(row, digest=digest, hint=mask(secret))
    await _add(change, row)
    return row, secret


async def check_number(change: Change, user_id: str) -> None:
    """Raises Problem CONFLICT when a user has as many keys as one may; expired ones count while their callers are told."""
    if await queries.number_of(change.connection, user_id, now()) >= MAX_KEYS:
        raise Problem(Kind.CONFLICT, f"There are {MAX_KEYS} keys of yours already; revoke some that you do not need.")


async def add_key_without_secret(
    change: Change,
    *,
    name: str,
    user_id: str,
    models: Sequence[str] | None = None,
    dialects: Sequence[str] | None = None,
    limits: Limits = UNLIMITED,
    expires_at: int | None = None,
) -> CredentialRow:
    """Make a key that nobody can use until `rotate` gives it a secret. Its hint is empty."""
    row = replace(_row(name, user_id, models, dialects, limits, expires_at), digest=secrets.token_bytes(32))
    await _add(change, row)
    return row


async def update_key(
    change: Change, key_id: str, *, owner_id: str | None = None, **fields: Unpack[KeyFields]
) -> CredentialRow:
    """Change a key; fields that are left out keep their value. With `owner_id` only a key of that user, and only so that
    its limits and expiry become tighter: to lift them takes an administrator. Raises Problem."""
    old = await _stored(change, key_id, owner_id)
    row = old
    if "name" in fields:
        row = replace(row, name=fields["name"])
    if "models" in fields:
        row = replace(row, models=_tuple(fields["models"]))
    if "dialects" in fields:
        row = replace(row, dialects=_tuple(fields["dialects"]))
    if "limits" in fields:
        row = replace(row, limits=fields["limits"])
    if "expires_at" in fields and fields["expires_at"] != old.expires_at:
        row = replace(row, expires_at=_future(fields["expires_at"]))
    if owner_id is not None:
        _not_lifted(old, row)
    noted = difference(_noted(old), _noted(row))
    if not noted:
        return old
    await queries.change(change.connection, key_id, _noted(row))
    await change.audit("key.updated", key_id, changes=noted)
    change.publish("key", key_id)
    return row


async def rotate(
    change: Change, seal: Seal, key_id: str, *, overlap_seconds: int = 0, owner_id: str | None = None
) -> tuple[CredentialRow, str]:
    """Make a key in place of another one, with all that it has but its secret. (the new row, the new key itself)

    The old one works for `overlap_seconds` more and has its limits beside those of the new one; so at most two of a line
    of keys work at any time. A key without a secret gets its first one and stays the same key. Raises Problem.
    """
    old = await _stored(change, key_id, owner_id)
    moment = now()
    if not 0 <= overlap_seconds <= LONGEST_OVERLAP:
        raise Problem(
            Kind.MALFORMED, f"overlap_seconds must be 0 to {LONGEST_OVERLAP} (30 days).", param="overlap_seconds"
        )
    if old.expires_at is not None and old.expires_at <= moment:
        raise Problem(Kind.CONFLICT, "This key has expired; make a new one.")
    secret = new_token(KEY_PREFIX)
    if not old.hint:
        row = replace(old, digest=seal.digest(secret), hint=mask(secret))
        await queries.change(change.connection, key_id, {"digest": row.digest, "hint": row.hint})
        await change.audit("key.rotated", key_id, changes=difference({"hint": ""}, {"hint": row.hint}))
        change.publish("key", key_id)
        return row, secret
    if await queries.replaced_by(change.connection, key_id) is not None:
        raise Problem(Kind.CONFLICT, "This key was rotated already; rotate the one in its place.")
    if await queries.still_replaced(change.connection, key_id, moment):
        raise Problem(Kind.CONFLICT, "The key that this one replaces works still; revoke it first.")
    if owner_id is not None:
        await check_number(change, owner_id)
    row = replace(old, id=ids.row_id(), digest=seal.digest(secret), hint=mask(secret), created_at=moment)
    await _add(change, row)
    ends = moment + overlap_seconds if old.expires_at is None else min(old.expires_at, moment + overlap_seconds)
    await queries.change(change.connection, key_id, {"expires_at": ends, "replaced_by": row.id})
    noted = difference({"expires_at": old.expires_at, "replaced_by": None}, {"expires_at": ends, "replaced_by": row.id})
    await change.audit("key.rotated", key_id, changes=noted)
    change.publish("key", key_id)
    return row, secret


async def revoke(change: Change, key_id: str, *, owner_id: str | None) -> None:
    """End a key, everywhere, at once. With `owner_id` only a key of that user: others' keys are not told apart from none."""
    row = await _stored(change, key_id, owner_id)
    await queries.revoke(change.connection, key_id, now())
    await change.audit("key.revoked", key_id, changes={"name": {"old": row.name, "new": None}})
    change.publish("key", key_id)


def confined(wanted: Sequence[str] | None, own: frozenset[str] | None, field: str) -> None:
    """What a key hands out is a subset of what the key that makes it has. Raises Problem FORBIDDEN."""
    if own is not None and (wanted is None or not own.issuperset(wanted)):
        raise Problem(
            Kind.FORBIDDEN, f"This key is limited to some {field}: name {field}, and only its own.", param=field
        )


def unlimited(own: Limits) -> None:
    """A key with limits cannot make keys: together they would exceed them. Raises Problem FORBIDDEN."""
    if own != UNLIMITED:
        raise Problem(Kind.FORBIDDEN, "A key with limits cannot make keys; sign in, or use a key without limits.")


def _not_lifted(old: CredentialRow, row: CredentialRow) -> None:
    bounds = {
        "limits.rpm": (old.limits.rpm, row.limits.rpm),
        "limits.tpm": (old.limits.tpm, row.limits.tpm),
        "limits.concurrency": (old.limits.concurrency, row.limits.concurrency),
        "expires_at": (old.expires_at, row.expires_at),
    }
    for field, (before, wanted) in bounds.items():
        if before is not None and (wanted is None or wanted > before):
            raise Problem(
                Kind.FORBIDDEN, f"{field}: only an administrator may raise what bounds a key ({before}).", param=field
            )


async def _stored(change: Change, key_id: str, owner_id: str | None) -> CredentialRow:
    row = await queries.one(change.connection, key_id)
    if row is None or (owner_id is not None and row.user_id != owner_id):
        raise Problem(Kind.NOT_FOUND, "There is no such key.")
    return row


def _row(
    name: str,
    user_id: str,
    models: Sequence[str] | None,
    dialects: Sequence[str] | None,
    limits: Limits,
    expires_at: int | None,
) -> CredentialRow:
    return CredentialRow(
        id=ids.row_id(),
        user_id=user_id,
        digest=b"",
        name=name,
        models=_tuple(models),
        dialects=_tuple(dialects),
        limits=limits,
        expires_at=_future(expires_at),
        created_at=now(),
    )


async def _add(change: Change, row: CredentialRow) -> None:
    noted = {"user_id": row.user_id, **_noted(row)}
    await queries.add(
        change.connection,
        {**noted, "id": row.id, "digest": row.digest, "hint": row.hint, "created_at": row.created_at},
    )
    await change.audit("key.created", row.id, changes=difference({}, noted))
    change.publish("key", row.id)


def _noted(row: CredentialRow) -> dict[str, Any]:
    """What can be changed of a key, as it is stored and as the audit log keeps it."""
    return {
        "name": row.name,
        "models": None if row.models is None else list(row.models),
        "dialects": None if row.dialects is None else list(row.dialects),
        "rpm": row.limits.rpm,
        "tpm": row.limits.tpm,
        "concurrency": row.limits.concurrency,
        "expires_at": row.expires_at,
    }


def _future(expires_at: int | None) -> int | None:
    if expires_at is not None and expires_at <= now():
        raise Problem(Kind.MALFORMED, "expires_at lies in the past; it is in Unix seconds.", param="expires_at")
    return expires_at


def _tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
