"""The values of settings as they are written in a document (with names) and as they are stored (with ids)."""

from collections.abc import Callable, Mapping
from typing import Any

from modelyard.control.settings.table import ARENA_MODELS, PERMISSIONS, SIGN_UP_GROUP
from modelyard.policy.permissions import flat

Names = Mapping[str, str]
Rename = Callable[[str], str]


def as_written(name: str, value: Any, emails: Names, groups: Names) -> Any:
    """A stored value with names for ids. `emails` and `groups` are by id; an id that is none of them stays."""
    if name == PERMISSIONS:
        tree: dict[str, dict[str, bool]] = {}
        for path, given in value.items():
            section, _, rest = path.partition(".")
            tree.setdefault(section, {})[rest] = given
        return tree
    if name == SIGN_UP_GROUP:
        return groups.get(value)  # one that is gone counts as none
    return _renamed(name, value, lambda user: emails.get(user, user), lambda group: groups.get(group, group))


def as_stored(name: str, value: Any, users: Names, groups: Names) -> Any:
    """A written value with ids for names. `users` and `groups` are ids by name. Raises Problem for unknown permissions."""
    if name == PERMISSIONS:
        return flat(value) if isinstance(value, Mapping) else value
    return _renamed(name, value, lambda user: users.get(user.lower(), user), lambda group: groups.get(group, group))


def _renamed(name: str, value: Any, user: Rename, group: Rename) -> Any:
    if name == SIGN_UP_GROUP and isinstance(value, str):
        return group(value)
    if name == ARENA_MODELS and isinstance(value, list):
        return [_entry(entry, user, group) for entry in value]
    return value


def _entry(entry: Any, user: Rename, group: Rename) -> Any:
    """An arena model with its access rewritten. What has another shape is left to the check of the setting."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("meta"), Mapping):
        return entry
    meta = dict(entry["meta"])
    if isinstance(meta.get("access_control"), Mapping):
        meta["access_control"] = {
            permission: _lists(lists, user, group) for permission, lists in meta["access_control"].items()
        }
    if isinstance(meta.get("access_grants"), list):
        meta["access_grants"] = [_grant(grant, user, group) for grant in meta["access_grants"]]
    return {**entry, "meta": meta}


def _lists(lists: Any, user: Rename, group: Rename) -> Any:
    if not isinstance(lists, Mapping):
        return lists
    of = {"user_ids": user, "group_ids": group}
    return {
        field: [of[field](item) if isinstance(item, str) else item for item in ids]
        if field in of and isinstance(ids, list)
        else ids
        for field, ids in lists.items()
    }


def _grant(grant: Any, user: Rename, group: Rename) -> Any:
    if not isinstance(grant, Mapping) or not isinstance(grant.get("principal_id"), str):
        return grant
    rename = group if grant.get("principal_type") == "group" else user
    return {**grant, "principal_id": rename(grant["principal_id"])}
