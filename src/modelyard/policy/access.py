"""Who may use which model. Deny by default: every path to `True` is written here."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Protocol, TypeVar

from modelyard.canonical.snapshot import PENDING, Model, Principal, Readers, Snapshot

LATEST = ":latest"

AnyRow = TypeVar("AnyRow", bound="Row")


def other_spelling(name: str) -> str:
    """The same name with `:latest` missing or added: Ollama's clients use both."""
    return name.removesuffix(LATEST) if name.endswith(LATEST) else name + LATEST


def named(snapshot: Snapshot, name: str) -> Model | None:
    """The model of that name: exact, else with a missing or an extra `:latest` forgiven. An inactive one is none."""
    return found_as(name, snapshot.models, snapshot.closed.__contains__)


def found_as(name: str, models: Mapping[str, Model], is_closed: Callable[[str], bool]) -> Model | None:
    """The one of these models that a name finds: exact, else the other spelling unless the very name is closed."""
    found = models.get(name)
    return found if found is not None or is_closed(name) else models.get(other_spelling(name))


class Row(Protocol):
    """A row of the catalogue: a preset, or without `base_model_id` the override of a base model."""

    @property
    def base_model_id(self) -> str | None: ...


def speaking(name: str, rows: Mapping[str, AnyRow], offers: Callable[[str], bool]) -> AnyRow | None:
    """The row that speaks for a name: its own, else that of its other spelling, unless backends offer both names: then each
    has a row of its own. `rows` holds by id at least those two that there are; `offers` says which names backends offer.

    A name that is offered is the base model's: a preset that has it from before is not in force, and no other preset speaks
    for it.
    """
    other = other_spelling(name)
    for row_id in (name,) if offers(name) and offers(other) else (name, other):
        row = rows.get(row_id)
        if row is not None and (row.base_model_id is None or not (offers(name) or offers(row_id))):
            return row
    return None


def reads(principal: Principal, readers: Readers, owner_id: str | None) -> bool:
    """True when this object is open to the caller by role, ownership or grant."""
    if principal.sees_all or (owner_id is not None and owner_id == principal.user_id):
        return True
    return (
        readers.everyone
        or principal.user_id in readers.user_ids
        or not readers.group_ids.isdisjoint(principal.group_ids)
    )


def may_use(principal: Principal, model: Model, snapshot: Snapshot) -> bool:
    """True when the caller may run this model. A preset opens its base only when its owner may use that base."""
    if principal.role == PENDING:
        return False
    if snapshot.open_catalogue:
        return True
    if not reads(principal, model.readers, model.owner_id):
        return False
    base = model.base
    return base is None or model.opens_base or reads(principal, base.readers, base.owner_id)


def in_scope(principal: Principal, model: Model, snapshot: Snapshot | None = None) -> bool:
    """True when the credential used is not confined to other models.

    The other spelling of a name counts as well, unless the snapshot has a model of that very name: then it is that one.
    """
    scope = principal.models
    if scope is None or model.id in scope:
        return True
    other = other_spelling(model.id)
    return other in scope and (snapshot is None or other not in snapshot.models)


def usable(principal: Principal, snapshot: Snapshot) -> Iterator[Model]:
    """The models that the caller may run with this credential, in catalogue order, and the arena's entries."""
    for model in chain(snapshot.models.values(), (entry.model for entry in snapshot.arena.values())):
        if in_scope(principal, model, snapshot) and may_use(principal, model, snapshot):
            yield model
