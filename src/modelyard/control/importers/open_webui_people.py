"""People of an Open WebUI database: users, groups with their members, and what groups add."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from modelyard.control.importers.carried import Collector, storable
from modelyard.control.importers.open_webui_database import Found
from modelyard.control.yard.document import YardGroup, YardUser
from modelyard.policy.permissions import ALL

ROLES = ("pending", "user", "admin")
MAX_NAME = 100

_STAYS: Mapping[str, str] = {
    "auth": "passwords are not carried: people get a new one, or sign in another way",
    "api_key": "keys of people are not carried: they make new ones",
    "chat": "conversations are not kept here",
    "channel": "channels are not kept here",
    "document": "documents are not kept here",
    "feedback": "votes are not kept here",
    "file": "uploaded files are not kept here",
    "folder": "folders are not kept here",
    "function": "functions are code: an operator puts them into the functions folder",
    "knowledge": "knowledge is not kept here",
    "memory": "memories are not kept here",
    "note": "notes are not kept here",
    "prompt": "prompts are not kept here",
    "skill": "skills are not kept here",
    "tag": "tags of conversations are not kept here",
    "tool": "tools are code: they are not carried",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What ids stand for: users by e-mail address, groups by name. Empty for a file that does not tell them."""

    users: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


def add_people(collector: Collector, found: Found) -> Names:
    """Carry users and groups; what their ids are called."""
    for table, count in sorted(found.counts.items()):
        if count:
            collector.leave(table, f"{count} rows", _STAYS[table])
    groups = _add_groups(collector, found)
    memberships = _memberships(found)
    users: dict[str, str] = {}
    emails: set[str] = set()
    for index, row in enumerate(found.rows("user")):
        place = f"user[{index}]"
        user = _user(collector, place, storable(row), memberships.get(str(row.get("id")), []), groups)
        if user is not None and user.email in emails:
            collector.leave(f"{place}.email", user.email, "another account has this e-mail address already")
        elif user is not None:
            emails.add(user.email)
            collector.yard.users.append(user)
            users[str(row.get("id"))] = user.email
    return Names(users=users, groups=groups)


def _user(
    collector: Collector, place: str, row: dict[str, Any], group_ids: list[str], groups: Mapping[str, str]
) -> YardUser | None:
    role = row.get("role")
    if role not in ROLES:
        collector.leave(f"{place}.role", role, "there is no such role: the account waits to be let in")
        role = "pending"
    name = row.get("name")
    if isinstance(name, str) and len(name.strip()) > MAX_NAME:
        collector.leave(f"{place}.name", name, f"a name has at most {MAX_NAME} characters: the rest is cut off")
    try:
        return YardUser.model_validate(
            {
                "email": row.get("email"),
                "name": name.strip()[:MAX_NAME] if isinstance(name, str) else "",
                "role": role,
                "groups": sorted({groups[group_id] for group_id in group_ids if group_id in groups}),
            }
        )
    except ValidationError:
        collector.leave(f"{place}.email", row.get("email"), "it is not an e-mail address: the account is left out")
        return None


def _add_groups(collector: Collector, found: Found) -> dict[str, str]:
    """id -> name, for the groups that were carried. Names are made unique."""
    rows = [storable(row) for row in found.rows("group")]
    names: dict[str, str] = {}
    taken: set[str] = set()
    for index, row in enumerate(rows):
        told = row.get("name") if isinstance(row.get("name"), str) else ""
        name = free = " ".join((told or f"Group {index + 1}").split())[: MAX_NAME - 6]
        number = 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        if free != told:
            collector.leave(
                f"group[{index}].name", told, f"the group is called {free!r} here: names are unique and short"
            )
        taken.add(free)
        names[str(row.get("id"))] = free
    for index, row in enumerate(rows):
        place = f"group[{index}]"
        collector.yard.groups.append(
            YardGroup(
                name=names[str(row.get("id"))],
                description=str(row.get("description") or "")[:2000],
                parent=names.get(str(row.get("parent_group_id"))) if row.get("parent_group_id") else None,
                permissions=_permissions(collector, f"{place}.permissions", row.get("permissions")),
                share=_share(collector, place, row.get("data")),
            )
        )
        if row.get("meta"):
            collector.leave(f"{place}.meta", row["meta"], "a group has no such field here")
    return names


def _permissions(collector: Collector, place: str, given: Any) -> dict[str, dict[str, bool]]:
    """What the group adds: a group never takes a permission away, so what is false says nothing."""
    added: dict[str, dict[str, bool]] = {}
    for section, names in given.items() if isinstance(given, Mapping) else ():
        for name, value in names.items() if isinstance(names, Mapping) else ():
            if value is not True:
                continue
            if f"{section}.{name}" in ALL:
                added.setdefault(section, {})[name] = True
            else:
                collector.leave(f"{place}.{section}.{name}", value, "there is no such permission here")
    return added


def _share(collector: Collector, place: str, data: Any) -> bool:
    """Whether models may be shared with the group."""
    config = data.get("config") if isinstance(data, Mapping) else None
    share = config.get("share", True) if isinstance(config, Mapping) else True
    if not isinstance(share, bool):
        collector.leave(
            f"{place}.data.config.share", share, "a group can be shared with by all or by none: by none now"
        )
        return False
    return share


def _memberships(found: Found) -> dict[str, list[str]]:
    """user id -> ids of their groups, by the table of members and by the list that older groups have."""
    memberships: dict[str, list[str]] = {}
    for row in found.rows("group_member"):
        memberships.setdefault(str(row.get("user_id")), []).append(str(row.get("group_id")))
    for row in found.rows("group"):
        ids = row.get("user_ids")
        for user_id in ids if isinstance(ids, list) else []:
            memberships.setdefault(str(user_id), []).append(str(row.get("id")))
    return memberships
