"""What was carried, against what there is: a document that adds and changes, and takes nothing from anybody.

Things that are declared in a file or the environment stay as they are, so do accounts, groups, settings and models of
others, unless they are to be overwritten. What is not taken over is noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.endpoint import parse_base_url
from modelyard.canonical.records import FILE
from modelyard.canonical.snapshot import ADMIN
from modelyard.control.catalogue.service import PRESET_ID, is_preset_id
from modelyard.control.importers.carried import Carried, Left, shown
from modelyard.control.yard.document import REFERENCE
from modelyard.control.yard.exporting import Ground, State, read_state
from modelyard.control.yard.objects import CONNECTION, GROUP, MODEL, SETTING, USER
from modelyard.control.yard.planning import same
from modelyard.control.yard.reading import escaped
from modelyard.control.yard.service import Asked
from modelyard.control.yard.writing import written
from modelyard.core.errors import Kind, Problem

_THERE = "it is there already and stays as it is; --overwrite changes it"


@dataclass(slots=True, kw_only=True)
class Settled:
    """What to apply, what is left beside it, and who gets the models of nobody: None when there is no administrator."""

    asked: Asked
    left: list[Left]
    heir: str | None


async def settle(
    connection: AsyncConnection,
    ground: Ground,
    carried: Carried,
    environment: Mapping[str, str],
    *,
    overwrite: bool = False,
    owner: str | None = None,
) -> Settled:
    """The document to plan and apply. Secrets come from the file that was read, else from `environment`.

    `owner` is the e-mail address of whoever gets the models that the file gives to nobody, also those that are there and
    that nobody owns; by default new ones are the first administrator's. Raises Problem NOT_FOUND for one that is not there.
    """
    state = await read_state(connection, ground)
    content = carried.yard.model_dump(mode="json", exclude_unset=True)
    heir = _heir(state, ground, content.get("users", []), owner)
    values = {**environment, **carried.secrets}
    run = _Settling(state=state, ground=ground, overwrite=overwrite, heir=heir, adopts=owner is not None, values=values)
    document = {
        "settings": run.settings(content.get("settings", {})),
        "groups": run.groups(content.get("groups", [])),
        "connections": run.connections(content.get("connections", [])),
        "users": run.users(content.get("users", [])),
        "models": run.models(content.get("models", []), {user["email"] for user in content.get("users", [])}),
    }
    text = written({name: value for name, value in document.items() if value})
    return Settled(asked=Asked(text=text, values=run.values, keep=True), left=run.left, heir=heir)


@dataclass(slots=True, kw_only=True)
class _Settling:
    state: State
    ground: Ground
    overwrite: bool
    heir: str | None
    adopts: bool
    values: Mapping[str, str] = field(repr=False)
    left: list[Left] = field(default_factory=list)

    def leave(self, place: str, value: Any, why: str) -> None:
        self.left.append(Left(place, shown(place, value), why))

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        taken = {}
        for name, value in given.items():
            there = self.state.objects.of[SETTING].get((name,))
            if there is not None and not self.overwrite and not same(there["value"], value):
                self.leave(f"settings.{name}", value, _THERE)
            else:
                taken[name] = escaped(value)
        return taken

    def groups(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        declared = {group.name for group in self.ground.declared.groups}
        taken = []
        for group in given:
            place, there = f"groups.{group['name']}", self.state.objects.of[GROUP].get((group["name"],))
            if group["name"] in declared:
                self.leave(place, group["name"], _declared(FILE))
            elif there is None or self.overwrite:
                taken.append(escaped(group))
            elif any(not same(there[name], value) for name, value in group.items() if name != "name"):
                self.leave(place, group["name"], _THERE)
        return taken

    def users(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """New accounts; of those that are there only groups are added: a role is not for a file of others to change."""
        declared = {user.email for user in self.ground.declared.users}
        taken = []
        for user in given:
            email = user["email"]
            there = self.state.objects.of[USER].get((email,))
            if email in declared:
                self.leave(f"users.{email}", email, _declared(FILE))
                continue
            keys = user.pop("keys", [])
            if there is not None and not self.overwrite:
                told = {"email": email, **there}
                told["groups"] = sorted({*there["groups"], *user.get("groups", [])})
                if there["role"] != user.get("role", "user"):
                    self.leave(f"users.{email}.role", user.get("role", "user"), _THERE)
                user = told  # noqa: PLW2901 - the account as it is, in more groups
            elif there is not None:
                user["kind"] = there["kind"]
            taken.append({**escaped(user), **({"keys": keys} if keys else {})})
        return taken

    def connections(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        declared = {row.name: row for row in self.ground.declared.connections}
        places = {_place(row.base_url, row.prefix_id): row.name for row in declared.values()}
        there = self.state.objects.of[CONNECTION]
        for (name,), fields in there.items():
            places.setdefault(_place(fields["base_url"], fields["prefix_id"]), name)
        names = {one["name"] for one in given}
        taken = []
        for one in given:
            name, place = one["name"], f"connections.{one['name']}"
            same_place = places.get(_place(one["base_url"], one.get("prefix_id")))
            if name in declared:
                self.leave(place, one["base_url"], _declared(declared[name].source))
            elif (name,) not in there and same_place is not None and same_place not in names:
                self.leave(place, one["base_url"], f"{same_place} is connected to this address already")
            else:
                missing = self._without_missing(place, one)
                if missing and (name,) in there:
                    continue  # it keeps the credentials that it has
                taken.append(_escaped_but_secrets(one))
        return taken

    def _without_missing(self, place: str, one: dict[str, Any]) -> bool:
        """Take out references that nothing stands for. True when there were some."""
        why = "the environment has no such variable: set it and import again"
        missing = False
        for key in list(one.get("api_keys") or []):
            if not self._known(key):
                self.leave(f"{place}.api_keys", None, f"{key}: {why}")
                one["api_keys"].remove(key)
                missing = True
        for header, value in list((one.get("headers") or {}).items()):
            if not self._known(value):
                self.leave(f"{place}.headers.{header}", None, f"{value}: {why}")
                del one["headers"][header]
                missing = True
        return missing

    def _known(self, text: str) -> bool:
        return all(name in self.values for name in REFERENCE.findall(text))

    def models(self, given: list[dict[str, Any]], carried_users: set[str]) -> list[dict[str, Any]]:
        declared = {row.id for row in self.ground.declared.models}
        known = carried_users | self.state.ids.users.keys()
        taken = []
        for model in given:
            place, owner = f"models.{model['id']}", model.get("owner")
            there = self.state.objects.of[MODEL].get((model["id"],))
            if owner is not None and owner not in known:
                model["owner"] = owner = None
            if model["id"] in declared:
                self.leave(place, model["id"], _declared(FILE))
            elif there is None and model.get("base_model_id") is not None and not is_preset_id(model["id"]):
                self.leave(place, model["id"], PRESET_ID)
            elif there is not None and there["owner"] not in (None, owner or self.heir) and not self.overwrite:
                self.leave(place, model["id"], f"it belongs to {there['owner']}; --overwrite changes it")
            else:
                if owner is None and (there is None or (self.adopts and there["owner"] is None)):
                    model["owner"] = self.heir
                taken.append(escaped(model))
        return taken


def _heir(state: State, ground: Ground, carried: list[dict[str, Any]], owner: str | None) -> str | None:
    """Who gets the models of nobody: a preset opens its base only when its owner may use it, as administrators may."""
    emails = {user.email for user in ground.declared.users if user.email} | {
        email for (email,) in state.objects.of[USER]
    }
    if owner is not None:
        if owner.strip().lower() not in emails | {user["email"] for user in carried}:
            raise Problem(Kind.NOT_FOUND, f"There is no user with the e-mail address {owner[:254]}.", param="owner")
        return owner.strip().lower()
    there = sorted(email for (email,), fields in state.objects.of[USER].items() if fields["role"] == ADMIN)
    declared = sorted(user.email for user in ground.declared.users if user.email and user.role == ADMIN)
    coming = sorted(user["email"] for user in carried if user.get("role") == ADMIN and user["email"] not in emails)
    return next(iter([*there, *declared, *coming]), None)


def _declared(source: str) -> str:
    return f"it is declared in the {source}; change it there"


def _place(base_url: str, prefix: str | None) -> tuple[Any, ...]:
    """Where a connection leads, however its address is spelt."""
    scheme, host, port, path = parse_base_url(base_url)
    for ending in ("/v1", "/api"):
        path = path.removesuffix(ending)
    return scheme, host, port, path, prefix or None


def _escaped_but_secrets(connection: dict[str, Any]) -> dict[str, Any]:
    secrets = {name: connection[name] for name in ("api_keys", "headers") if connection.get(name)}
    return {**escaped({name: value for name, value in connection.items() if name not in secrets}), **secrets}
