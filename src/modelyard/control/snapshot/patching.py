"""Lays what was read into a draft of the picture and compiles what it changes, in slices."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.canonical.records import DATABASE, Declared, GroupRow, Offer, UserRow
from modelyard.canonical.snapshot import Principal
from modelyard.control.settings.table import PERMISSIONS
from modelyard.control.snapshot.models import PRIVATE, compile_access, compile_base, compile_preset, without
from modelyard.control.snapshot.offered import Offered, offered_by
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.people import compile_credential, compile_principal
from modelyard.control.snapshot.picture import STORED_CREDENTIALS, Facts, Picture, Position, blank, kept
from modelyard.policy.access import LATEST, found_as, other_spelling, speaking
from modelyard.policy.permissions import defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What stays as it is as long as the process runs."""

    declared: Declared
    initial_settings: Mapping[str, Any]
    preset_wins: bool
    bypass_admin: bool
    groups: Mapping[str, GroupRow] = field(init=False)
    users: Mapping[str, UserRow] = field(init=False)
    models: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", {row.id: row for row in self.declared.groups})
        object.__setattr__(self, "users", {row.id: row for row in self.declared.users})
        object.__setattr__(self, "models", {row.id: at for at, row in enumerate(self.declared.models)})

    def position_of(self, model_id: str, created_at: int) -> Position:
        """Where a preset stands in the list."""
        at = self.models.get(model_id)
        return (len(self.models), created_at, model_id) if at is None else (at, 0, model_id)


async def lay(before: Picture, facts: Facts, offers: Mapping[str, Offer], rules: Rules, pace: Pace) -> Picture:
    """A new picture of what was read and of these offers: a patched one is equal to one of everything at that version.

    What is as it was in `before` is the same object; a connection keeps its pool that way.
    """
    draft = blank(rules.declared) if facts.whole else before.draft()
    moved = await _lay_people(draft, before, facts, rules, pace)
    if facts.connections is not None:
        draft.connections = [*rules.declared.connections, *facts.connections]
    if facts.connections is not None or offers is not before.offered.offers:
        draft.offered = await offered_by(draft.connections, offers, before.offered, pace)
    await _lay_models(draft, before, facts, moved, rules, pace)
    draft.version = facts.version
    return draft


async def _lay_people(draft: Picture, before: Picture, facts: Facts, rules: Rules, pace: Pace) -> set[str]:
    """Settings, groups, users, credentials. Returns the users who may read other models than before."""
    changed = set(draft.users) if facts.whole else set()
    if facts.settings is not None:
        draft.settings = {**rules.initial_settings, **facts.settings}
        if before.settings.get(PERMISSIONS) != draft.settings[PERMISSIONS]:
            changed.update(draft.users)
    if facts.groups is not None:
        changed.update(_lay_groups(draft, facts.groups, rules))
    for group_id, members in facts.members.items():
        changed.update(_lay_members(draft, group_id, members))
        if pace.is_due:
            await pace.rest()
    for user_id, stored in facts.users.items():
        _lay_user(draft, user_id, stored or rules.users.get(user_id), facts)
        changed.add(user_id)
        if pace.is_due:
            await pace.rest()
    for key, credential in facts.credentials.items():
        draft.drop_credential(key)
        if credential is not None:
            draft.put_credential(credential)
        if pace.is_due:
            await pace.rest()
    return await _compile_people(draft, before, changed, facts, rules, pace)


def _lay_groups(draft: Picture, stored: Iterable[GroupRow], rules: Rules) -> list[str]:
    """All groups. Returns the users whom a change of theirs concerns, as members or from further down."""
    before = draft.groups
    draft.groups = {**rules.groups, **{row.id: row for row in stored}}
    changed = {name for name in before.keys() | draft.groups.keys() if before.get(name) != draft.groups.get(name)}
    return [user_id for user_id, who in draft.principals.items() if not changed.isdisjoint(who.group_ids)]


