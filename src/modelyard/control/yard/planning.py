"""The difference between what there is and what is wanted, as steps in an order in which they can be taken. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.control.yard.objects import (
    CONNECTION,
    GROUP,
    KEY,
    MODEL,
    SECTIONS,
    SETTING,
    USER,
    Fields,
    Objects,
    Path,
    compact,
)
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import mask

CREATE, UPDATE, DELETE = "create", "update", "delete"
# What refers to something comes after it; deletes run the other way round.
ORDER = (GROUP, USER, CONNECTION, KEY, MODEL, SETTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One object to create, update or delete. `old` and `new` are all its fields, None when it is not there.

    `old_path` is where an object is that is there: a key may get another number.
    """

    noun: str
    path: Path
    action: str
    old: Fields | None = field(default=None, repr=False)
    new: Fields | None = field(default=None, repr=False)
    old_path: Path = ()

    @property
    def name(self) -> str:
        """What people call it."""
        if self.noun != KEY:
            return self.path[0]
        email, name, number = self.path
        return f"{name}{f' ({number})' if number else ''} of {email}"

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Field -> (old, new) of what differs, secrets masked. Of mappings each entry, `params.temperature`."""
        old = {} if self.old is None else compact(self.noun, self.path, self.old)
        new = {} if self.new is None else compact(self.noun, self.path, self.new)
        if self.action == UPDATE:
            old, new = self.old or {}, self.new or {}
        found: dict[str, tuple[Any, Any]] = {}
        for name in {**new, **old}:
            for entry, before, after in _entries(name, old.get(name), new.get(name)):
                if self.action != UPDATE or not same(before, after):
                    found[entry] = (_masked(entry, before), _masked(entry, after))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in their order, and sentences that a person should read."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Action -> how many steps."""
        return {action: sum(step.action == action for step in self.steps) for action in (CREATE, UPDATE, DELETE)}

    def text(self) -> str:
        """Everything in it, secrets too, in one text: what its id is a keyed digest of."""
        return json.dumps([[step.noun, step.path, step.action, step.old, step.new] for step in self.steps])


def same(left: Any, right: Any) -> bool:
    """True for values that are one in JSON: 1, 1.0 and true are three."""
    return left is right or json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def make(current: Objects, wanted: Objects, *, keep: bool = False, leaves_owners: bool = True) -> list[Step]:
    """The steps from one to the other. A section that is not wanted at all stays as it is.

    `keep`: nothing is deleted. `leaves_owners`: a model for which no owner is wanted keeps the one that it has. Raises
    Problem MALFORMED for what cannot be changed.
    """
    steps: list[Step] = []
    gone: list[Step] = []
    for noun in ORDER:
        if SECTIONS[noun] not in wanted.sections:
            continue
        there, asked = current.of[noun], dict(wanted.of[noun])
        pairs = _paired(noun, there, asked)
        for path, fields in _in_order(noun, asked):
            old_path = pairs.get(path)
            if old_path is None:
                steps.append(Step(noun=noun, path=path, action=CREATE, new=fields))
                continue
            new = _filled(noun, fields, there[old_path]) if leaves_owners else fields
            if not same(new, there[old_path]):
                _check_possible(noun, path, there[old_path], new)
                steps.append(Step(noun=noun, path=path, action=UPDATE, old=there[old_path], new=new, old_path=old_path))
        if keep:
            continue
        left = there.keys() - set(pairs.values())
        gone += [
            Step(noun=noun, path=path, action=DELETE, old=there[path], old_path=path)
            for path, _ in _in_order(noun, {path: there[path] for path in left})
            if noun != KEY or (path[0],) in wanted.of[USER]  # the others go with their user
        ]
    return [*steps, *reversed(gone)]


def _paired(noun: str, there: Mapping[Path, Fields], asked: Mapping[Path, Fields]) -> dict[Path, Path]:
    """Wanted path -> the path of the object that there is. A key of the same name that says the same is the same key."""
    if noun != KEY:
        return {path: path for path in asked if path in there}
    pairs: dict[Path, Path] = {}
    free = set(there)
    for alike in (True, False):
        for path, fields in asked.items():
            if path in pairs:
                continue
            of_name = sorted(other for other in free if other[:2] == path[:2])
            if alike:
                match = next((other for other in of_name if same(there[other], fields)), None)
            else:
                match = path if path in free else next(iter(of_name), None)
            if match is not None:
                pairs[path] = match
                free.discard(match)
    return pairs


def _in_order(noun: str, of: Mapping[Path, Fields]) -> list[tuple[Path, Fields]]:
    """Parents before those below them, administrators before others, else by name."""

    def rank(item: tuple[Path, Fields]) -> tuple[int, Path]:
        path, fields = item
        if noun == USER:
            return (0 if fields["role"] == "admin" else 1, path)
        if noun != GROUP:
            return (0, path)
        depth, above = 0, fields["parent"]
        while above is not None and depth <= len(of):
            depth += 1
            above = of[above,]["parent"] if (above,) in of else None
        return (depth, path)

    return sorted(of.items(), key=rank)


def _filled(noun: str, new: Fields, old: Fields) -> Fields:
    """What a document leaves open is as it was: the owner of a model."""
    return {**new, "owner": old["owner"]} if noun == MODEL and new["owner"] is None else new


def _check_possible(noun: str, path: Path, old: Fields, new: Fields) -> None:
    if noun == USER and old["kind"] != new["kind"]:
        raise Problem(
            Kind.MALFORMED,
            f"user {path[0]}: a {old['kind']} cannot become a {new['kind']}; remove the one and make the other.",
        )


def _entries(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    kinds = (dict,) if name == "access_control" else (dict, type(None))  # null there is a value: everyone
    if old is new is None or not isinstance(old, kinds) or not isinstance(new, kinds):
        yield name, old, new
        return
    old, new = old or {}, new or {}
    for entry in sorted({**old, **new}):
        yield f"{name}.{entry}", old.get(entry), new.get(entry)


def _masked(entry: str, value: Any) -> Any:
    if entry == "api_keys" and value is not None:
        return [mask(key) for key in value]
    if entry.startswith("headers.") and value is not None:
        return mask(value)
    return value
