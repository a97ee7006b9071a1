"""Who may use which model. Deny by default: every path to `True` is written here."""

from collections.abc import Callable, Iterator
from itertools import chain

from modelyard.canonical.snapshot import PENDING, Model, Principal, Readers, Snapshot

LATEST = ":latest"


def other_spelling(name: str) -> str:
    """The same name with `:latest` missing or added: Ollama's clients use both."""
    return name.removesuffix(LATEST) if name.endswith(LATEST) else name + LATEST


def named(snapshot: Snapshot, name: str) -> Model | None:
    """The model of that name: exact, else with a missing or an extra `:latest` forgiven. An inactive one is none."""
    found = snapshot.models.get(name)
    return found if found is not None or name in snapshot.closed else snapshot.models.get(other_spelling(name))


def row_ids(name: str, offers: Callable[[str], bool]) -> tuple[str, ...]:
    """The ids of the catalogue rows that can speak for a name, the first that there is does (`speaks_for`): its own, and
    that of its other spelling, unless backends offer both names: then each has a row of its own."""
    other = other_spelling(name)
    return (name,) if offers(name) and offers(other) else (name, other)


def speaks_for(row_id: str, base_model_id: str | None, name: str, offers: Callable[[str], bool]) -> bool:
    """True when this row, one of `row_ids`, speaks for the name. A preset never does so for a base model's other spelling."""
    return row_id == name or base_model_id is None or not offers(name)


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
