"""Open WebUI: its export of models (JSON), and its database `webui.db`; of older and of newer releases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.control.catalogue.images import FIELD
from modelyard.control.importers.carried import Carried, Collector
from modelyard.control.importers.open_webui_config import add_configuration
from modelyard.control.importers.open_webui_database import SQLITE, read_database
from modelyard.control.importers.open_webui_people import Names, add_people
from modelyard.control.importers.reading import check_size, json_of
from modelyard.control.modelfile.parameters import typed
from modelyard.control.modelfile.parsing import Modelfile, is_path, parse
from modelyard.core.errors import Kind, Problem

MAX_MODELS = 50_000
MAX_NAME = 256

# The picture that every model has there until somebody changes it.
DEFAULT_PICTURES = frozenset({"/static/favicon.png", "/favicon.png", "/user.png"})
# What is known of an item and is no field of a row here.
_BESIDE = frozenset(
    {
        "id", "user_id", "base_model_id", "name", "params", "meta", "access_control", "access_grants", "is_active",
        "updated_at", "created_at", "user", "version_id", "write_access", "source",
    }
)  # fmt: skip
_EVERYONE = "*"


def read(path: Path) -> Carried:
    """What a file holds: an export of models, or a database. It is never written. Raises Problem."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(SQLITE))
            if beginning == SQLITE:
                return from_database(path)
            check_size(path.stat().st_size)
            return from_export(beginning + file.read())
    except OSError as error:
        raise Problem(Kind.NOT_FOUND, f"{path} cannot be read: {error.strerror}.") from None


def from_export(content: bytes) -> Carried:
    """What an export of models holds: a list, or an object with the list `models`. Raises Problem."""
    value = json_of(content)
    items = value.get("models") if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise Problem(
            Kind.MALFORMED, "The file is no export of models: it must be a list, or an object with the list `models`."
        )
    if len(items) > MAX_MODELS:
        raise Problem(Kind.TOO_LARGE, f"The file holds more than {MAX_MODELS} models.")
    collector = Collector()
    for index, item in enumerate(items):
        add_model(collector, f"models[{index}]", item, Names())
    return collector.done()


def from_database(path: Path) -> Carried:
    """What a `webui.db` holds: people, groups, connections, settings and models. Raises Problem."""
    found = read_database(path)
    collector = Collector()
    names = add_people(collector, found)
    add_configuration(collector, found)
    for index, row in enumerate(found.rows("model")):
        item = dict(row)
        if not found.has_column("model", "access_control") and not found.has("access_grant"):
            item["access_control"] = None  # of a release before access control: everybody may use it
        elif "access_control" not in item:
            item["access_grants"] = found.grants.get(str(item.get("id")), [])
        add_model(collector, f"model[{index}]", item, names, known_owners=True)
    for index, row in enumerate(found.rows("modelfile")):
        add_modelfile(collector, f"modelfile[{index}]", row, names)
    return collector.done()


def add_model(collector: Collector, place: str, item: Any, names: Names, *, known_owners: bool = False) -> None:
    """Carry one model of an export, or one row of the table. `known_owners`: the file tells who its users are."""
    if isinstance(item, Mapping) and isinstance(item.get("info"), Mapping):
        # An entry of the list of models, with the row inside.
        place, item = f"{place}.info", {"name": item.get("name"), **item["info"]}
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or not item["id"]:
        collector.leave(place, item, "it is not a model: it has no id")
        return
    meta = dict(item["meta"]) if isinstance(item.get("meta"), Mapping) else item.get("meta")
    if isinstance(meta, dict):
        _settle_picture(collector, place, meta)
    for name in item.keys() - _BESIDE:
        if item[name] not in (None, "", [], {}):
            collector.leave(f"{place}.{name}", item[name], "a model has no such field here")
    name = item.get("name")
    if isinstance(name, str) and len(name) > MAX_NAME:
        collector.leave(f"{place}.name", name, f"a name has at most {MAX_NAME} characters: the rest is cut off")
    collector.add_model(
        place,
        {
            "id": item["id"],
            "name": name[:MAX_NAME] if isinstance(name, str) and name else item["id"],
            "base_model_id": item.get("base_model_id") or None,
            "owner": _owner(collector, place, item, names, known_owners=known_owners),
            "params": item.get("params"),
            "meta": meta,
            "is_active": bool(item.get("is_active", True)),
            "access_control": access_control(collector, place, item, names),
        },
    )


def _settle_picture(collector: Collector, place: str, meta: dict[str, Any]) -> None:
    picture = meta.get(FIELD)
    if isinstance(picture, str) and picture.startswith("/"):
        del meta[FIELD]
        if picture not in DEFAULT_PICTURES:
            collector.leave(f"{place}.meta.{FIELD}", picture, "the picture is on the other server: upload it again")
    elif FIELD in meta and not picture:
        del meta[FIELD]


def _owner(
    collector: Collector, place: str, item: Mapping[str, Any], names: Names, *, known_owners: bool
) -> str | None:
    user_id = item.get("user_id")
    if known_owners:
        email = names.users.get(str(user_id))
        if email is None and user_id:
            collector.leave(
                f"{place}.user_id", user_id, "the account is gone or was not carried; whoever imports owns it"
            )
        return email
    user = item.get("user")
    told = user.get("email") if isinstance(user, Mapping) else None
    if told or user_id:
        collector.leave(f"{place}.user_id", told or user_id, "an export tells no accounts; whoever imports owns it")
    return None


