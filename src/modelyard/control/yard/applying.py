"""Taking the steps of a plan: each by the service of its room, all in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import GrantRow
from modelyard.canonical.snapshot import Limits
from modelyard.control.catalogue import queries as catalogue_queries
from modelyard.control.catalogue import service as catalogue
from modelyard.control.catalogue.activity import Activity
from modelyard.control.catalogue.grants import EVERYONE, grants_of
from modelyard.control.connections import service as connections
from modelyard.control.groups import service as groups
from modelyard.control.keys import service as keys
from modelyard.control.people import service as people
from modelyard.control.settings import service as settings
from modelyard.control.transaction import Change, difference
from modelyard.control.yard.exporting import Ground, Ids
from modelyard.control.yard.objects import CONNECTION, GROUP, KEY, MODEL, SETTING, USER, Fields, Path
from modelyard.control.yard.planning import CREATE, DELETE, Plan, Step
from modelyard.control.yard.setting_values import as_stored
from modelyard.core import ids
from modelyard.core.errors import Problem
from modelyard.db.schema import stored_settings
from modelyard.policy.permissions import flat


@dataclass(slots=True, kw_only=True)
class Applying:
    """One run. `ids` are those of the state that the plan was made from, and grow with what is made.

    `owners` for going back: model to the stored id of its owner then, where no user had it. None: a model without an owner
    goes to whoever applies, or keeps its owner.
    """

    change: Change
    ground: Ground
    ids: Ids
    tokens: Mapping[Path, str]
    activity: Activity
    batch_id: str
    owners: Mapping[str, str] | None = None

    async def take(self, plan: Plan) -> None:
        """All steps. Raises Problem that names the step which failed; the transaction is the caller's to undo."""
        for step in plan.steps:
            try:
                await self._step(step)
            except Problem as problem:
                raise Problem(
                    problem.kind,
                    f"Nothing was changed: {step.action} {step.noun} {step.name}: {problem.message}",
                    param=problem.param,
                ) from None

    async def _step(self, step: Step) -> None:
        if step.noun == GROUP:
            await self._group(step)
        elif step.noun == USER:
            await self._user(step)
        elif step.noun == CONNECTION:
            await self._connection(step)
        elif step.noun == KEY:
            await self._key(step)
        elif step.noun == MODEL:
            await self._model(step)
        elif step.noun == SETTING:
            await self._setting(step)

    async def _group(self, step: Step) -> None:
        name, declared = step.path[0], self.ground.declared.groups
        if step.new is None:
            return await groups.remove(self.change, self.ids.groups[name], declared=declared)
        parent = step.new["parent"]
        parent_id = None if parent is None else self.ids.groups[parent]
        permissions, description, share = flat(step.new["permissions"]), step.new["description"], step.new["share"]
        if step.action == CREATE:
            row = await groups.create(
                self.change, name=name, declared=declared, description=description, parent_id=parent_id,
                permissions=permissions, share=share,
            )  # fmt: skip
            self.ids.groups[name] = row.id
        else:
            await groups.update(
                self.change, self.ids.groups[name], declared=declared, description=description, parent_id=parent_id,
                permissions=permissions, share=share,
            )  # fmt: skip
        return None

    async def _user(self, step: Step) -> None:
        email, declared = step.path[0], self.ground.declared.users
        if step.new is None:
            return await people.remove_user(self.change, self.ids.users[email], declared=declared)
        new = step.new
        group_ids = [self.ids.groups[name] for name in new["groups"]]
        if step.action == CREATE:
            row = await people.create_user(
                self.change, email=email, name=new["name"], role=new["role"], password_hash=None, kind=new["kind"],
                group_ids=group_ids, declared=declared,
            )  # fmt: skip
            self.ids.users[email] = row.id
        else:
            await people.update_user(
                self.change, self.ids.users[email], declared=declared, name=new["name"], role=new["role"],
                group_ids=group_ids,
            )  # fmt: skip
        return None

    async def _connection(self, step: Step) -> None:
        name = step.path[0]
        if step.new is None:
            return await connections.remove(self.change, self.ground.seal, self.ids.connections[name])
        given = _connection_form(name, step.new, self.ground.timeouts)
        declared = [row.name for row in self.ground.declared.connections]
        common = (given, self.ground.timeouts, declared)
        if step.action == CREATE:
            row = await connections.add(self.change, self.ground.seal, *common)
            self.ids.connections[name] = row.id
        else:
            await connections.update(self.change, self.ground.seal, self.ids.connections[name], *common)
        return None

    async def _key(self, step: Step) -> None:
        if step.new is None:
            return await keys.revoke(self.change, self.ids.keys[step.old_path], owner_id=None)
        new = step.new
        limits = Limits(**new["limits"])
        if step.action != CREATE:
            await keys.update_key(
                self.change, self.ids.keys[step.old_path], models=new["models"], dialects=new["dialects"],
                limits=limits, expires_at=new["expires_at"],
            )  # fmt: skip
            return None
        email, name, _ = step.path
        token = self.tokens.get(step.path)
        if token is None:
            await keys.add_key_without_secret(
                self.change, name=name, user_id=self.ids.users[email], models=new["models"], dialects=new["dialects"],
                limits=limits, expires_at=new["expires_at"],
            )  # fmt: skip
        else:
            await keys.add_key(
                self.change, self.ground.seal, name=name, user_id=self.ids.users[email], models=new["models"],
                dialects=new["dialects"], limits=limits, expires_at=new["expires_at"], token=token,
            )  # fmt: skip
        return None

    async def _model(self, step: Step) -> None:
        model_id = step.path[0]
        stored = await catalogue_queries.stored(self.change.connection, model_id)
        if step.action == DELETE:
            if stored is not None:
                await catalogue.remove(self.change, stored, batch_id=self.batch_id)
            self.activity.note(stored, None)
            return
        assert step.new is not None
        given = {name: step.new[name] for name in ("name", "base_model_id", "params", "meta", "is_active")}
        rights = self._rights(model_id, step.new["access_control"])
        owner_id = self._owner_id(model_id, step.new["owner"])
        if stored is None:
            owner_id = self.change.actor.user_id if owner_id is None else owner_id
            made = await catalogue.create(self.change, {"id": model_id, **given}, rights, owner_id=owner_id)
        else:
            if owner_id is not None:
                given["user_id"] = owner_id
            made = await catalogue.update(self.change, stored, given, rights)
        self.activity.note(stored, made)

    def _owner_id(self, model_id: str, owner: str | None) -> str | None:
        """The id to store as a model's owner, empty for nobody; None when that is left open."""
        if self.owners is not None and (owner is None or owner == self.owners.get(model_id)):
            return owner or ""
        return None if owner is None else self.ids.users[owner]

    def _rights(self, model_id: str, access_control: Fields | None) -> list[GrantRow]:
        found = []
        for grant in grants_of(model_id, access_control):
            known = self.ids.users if grant.principal_type == "user" else self.ids.groups
            everyone = grant.principal_id == EVERYONE
            found.append(grant if everyone else replace(grant, principal_id=known[grant.principal_id]))
        return found

    async def _setting(self, step: Step) -> None:
        name = step.path[0]
        if step.new is not None:
            value = as_stored(name, step.new["value"], self.ids.users, self.ids.groups)
            await settings.put(self.change, name, value)
            return
        assert step.old is not None
        await self.change.connection.execute(delete(stored_settings).where(stored_settings.c.name == name))
        changes = difference({"value": step.old["value"]}, {"value": None})
        await self.change.audit("settings.updated", name, changes=changes, description="back to its first value")
        self.change.publish("settings", name)


def new_batch() -> str:
    """The id of one act of deleting: what one run deletes can be restored as one."""
    return ids.row_id()


def _connection_form(name: str, fields: Fields, defaults: Timeouts) -> dict[str, Any]:
    """The fields as the connections' service takes them: all of them, so that nothing stays as it was."""
    timeouts = {"connect": defaults.connect, "first_byte": defaults.first_byte, "idle": defaults.idle}
    return {"name": name, **fields, "timeouts": {**timeouts, **fields["timeouts"]}}
