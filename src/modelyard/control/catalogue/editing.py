"""One edit of the catalogue as a person makes it: whose row, whether they may, what follows. Used by all writing routes."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import finding, images, queries, service, sharing
from modelyard.control.catalogue.activity import Activity
from modelyard.control.catalogue.finding import Fetch
from modelyard.control.catalogue.grants import EVERYONE, MODEL, grants_from_rows, grants_of
from modelyard.control.catalogue.queries import Stored
from modelyard.control.catalogue.schemas import Model
from modelyard.control.catalogue.shown import shown
from modelyard.control.context import Context
from modelyard.control.transaction import Change
from modelyard.core import ids
from modelyard.core.errors import Kind, Problem
from modelyard.policy.access import other_spelling
from modelyard.policy.display_names import shown_name
from modelyard.policy.permissions import WORKSPACE_MODELS

MAX_PRESETS = 10_000  # of one person who is no administrator


def rights_given(
    model_id: str, form: Mapping[str, Any], old: Collection[GrantRow] | None = None
) -> list[GrantRow] | None:
    """The grants that a form asks for by `access_grants` or `access_control`, None when it names neither.

    Clients send back all that they have read and change the one that they know: of two that say different things, the one
    that is not as it was (`old`) counts; else only what both allow.
    """
    lists = grants_of(model_id, form["access_control"]) if "access_control" in form else None
    rows = form.get("access_grants")
    if rows is None:
        return lists
    rights = grants_from_rows(model_id, rows)
    if lists is None or (old is not None and set(lists) == set(old)):
        return rights
    if old is not None and set(rights) == set(old):
        return lists
    both = set(lists)
    return [grant for grant in rights if grant in both]


def check_undeclared(context: Context, model_id: str) -> None:
    """Raises Problem for a row that a file declares: CONFLICT, or NOT_FOUND to those who may not see it."""
    who, declared = context.principal, context.control.declared
    row = next((row for row in declared.models if row.id == model_id), None)
    if row is None:
        return
    rights = [grant for grant in declared.grants if grant.resource_type == MODEL and grant.resource_id == model_id]
    if sharing.may_write(who, row, rights):
        raise Problem(
            Kind.CONFLICT, "This model is declared in yard.yaml; change it there and start again.", param="id"
        )
    raise _refused(context, row, rights)


async def writable(context: Context, connection: AsyncConnection, model_id: str) -> Stored:
    """The row that is meant by a name (`finding.meant`), when the caller may change it. One that they may not see is not
    told apart from none. Raises Problem."""
    return await _writable(context, model_id, partial(queries.stored_by_id, connection))


async def _writable(context: Context, model_id: str, fetch: Fetch) -> Stored:
    sharing.check_unconfined(context.principal)
    found = await finding.meant(context, model_id, fetch)
    check_undeclared(context, model_id if found is None else found.row.id)
    return check_writable(context, found)


def check_writable(context: Context, stored: Stored | None) -> Stored:
    """The row, when there is one that the caller may change. Raises Problem."""
    if stored is None:
        raise _unknown()
    if not sharing.may_write(context.principal, stored.row, stored.rights):
        raise _refused(context, stored.row, stored.rights)
    return stored


def _refused(context: Context, row: ModelRow, rights: Collection[GrantRow]) -> Problem:
    if not sharing.may_read(context.principal, row, rights, context.control.published.snapshot):
        return _unknown()
    return Problem(Kind.FORBIDDEN, "You may use this model but not change it; ask its owner for write access.")


def _unknown() -> Problem:
    return Problem(Kind.NOT_FOUND, "There is no such model, or you have no access to it.", param="id")


class Edit:
    """What one person does within one transaction. `write` before its end, `activity.tell` after the commit."""

    def __init__(self, context: Context, change: Change) -> None:
        self.context = context
        self.change = change
        self.batch = service.Batch(change)
        self.activity = Activity()
        self._declared = frozenset(row.id for row in context.control.declared.models)
        self._loaded: dict[str, Stored | None] = {}
        self._groups: dict[str, bool] | None = None
        self._owned: int | None = None

    async def load(self, model_ids: Sequence[str]) -> list[Stored]:
        """Read these rows at once, for what comes. What was done before is written."""
        await self.write()
        self._loaded = await queries.stored_by_id(self.change.connection, model_ids)
        return [stored for stored in self._loaded.values() if stored is not None]

    async def load_named(self, model_ids: Sequence[str]) -> None:
        """Read these rows and those of the other spelling of their names."""
        await self.load([*model_ids, *(other_spelling(model_id) for model_id in model_ids)])

    async def write(self) -> None:
        """Write what was done so far."""
        await self.batch.write()
        self._loaded = {}

    async def find(self, model_id: str) -> Stored | None:
        """The stored row. Raises Problem for one that a file declares."""
        check_undeclared(self.context, model_id)
        return (await self._fetch([model_id]))[model_id]

    async def _fetch(self, model_ids: Collection[str]) -> Mapping[str, Stored | None]:
        """What was loaded, the others from the database."""
        if all(model_id in self._loaded for model_id in model_ids):
            return {model_id: self._loaded[model_id] for model_id in model_ids}
        return await queries.stored_by_id(self.change.connection, model_ids)

    async def speaking(self, model_id: str) -> Stored | None:
        """The row that speaks for a model (`policy.access.speaking`). Raises Problem for one that a file declares."""
        found = await finding.speaking(self.context, model_id, self._fetch)
        if found is not None:
            check_undeclared(self.context, found.row.id)
        return found

    async def writable(self, model_id: str) -> Stored:
        """The row that is meant by a name (`finding.meant`), when the caller may change it. Raises Problem."""
        return await _writable(self.context, model_id, self._fetch)

    async def removable(self, model_id: str) -> Stored:
        """The row of this very id, when the caller may change it: who repeats a delete must not reach another row."""
        sharing.check_unconfined(self.context.principal)
        return check_writable(self.context, await self.find(model_id))

    def is_declared(self, model_id: str) -> bool:
        """True for a row that a file declares."""
        return model_id in self._declared

    async def free(self, model_id: str) -> None:
        """Raises Problem CONFLICT when the id is taken, by a row of the database or of a file.

        The other spelling of somebody else's model counts as well: its callers use both. An administrator may part them.
        """
        if self.is_declared(model_id) or await self.find(model_id) is not None:
            raise service.taken(model_id)
        if not self.context.principal.manages and not await self._is_own_twin(other_spelling(model_id)):
            raise service.taken(other_spelling(model_id))

    async def _is_own_twin(self, model_id: str) -> bool:
        """True when the row is the caller's, or there is none."""
        if self.is_declared(model_id):
            return False
        stored = await self.find(model_id)
        return stored is None or stored.row.user_id == self.context.principal.user_id

    async def is_ungoverned(self, model_id: str) -> bool:
        """True for a base model without a row, where an administrator may make one."""
        who, snapshot = self.context.principal, self.context.control.published.snapshot
        if not who.manages or not sharing.is_offered(snapshot, model_id) or self.is_declared(model_id):
            return False
        # Rows of the other spelling govern it, too, and another process may have made one just now.
        return snapshot.models[model_id].info is None and await self.speaking(model_id) is None

    async def govern(self, form: Mapping[str, Any]) -> Stored:
        """The override that an act on a base model without one needs, by default under the name that the model is known by.

        It activates nothing: the model was in use before.
        """
        model = self.context.control.published.snapshot.models.get(form["id"])
        name = form["id"] if model is None else shown_name(model)
        return await self._add({"name": name, **form})

    async def make_way(self, model_id: str) -> None:
        """Where an administrator governs a base model: a preset that took its name before it was offered goes to the trash.

        Nobody could call it any more; it would keep the base model from having a row.
        """
        snapshot = self.context.control.published.snapshot
        if not (self.context.principal.manages and sharing.is_offered(snapshot, model_id)):
            return
        stored = None if self.is_declared(model_id) else await self.find(model_id)
        if stored is not None and stored.row.base_model_id is not None:
            await self.remove(stored, ids.row_id())
            await self.write()

    async def _check_number(self) -> None:
        """Raises Problem CONFLICT when the caller, who is no administrator, owns as many presets as one may."""
        who = self.context.principal
        if who.manages:
            return
        if self._owned is None:
            self._owned = await queries.number_owned(self.change.connection, who.user_id)
        if self._owned >= MAX_PRESETS:
            raise Problem(Kind.CONFLICT, f"You own {MAX_PRESETS} models already; delete some that you do not need.")

    async def create(self, form: Mapping[str, Any]) -> Stored:
        """Add a row of the caller's; the permission to do so is the route's to ask. Raises Problem."""
        return self.noted(None, await self._add(form))

    async def _add(self, form: Mapping[str, Any]) -> Stored:
        principal = self.context.principal
        self._check_base(form["id"], form.get("base_model_id"), is_new=True)
        service.check_new_id(form["id"], form.get("base_model_id"))
        if form.get("base_model_id") is None:
            await self.make_way(form["id"])
        await self.free(form["id"])
        rights = rights_given(form["id"], form) or []
        await self._check_grants([], rights)
        await self._check_number()
        return await self.batch.create(
            {**form, "meta": await self._with_picture(form.get("meta") or {})},
            rights,
            owner_id=principal.user_id,
            message=form.get("commit_message"),
        )

    async def _with_picture(self, meta: Mapping[str, Any]) -> Mapping[str, Any]:
        """A copy of a model comes with the path of the original's picture, as lists show it: it gets the picture."""
        address = meta.get(images.FIELD)
        if not isinstance(address, str) or address.partition("?")[0] != images.IMAGE_PATH:
            return meta
        model_id = parse_qs(address.partition("?")[2]).get("id", [""])[0]
        original = await queries.stored(self.change.connection, model_id)
        snapshot = self.context.control.published.snapshot
        if original is None or not sharing.may_read(self.context.principal, original.row, original.rights, snapshot):
            return meta
        return images.put_back(meta, original.image)

    async def update(self, stored: Stored, form: Mapping[str, Any]) -> Stored:
        """Change a row that the caller may write. Fields that the form leaves out keep their value. Raises Problem."""
        check_version(stored, form.get("version_id"))
        given = {name: form[name] for name in ("name", "params", "meta", "is_active") if form.get(name) is not None}
        if "meta" in given and form.get("version_id") is not None:
            # Whoever names the version has read this, too, but a change of it makes no version that they could miss.
            given["meta"] = {**service.unversioned(stored.row.meta), **given["meta"]}
        if "base_model_id" in form:
            self.check_base(stored, form["base_model_id"])
            if stored.row.base_model_id is None:
                service.check_new_id(stored.row.id, form["base_model_id"])
            given["base_model_id"] = form["base_model_id"]
        rights = rights_given(stored.row.id, form, stored.rights)
        if rights is not None:
            await self._check_grants(stored.rights, rights)
        changed = await self.batch.update(stored, given, rights, message=form.get("commit_message"))
        return self.noted(stored, changed)

    def check_base(self, stored: Stored, base_model_id: str | None) -> None:
        """Raises Problem unless the row stands on this base already or the caller may put it there."""
        old = stored.row.base_model_id
        if base_model_id != old:
            # An override that becomes a preset would take the name of its base model.
            self._check_base(stored.row.id, base_model_id, is_new=old is None)

    def _check_base(self, model_id: str, base_model_id: str | None, *, is_new: bool) -> None:
        control = self.context.control
        snapshot, offers = control.published.snapshot, control.is_offered
        sharing.check_base(self.context.principal, model_id, base_model_id, snapshot, offers, is_new=is_new)

    async def set_active(self, stored: Stored, active: bool) -> Stored:
        """Activate or deactivate a row."""
        return self.noted(stored, await self.batch.update(stored, {"is_active": active}))

    async def share(self, stored: Stored, rights: Sequence[GrantRow]) -> Stored:
        """Set who may read and write a row."""
        await self._check_grants(stored.rights, rights)
        return self.noted(stored, await self.batch.update(stored, {}, rights))

    async def remove(self, stored: Stored, batch_id: str) -> None:
        """Delete a row; it can be restored."""
        by_administrator = self.context.principal.manages
        await self.batch.remove(stored, batch_id=batch_id, by_administrator=by_administrator)
        self.activity.note(stored, None)

    async def restore(self, found: RowMapping) -> Stored:
        """Put a deleted row back, without grants to who is gone or that the caller may not hand out (any more).

        Raises Problem CONFLICT when its id is taken.
        """
        await self.free(found["entity_id"])
        await self._check_number()
        who, groups = self.context.principal, await self.group_ids()
        known = {EVERYONE, *self.context.control.users(), *groups}
        shared = {name for name, share in groups.items() if share}

        def comes_back(grant: GrantRow) -> bool:
            return grant.principal_id in known and sharing.may_grant(who, grant, shared)

        return self.noted(None, await self.batch.restore(found, comes_back))

    def noted(self, old: Stored | None, new: Stored) -> Stored:
        """Remember what the change does to activity, and that there is one more. Returns the new row."""
        if old is None and self._owned is not None:
            self._owned += 1
        self.activity.note(old, new)
        return new

    async def group_ids(self) -> dict[str, bool]:
        """Every group, with whether anybody may choose it when they share."""
        if self._groups is None:
            declared = {group.id: group.share for group in self.context.control.declared.groups}
            self._groups = {**await queries.sharing_of_groups(self.change.connection), **declared}
        return self._groups

    async def _check_grants(self, old: Sequence[GrantRow], new: Sequence[GrantRow]) -> None:
        known = set(old)
        added = [grant for grant in new if grant not in known]
        if not added:
            return
        groups = await self.group_ids()
        # Rights first: who may not share learns nothing about which users and groups there are.
        sharing.check_grants(self.context.principal, old, new, {name for name, share in groups.items() if share})
        sharing.check_known(added, self.context.control.users(), groups)

    def shown(self, stored: Stored) -> Model:
        """A row as its writer sees it."""
        return shown(stored.row, stored.grants, write_access=True, image=stored.image)


def check_may_restore(context: Context, rows: Sequence[RowMapping]) -> None:
    """Raises Problem unless the caller may bring back all of these deleted rows: administrators, and who deleted their own."""
    who = context.principal
    if who.manages:
        return
    if any(row["owner_id"] != who.user_id for row in rows):
        raise Problem(Kind.NOT_FOUND, "There is no deleted model with that id.", param="id")
    sharing.require(who, WORKSPACE_MODELS)
    for row in rows:
        content = row["content"]
        taken_away = content.get("by_administrator", True) and row["deleted_by"] != who.user_id
        if taken_away or content["base_model_id"] is None:
            raise Problem(
                Kind.FORBIDDEN, "An administrator deleted this model, or governs it; ask one to restore it.", param="id"
            )


def check_version(stored: Stored, version_id: str | None) -> None:
    """Raises Problem CONFLICT when the row was saved since the caller has read it."""
    if version_id is not None and version_id != stored.row.version_id:
        raise Problem(
            Kind.CONFLICT,
            "Somebody has changed this model since you opened it. Read it again and repeat your change.",
            param="version_id",
        )