def access_control(collector: Collector, place: str, item: Mapping[str, Any], names: Names) -> dict[str, Any] | None:
    """Who may read and write: null is everyone, {} nobody but the owner, else lists by e-mail address and group name."""
    grants = item.get("access_grants")
    if isinstance(grants, list):
        return _from_grants(collector, f"{place}.access_grants", grants, names)
    if "access_control" not in item:
        collector.leave(place, "access_control", "the file does not say who may use it: it is private here")
        return {}
    given = item["access_control"]
    if given is None:
        return None
    if not isinstance(given, Mapping):
        collector.leave(f"{place}.access_control", given, "it is neither null nor an object: the model is private here")
        return {}
    lists = _Lists(collector, names)
    for permission in ("read", "write"):
        of_permission = given.get(permission)
        for kind in ("user", "group"):
            ids = of_permission.get(f"{kind}_ids") if isinstance(of_permission, Mapping) else None
            for one in ids if isinstance(ids, list) else []:
                lists.add(f"{place}.access_control.{permission}.{kind}_ids", kind, str(one), permission)
    return lists.value()


def _from_grants(collector: Collector, place: str, grants: list[Any], names: Names) -> dict[str, Any] | None:
    lists = _Lists(collector, names)
    for one in grants:
        kind = one.get("principal_type") if isinstance(one, Mapping) else None
        permission = one.get("permission") if isinstance(one, Mapping) else None
        if kind not in ("user", "group") or permission not in ("read", "write"):
            collector.leave(place, one, "models know grants to users and groups, to read or to write")
        else:
            lists.add(place, kind, str(one.get("principal_id")), permission)
    return lists.value()


class _Lists:
    """An `access_control` in the making."""

    def __init__(self, collector: Collector, names: Names) -> None:
        self._collector = collector
        self._names = names
        self._lists: dict[str, dict[str, list[str]]] = {}

    def add(self, place: str, kind: str, name: str, permission: str) -> None:
        if kind == "user" and name == _EVERYONE:
            if permission == "write":
                self._collector.leave(place, "*", "everyone may be given read access only")
                return
            known: str | None = _EVERYONE
        else:
            known = (self._names.users if kind == "user" else self._names.groups).get(name)
        if known is None:
            self._collector.leave(place, name, f"the file does not say which {kind} this is")
            return
        found = self._lists.setdefault(permission, {"user_ids": [], "group_ids": []})[f"{kind}_ids"]
        if known not in found:
            found.append(known)

    def value(self) -> dict[str, Any] | None:
        for lists in self._lists.values():
            for found in lists.values():
                found.sort()
        public = {"read": {"user_ids": [_EVERYONE], "group_ids": []}}
        return None if self._lists == public else dict(self._lists)


def add_modelfile(collector: Collector, place: str, row: Mapping[str, Any], names: Names) -> None:
    """Carry one row of the table `modelfile` of old releases, as their own migration would."""
    told = row.get("modelfile")
    told = told if isinstance(told, Mapping) else row
    tag, content = row.get("tag_name"), told.get("content")
    if not isinstance(tag, str) or not tag or not isinstance(content, str):
        collector.leave(place, row.get("tag_name"), "it has no name, or no content")
        return
    if collector.has_model(f"ollama-{tag}"):
        return  # a model already: the migration has run, and the old table was kept
    try:
        modelfile = parse(content)
    except Problem as problem:
        collector.leave(f"{place}.content", content, problem.message)
        return
    base = modelfile.last("from") or ""
    if is_path(base) or base.startswith("@"):
        collector.leave(
            f"{place}.content.FROM", base, f"it names a file: the base is the model {tag} that was made of it"
        )
        base = tag
    user = told.get("user")
    meta = {
        "description": told.get("desc"),
        FIELD: told.get("imageUrl"),
        "ollama": {"modelfile": content},
        "suggestion_prompts": told.get("suggestionPrompts"),
        "categories": told.get("categories"),
        "user": {**(user if isinstance(user, Mapping) else {}), "community": True},
    }
    title = told.get("title")
    item = {
        "id": f"ollama-{tag}",
        "user_id": row.get("user_id"),
        "name": title if isinstance(title, str) and title else tag,
        "base_model_id": base,
        "params": params_of(collector, f"{place}.content", modelfile),
        "meta": {name: value for name, value in meta.items() if value is not None},
        "access_control": None,  # everybody could use them
    }
    add_model(collector, place, item, names, known_owners=True)


def params_of(collector: Collector, place: str, modelfile: Modelfile) -> dict[str, Any]:
    """The `params` of a row from a Modelfile, under the names that migrated rows have."""
    params, dropped = typed(modelfile.every("parameter"))
    for one in dropped:
        collector.leave(f"{place}.PARAMETER {one.name}", one.value, one.why)
    for name in ("template", "adapter", "system"):
        value = modelfile.last(name)
        if value:
            params[name] = value
    messages = [{"role": one.key, "content": one.value} for one in modelfile.every("message")]
    if messages:
        params["messages"] = messages
    return params
