"""API keys: made, listed, revoked."""

from collections.abc import Sequence

from modelyard.canonical.records import CredentialRow
from modelyard.canonical.snapshot import UNLIMITED, Limits
from modelyard.control.keys import queries
from modelyard.control.transaction import Change
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import KEY_PREFIX, Seal, mask, new_token


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
) -> tuple[CredentialRow, str]:
    """Make a key within a change. (row, the key itself: the only time it is known)"""
    moment = now()
    if expires_at is not None and expires_at <= moment:
        raise Problem(Kind.MALFORMED, "expires_at lies in the past; it is in Unix seconds.", param="expires_at")
    token = new_token(KEY_PREFIX)
    row = CredentialRow(
        id=ids.row_id(),
        user_id=user_id,
        digest=seal.digest(token),
        name=name,
        hint=mask(token),
        models=None if models is None else tuple(models),
        dialects=None if dialects is None else tuple(dialects),
        limits=limits,
        expires_at=expires_at,
        created_at=moment,
    )
    shown = {
        "name": name,
        "user_id": user_id,
        "models": None if models is None else list(models),
        "dialects": None if dialects is None else list(dialects),
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "concurrency": limits.concurrency,
        "expires_at": expires_at,
    }
    await queries.add(
        change.connection,
        {"id": row.id, "digest": row.digest, "hint": row.hint, "created_at": moment, **shown},
    )
    changes = {field: {"old": None, "new": value} for field, value in shown.items() if value is not None}
    await change.audit("key.created", row.id, changes=changes)
    change.publish("key", row.id)
    return row, token


def confined(wanted: Sequence[str] | None, own: frozenset[str] | None, field: str) -> None:
    """What a key hands out is a subset of what the key that makes it has. Raises Problem FORBIDDEN."""
    if own is not None and (wanted is None or not own.issuperset(wanted)):
        raise Problem(Kind.FORBIDDEN, f"A confined key cannot make one with more {field} than its own.", param=field)


def unlimited(own: Limits) -> None:
    """A key with limits cannot make keys: together they would exceed them. Raises Problem FORBIDDEN."""
    if own != UNLIMITED:
        raise Problem(Kind.FORBIDDEN, "A key with limits cannot make keys; sign in, or use a key without limits.")


async def revoke(change: Change, key_id: str, *, owner_id: str | None) -> None:
    """End a key, everywhere, at once. With `owner_id` only a key of that user: others' keys are not told apart from none."""
    row = await queries.one(change.connection, key_id)
    if row is None or (owner_id is not None and row.user_id != owner_id):
        raise Problem(Kind.NOT_FOUND, "There is no such key.")
    await queries.revoke(change.connection, key_id, now())
    await change.audit("key.revoked", key_id, changes={"name": {"old": row.name, "new": None}})
    change.publish("key", key_id)