def _lay_members(draft: Picture, group_id: str, members: Collection[str]) -> list[str]:
    """Who was put into this group. Returns the users for whom that is new."""
    changed = [
        user
        for user in draft.users.values()
        if user.source == DATABASE and (group_id in user.group_ids) != (user.id in members)
    ]
    for user in changed:
        draft.users[user.id] = replace(user, group_ids=user.group_ids ^ {group_id})
    return [user.id for user in changed]


def _lay_user(draft: Picture, user_id: str, row: UserRow | None, facts: Facts) -> None:
    if row is None:
        draft.users.pop(user_id, None)
    else:
        draft.users[user_id] = row
    for key in list(draft.credentials_of.of(user_id)):
        if key[0] in STORED_CREDENTIALS and key not in facts.credentials:
            draft.drop_credential(key)


async def _compile_people(
    draft: Picture, before: Picture, changed: Collection[str], facts: Facts, rules: Rules, pace: Pace
) -> set[str]:
    by_default = defaults(draft.settings[PERMISSIONS])
    moved: set[str] = set()
    again = set(draft.credentials if facts.whole else ())
    again.update(key for key, credential in facts.credentials.items() if credential is not None)
    for user_id in changed:
        user, known = draft.users.get(user_id), before.principals.get(user_id)
        who = None
        if user is None:
            draft.principals.pop(user_id, None)
        else:
            who = kept(compile_principal(user, draft.groups, by_default, bypass_admin=rules.bypass_admin), known)
            draft.principals[user_id] = who
        if who is not known:
            again.update(draft.credentials_of.of(user_id))
            if _reach(who) != _reach(known):
                moved.add(user_id)
        if pace.is_due:
            await pace.rest()
    for key in again:
        row = draft.credentials[key]
        owner = draft.principals.get(row.user_id)
        if owner is None:
            draft.by_digest.pop(row.digest, None)
        else:
            draft.by_digest[row.digest] = kept(compile_credential(row, owner), before.by_digest.get(row.digest))
        if pace.is_due:
            await pace.rest()
    return moved


def _reach(who: Principal | None) -> object:
    """What decides which models somebody may read."""
    return None if who is None else (who.role, who.sees_all, who.group_ids)


async def _lay_models(
    draft: Picture, before: Picture, facts: Facts, moved: Iterable[str], rules: Rules, pace: Pace
) -> None:
    """Rows, then base models, then the presets that stand on them."""
    names = await _other_base_models(before.offered, draft.offered, pace)
    renewed = await _ungrant(draft, facts, rules, pace)
    for model_id, row in facts.models.items():
        if model_id in rules.models:
            continue  # what a file declares stands, whatever is stored under its id
        if row is None:
            draft.drop_row(model_id)
        else:
            access = compile_access(facts.grants.pop(model_id, ()))
            draft.put_row(row, kept(access, before.access.get(model_id)))
        renewed.add(model_id)
        if pace.is_due:
            await pace.rest()
    names |= renewed
    if facts.whole:
        names.update(draft.offered.models, draft.rows)
    else:
        names.update([other_spelling(name) for name in names])  # a row governs its `:latest` too
    presets = await _compile_bases(draft, before, names, renewed, rules, pace)
    for owner_id in moved:
        presets.update(draft.owned.of(owner_id))
    await _compile_presets(draft, before, presets, renewed, rules, pace)
    is_other_order = facts.whole or before.offered.models is not draft.offered.models
    if is_other_order:
        await pace.rest()
        draft.bases = {name: draft.bases[name] for name in draft.offered.models if name in draft.bases}
    if names or presets or is_other_order:
        await pace.rest()
        draft.models = {**draft.bases, **draft.presets}


