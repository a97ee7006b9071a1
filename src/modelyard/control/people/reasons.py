"""What somebody may do, and why: gathers what the pure rules need to know about a person, their groups and one model."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

from modelyard.canonical.records import GrantRow, GroupRow, ModelRow, UserRow
from modelyard.canonical.snapshot import PENDING, USER, Arena, Principal, Snapshot
from modelyard.control.catalogue import reading, sharing
from modelyard.control.catalogue.grants import EVERYONE
from modelyard.control.context import Context
from modelyard.control.groups import queries as group_queries
from modelyard.control.people.schemas import ModelRights, PermissionRights, RightDecision, Rights, RightsGroup
from modelyard.control.settings import table
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.people import compile_principal
from modelyard.core.errors import Kind, Problem
from modelyard.policy.access import may_use, named
from modelyard.policy.arena import entry_named, open_behind
from modelyard.policy.permissions import PERMISSIONS, defaults
from modelyard.policy.reasons import WAITING, Decision, Reason, why_base, why_draws, why_permitted, why_uses


async def rights_of(context: Context, user: UserRow, model_id: str | None) -> Rights:
    """Everything that decides what a user may do. Raises Problem NOT_FOUND for a model that the caller cannot know."""
    control = context.control
    async with control.database.read() as connection:
        stored = await group_queries.every(connection)
    groups = {row.id: row for row in (*stored, *control.declared.groups)}
    by_default = defaults(control.published.snapshot.settings[table.PERMISSIONS])
    # Administrators are bound by access control all alike, so the one who asks is like the one who is asked about.
    principal = compile_principal(user, groups, by_default, bypass_admin=context.principal.sees_all)
    given = {group_id: groups[group_id].permissions for group_id in principal.group_ids if group_id in groups}
    return Rights(
        user_id=user.id,
        role=user.role,
        groups=_groups(user, principal, groups),
        permissions=[
            PermissionRights(permission=path, **_shown(why_permitted(principal, path, by_default, given)).model_dump())
            for path in PERMISSIONS
        ],
        model=None if model_id is None else await _model(context, principal, model_id),
    )


async def _model(context: Context, principal: Principal, model_id: str) -> ModelRights:
    snapshot = context.control.published.snapshot
    entry = entry_named(snapshot, model_id)
    if entry is not None:
        return await _entry(context, principal, entry)
    row, rights = await reading.unguarded(context, model_id)
    model = named(snapshot, model_id)
    use = Decision(allowed=False) if model is None else why_uses(principal, model, snapshot)
    base = None if model is None else why_base(principal, model, snapshot)
    write = _why_writes(principal, row, rights)
    readable = row is not None and sharing.may_read(principal, row, rights, snapshot)
    if (row is None and model is None) or not (
        context.principal.manages or use.allowed or write.allowed or (readable and principal.role != PENDING)
    ):
        raise _unknown()
    known = model or row
    return ModelRights(
        id=model_id if known is None else known.id,
        name=row.name if row is not None else model.name if model is not None else model_id,
        state="served" if model is not None else "unavailable" if row is None or row.is_active else "inactive",
        use=_shown(use),
        base=None if base is None else _shown(base),
        behind=None,
        write=_shown(write),
    )


async def _entry(context: Context, principal: Principal, entry: Arena) -> ModelRights:
    """About an entry of the arena. It stands in the settings, which are the administrators'."""
    snapshot = context.control.published.snapshot
    if not (context.principal.manages or may_use(principal, entry.model, snapshot)):
        raise _unknown()
    behind = await number_behind(principal, entry, snapshot)
    use = why_draws(principal, entry, snapshot, behind)
    return ModelRights(
        id=entry.model.id,
        name=entry.model.name,
        state="served",
        use=_shown(use),
        base=None,
        behind=behind,
        write=_shown(_why_writes(principal, None, [])),
    )


async def number_behind(principal: Principal, entry: Arena, snapshot: Snapshot) -> int:
    """How many of the models behind an entry somebody may use."""
    found: set[str] = set()
    pace = Pace()
    for model in open_behind(principal, entry, snapshot):
        if model is not None:
            found.add(model.id)
        if pace.is_due:
            await pace.rest()
    return len(found)


def _unknown() -> Problem:
    return Problem(Kind.NOT_FOUND, "There is no such model, or you have no access to it.", param="model")


def _why_writes(principal: Principal, row: ModelRow | None, rights: list[GrantRow]) -> Decision:
    """About changing a model (`sharing.may_write`). One without a row of its own is governed by administrators."""
    if principal.role == PENDING:
        return WAITING
    if row is None:
        return Decision(allowed=True, reasons=(Reason("administrator"),)) if principal.manages else Decision(False)
    return Decision(sharing.may_write(principal, row, rights), tuple(_ways_to_write(principal, row, rights)))


def _ways_to_write(principal: Principal, row: ModelRow, rights: list[GrantRow]) -> Iterator[Reason]:
    bare = replace(principal, role=USER, group_ids=frozenset())
    ownerless = replace(row, user_id=None)
    if sharing.may_write(replace(bare, role=principal.role), ownerless, ()):
        yield Reason("administrator")
    if sharing.may_write(bare, row, ()):
        yield Reason("owner")
    for grant in rights:
        if not sharing.may_write(replace(bare, group_ids=principal.group_ids), ownerless, (grant,)):
            continue
        if grant.principal_type == "group":
            yield Reason("group", grant.principal_id)
        else:
            yield Reason("everyone" if grant.principal_id == EVERYONE else "person")


def _groups(user: UserRow, principal: Principal, groups: Mapping[str, GroupRow]) -> list[RightsGroup]:
    found = [groups[group_id] for group_id in principal.group_ids if group_id in groups]
    found.sort(key=lambda row: (row.name.casefold(), row.id))
    return [
        RightsGroup(id=row.id, name=row.name, parent_id=row.parent_id, direct=row.id in user.group_ids) for row in found
    ]


def _shown(decision: Decision) -> RightDecision:
    return RightDecision.model_validate(asdict(decision))
