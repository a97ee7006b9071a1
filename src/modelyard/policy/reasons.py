"""Why somebody may or may not. No rule is written here: the functions that decide are asked again with one source of rights
at a time (the role, ownership, one grant, one group), and each that they answer yes to by itself is a reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from modelyard.canonical.snapshot import PENDING, Arena, Model, Principal, Readers, Snapshot
from modelyard.policy.access import may_use, reads
from modelyard.policy.permissions import granted

Kind = Literal[
    "pending", "administrator", "owner", "everyone", "person", "group", "default", "open_catalogue", "preset_owner"
]


@dataclass(frozen=True, slots=True)
class Reason:
    """One source of a right, or of its refusal (`pending`). `group_id` for kind `group`; None for every other."""

    kind: Kind
    group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided, and everything that by itself would decide so. No reason: nothing gives it."""

    allowed: bool
    reasons: tuple[Reason, ...] = ()


WAITING = Decision(allowed=False, reasons=(Reason("pending"),))


def why_permitted(
    principal: Principal, path: str, by_default: frozenset[str], groups: Mapping[str, Mapping[str, bool]]
) -> Decision:
    """About one permission. `groups` maps the principal's groups, and those above, to what each grants."""
    if principal.role == PENDING:
        return WAITING
    reasons = []
    if principal.is_admin:
        reasons.append(Reason("administrator"))
    if path in by_default:
        reasons.append(Reason("default"))
    reasons.extend(
        Reason("group", group_id)
        for group_id in sorted(principal.group_ids)
        if path in granted(frozenset(), (groups.get(group_id, {}),))
    )
    return Decision(path in principal.permissions, tuple(reasons))


def why_reads(principal: Principal, readers: Readers, owner_id: str | None) -> Decision:
    """About one object that is open to some (`access.reads`)."""
    return Decision(reads(principal, readers, owner_id), tuple(_openings(principal, readers, owner_id)))


def why_uses(principal: Principal, model: Model, snapshot: Snapshot) -> Decision:
    """About calling a model (`access.may_use`). Reasons are those of the model itself; `why_base` tells of its base."""
    if principal.role == PENDING:
        return WAITING
    reasons = why_reads(principal, model.readers, model.owner_id).reasons
    if snapshot.open_catalogue:
        reasons = (Reason("open_catalogue"), *reasons)
    return Decision(may_use(principal, model, snapshot), reasons)


def why_draws(principal: Principal, entry: Arena, snapshot: Snapshot, behind: int) -> Decision:
    """About calling an arena entry behind which so many models are open to this principal (`arena.open_behind`). Reasons are
    those of the entry itself: it opens none of its models, so nobody calls it who may use none of them."""
    decision = why_uses(principal, entry.model, snapshot)
    return replace(decision, allowed=decision.allowed and behind > 0)


def why_base(principal: Principal, model: Model, snapshot: Snapshot) -> Decision | None:
    """About the base of a preset, called through it: by one's own right or by that of the preset's owner. None: no base."""
    if model.base is None:
        return None
    own = why_uses(principal, model.base, snapshot)
    if principal.role == PENDING or not model.opens_base:
        return own
    return Decision(allowed=True, reasons=(*own.reasons, Reason("preset_owner")))


def _openings(principal: Principal, readers: Readers, owner_id: str | None) -> Iterator[Reason]:
    if reads(replace(principal, group_ids=frozenset()), Readers(), None):
        yield Reason("administrator")
    bare = replace(principal, sees_all=False, group_ids=frozenset())
    if reads(bare, Readers(), owner_id):
        yield Reason("owner")
    if reads(bare, Readers(everyone=readers.everyone), None):
        yield Reason("everyone")
    if reads(bare, Readers(user_ids=readers.user_ids), None):
        yield Reason("person")
    for group_id in sorted(principal.group_ids):
        if reads(replace(bare, group_ids=frozenset({group_id})), Readers(group_ids=readers.group_ids), None):
            yield Reason("group", group_id)