async def _ungrant(draft: Picture, facts: Facts, rules: Rules, pace: Pace) -> set[str]:
    """Take away what was granted to those who have nothing any more. Returns the models that named them.

    Nothing is read for that: a group may be named in thousands of models.
    """
    found: set[str] = set()
    user_ids, group_ids = facts.ungranted_users, facts.ungranted_groups
    if not user_ids and not group_ids:
        return found
    for model_id, access in draft.access.items():
        left = without(access, user_ids, group_ids)
        if left is not access and model_id not in rules.models:
            draft.access[model_id] = left
            found.add(model_id)
        if pace.is_due:
            await pace.rest()
    return found


async def _other_base_models(before: Offered, after: Offered, pace: Pace) -> set[str]:
    """The names that connections offer otherwise than before."""
    names: set[str] = set()
    if before.models is after.models:
        return names
    for name in before.models.keys() | after.models.keys():
        if before.models.get(name) is not after.models.get(name):
            names.add(name)
        if pace.is_due:
            await pace.rest()
    return names


async def _compile_bases(
    draft: Picture, before: Picture, names: Iterable[str], renewed: Collection[str], rules: Rules, pace: Pace
) -> set[str]:
    """Those of these names that are base models. Returns the presets for which that, or a row in `renewed`, may make a
    difference: what stands on one or has the name of one."""
    offered = draft.offered.models
    presets: set[str] = set()
    is_longer = False
    for name in names:
        presets.add(name)
        base, known = offered.get(name), draft.bases.get(name)
        override = None if base is None else speaking(name, draft.rows, offered.__contains__)
        now = None
        if base is not None and (override is None or override.is_active):
            access = PRIVATE if override is None else draft.access.get(override.id, PRIVATE)
            now = compile_base(name, base, override, access, preset_wins=rules.preset_wins)
            draft.bases[name] = now = kept(now, before.bases.get(name))
            is_longer = is_longer or known is None
        elif known is not None:
            draft.bases.pop(name, None)
        if now is not known or name in renewed:
            for spelling in (name, name.removesuffix(LATEST), name + LATEST):
                presets.update(draft.presets_on.of(spelling))
        if pace.is_due:
            await pace.rest()
    if is_longer:
        await pace.rest()
        draft.bases = {name: draft.bases[name] for name in offered if name in draft.bases}
    return presets


async def _compile_presets(
    draft: Picture, before: Picture, names: Iterable[str], renewed: Collection[str], rules: Rules, pace: Pace
) -> None:
    """Those of these names that are presets. The row or the access of those in `renewed` is another than before.

    Only a base model is stood on: a preset over a preset would lead past who may use the lower one. And a base model
    keeps its name against a preset, also while it is switched off.
    """
    is_unordered = False

    def is_closed(name: str) -> bool:
        """True for the name of a base model that is switched off: calls of it do not reach its other spelling, either."""
        row = draft.rows.get(name)
        return row is not None and row.base_model_id is None and not row.is_active

    for name in names:
        row, known = draft.rows.get(name), draft.presets.get(name)
        was_at = None if known is None else rules.position_of(name, known.created)
        if row is None or row.base_model_id is None or not row.is_active or name in draft.offered.models:
            draft.presets.pop(name, None)
            is_at = None
        else:
            base = found_as(row.base_model_id, draft.bases, is_closed)
            owner = None if row.user_id is None else draft.principals.get(row.user_id)
            now = compile_preset(
                row,
                base,
                draft.access[name],
                owner,
                preset_wins=rules.preset_wins,
                known=None if name in renewed else known,
            )
            draft.presets[name] = kept(now, before.presets.get(name))
            is_at = rules.position_of(name, row.created_at)
        if is_at != was_at:
            if was_at is not None:
                draft.unplace(was_at)
            if is_at is not None:
                draft.place(is_at)
                is_unordered = is_unordered or was_at is not None or draft.order[-1] != is_at
        if pace.is_due:
            await pace.rest()
    if is_unordered:
        await pace.rest()
        draft.presets = {name: draft.presets[name] for _, _, name in draft.order}
