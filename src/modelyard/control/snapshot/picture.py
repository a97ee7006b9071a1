"""What one snapshot was compiled from, with the compiled pieces, so that the next one need not begin again.

A picture that was published is never changed: a change is made in a draft of it (`Picture.draft`).
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from modelyard.canonical.records import (
    DATABASE,
    ConnectionRow,
    CredentialRow,
    Declared,
    GrantRow,
    GroupRow,
    ModelRow,
    UserRow,
)
from modelyard.canonical.snapshot import Model, Principal
from modelyard.control.snapshot.compile import by_model
from modelyard.control.snapshot.models import Access, compile_access
from modelyard.control.snapshot.offered import Offered

# What a credential goes by: where it is kept ("key", "session", or the source of a declared one) and its id there.
CredentialKey = tuple[str, str]
STORED_CREDENTIALS = ("key", "session")

# Where a preset stands in the list: declared ones first, then by age, then by id.
Position = tuple[int, int, str]

V = TypeVar("V")


class Index(Generic[V]):
    """Name to the set of what belongs to it. A copy shares the sets and copies one before it changes it."""

    __slots__ = ("_own", "_sets")

    def __init__(self, sets: Mapping[str, set[V]] | None = None) -> None:
        self._sets = dict(sets or {})
        self._own: set[str] = set()

    def copy(self) -> "Index[V]":
        return Index(self._sets)

    def of(self, name: str) -> Collection[V]:
        """Not to be kept while the index changes."""
        return self._sets.get(name, ())

    def add(self, name: str, value: V) -> None:
        self._set(name).add(value)

    def discard(self, name: str, value: V) -> None:
        if value in self.of(name):
            self._set(name).discard(value)
            if not self._sets[name]:
                del self._sets[name]
                self._own.discard(name)

    def _set(self, name: str) -> set[V]:
        if name not in self._own:
            self._own.add(name)
            self._sets[name] = set(self._sets.get(name, ()))
        return self._sets[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read, at one version. A row that is None is gone; a part that is None was not read.

    `whole`: everything was read, for a new picture. `members` are the users put into each group that was touched. The
    credentials of every user in `users` are all in `credentials`, the grants on every model of `models` in `grants`,
    which laying uses up. All that was granted to `ungranted_users` and `ungranted_groups` is gone; a model that was
    granted to one of them since is in `models`.
    """

    version: int
    whole: bool = False
    settings: Mapping[str, Any] | None = None
    groups: Sequence[GroupRow] | None = None
    members: Mapping[str, Collection[str]] = field(default_factory=dict)
    users: Mapping[str, UserRow | None] = field(default_factory=dict)
    credentials: Mapping[CredentialKey, CredentialRow | None] = field(default_factory=dict)
    connections: Sequence[ConnectionRow] | None = None
    models: Mapping[str, ModelRow | None] = field(default_factory=dict)
    grants: dict[str, list[GrantRow]] = field(default_factory=dict)
    ungranted_users: frozenset[str] = frozenset()
    ungranted_groups: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Picture:
    """Rows in force (declared and stored) by id, and what was compiled from them.

    `bases` and `presets` are the models that are listed, both in catalogue order; `order` is the order of the presets.
    `rows` and `access` hold the rows that are not listed too. `presets_on` maps a base model's id, as the presets spell
    it, to them; `owned` a user's id to their rows; `credentials_of` to what they may present.
    """

    version: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    groups: dict[str, GroupRow] = field(default_factory=dict)
    users: dict[str, UserRow] = field(default_factory=dict)
    principals: dict[str, Principal] = field(default_factory=dict)
    credentials: dict[CredentialKey, CredentialRow] = field(default_factory=dict)
    credentials_of: Index[CredentialKey] = field(default_factory=Index)
    by_digest: dict[bytes, Principal] = field(default_factory=dict)
    connections: Sequence[ConnectionRow] = ()
    offered: Offered = field(default_factory=Offered)
    rows: dict[str, ModelRow] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    presets_on: Index[str] = field(default_factory=Index)
    owned: Index[str] = field(default_factory=Index)
    bases: dict[str, Model] = field(default_factory=dict)
    presets: dict[str, Model] = field(default_factory=dict)
    order: list[Position] = field(default_factory=list)
    models: Mapping[str, Model] = field(default_factory=dict)

    def draft(self) -> "Picture":
        """A copy that may be changed until it is published; about a millisecond for ten thousand models."""
        draft = copy(self)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, dict | list | Index):
                setattr(draft, each.name, value.copy())
        return draft

    def put_row(self, row: ModelRow, access: Access) -> None:
        """A row of the catalogue that is new or changed."""
        self.drop_row(row.id)
        self.rows[row.id] = row
        self.access[row.id] = access
        if row.base_model_id is not None:
            self.presets_on.add(row.base_model_id, row.id)
            if row.user_id is not None:
                self.owned.add(row.user_id, row.id)

    def drop_row(self, model_id: str) -> None:
        """A row of the catalogue that is gone."""
        row = self.rows.pop(model_id, None)
        self.access.pop(model_id, None)
        if row is not None and row.base_model_id is not None:
            self.presets_on.discard(row.base_model_id, model_id)
            if row.user_id is not None:
                self.owned.discard(row.user_id, model_id)

    def put_credential(self, row: CredentialRow) -> None:
        """A credential whose owner may not be known yet."""
        key = key_of(row)
        self.credentials[key] = row
        self.credentials_of.add(row.user_id, key)

    def drop_credential(self, key: CredentialKey) -> None:
        """A credential that is over."""
        row = self.credentials.pop(key, None)
        if row is not None:
            self.by_digest.pop(row.digest, None)
            self.credentials_of.discard(row.user_id, key)

    def place(self, position: Position) -> None:
        """This preset is listed now."""
        insort(self.order, position)

    def unplace(self, position: Position) -> None:
        """This preset is not listed any more."""
        at = bisect_left(self.order, position)
        if at < len(self.order) and self.order[at] == position:
            del self.order[at]


def kept(new: V, known: V | None) -> V:
    """What is known already when it is equal: the same object stays, and nothing has to be cleared away at once."""
    return known if known is not None and known == new else new


def key_of(row: CredentialRow) -> CredentialKey:
    """What this credential goes by."""
    return (row.kind if row.source == DATABASE else row.source, row.id)


def blank(declared: Declared) -> Picture:
    """The picture of an empty database: only what is declared, nothing compiled yet."""
    picture = Picture(
        groups={row.id: row for row in declared.groups},
        users={row.id: row for row in declared.users},
    )
    for credential in declared.credentials:
        picture.put_credential(credential)
    grants = by_model(declared.grants)
    for row in declared.models:
        picture.put_row(row, compile_access(grants.get(row.id, ())))
    return picture
