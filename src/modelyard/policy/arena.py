"""Which model answers a call of an arena entry: drawn from those behind the entry that the caller may use."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from modelyard.canonical.snapshot import Arena, Model, Principal, Snapshot
from modelyard.policy.access import may_use, named, other_spelling

# The settings of the arena (`control.settings.table`).
ENABLED = "arena.enabled"
MODELS = "arena.models"

# So many lots are drawn before everything behind an entry is looked at: of a large catalogue most callers may use much.
QUICK_LOTS = 20

One = TypeVar("One")


def entry_named(snapshot: Snapshot, name: str) -> Arena | None:
    """The entry that a call of that name goes to, `:latest` missing or extra. A model of the name, also an inactive one,
    comes first."""
    if name in snapshot.closed or named(snapshot, name) is not None:
        return None
    return snapshot.arena.get(name) or snapshot.arena.get(other_spelling(name))


def drawn(
    principal: Principal,
    entry: Arena,
    snapshot: Snapshot,
    serves: Callable[[Model], bool],
    lot: Callable[[], float],
) -> Model | None:
    """One of the models behind the entry, each as likely as the others. None when none can answer this caller.

    `serves` says whether a model can answer this call, `lot` draws a number in [0, 1). A key that is confined to the entry
    may be answered by whatever its owner may use: like a preset, the entry is what the key names.
    """
    names, answering = _behind(principal, entry, snapshot)
    if not names:
        return None
    for _ in range(QUICK_LOTS):
        model = answering(_one_of(names, lot))
        if model is not None and serves(model):
            return model
    left = [model for name in names if (model := answering(name)) is not None and serves(model)]
    return _one_of(left, lot) if left else None


def open_behind(principal: Principal, entry: Arena, snapshot: Snapshot) -> Iterator[Model | None]:
    """For each name behind the entry the model that the caller may use by it, one perhaps by two names. The entry itself
    opens none of them. They may be all models that there are: take them in slices."""
    names, answering = _behind(principal, entry, snapshot)
    return map(answering, names)


def _behind(
    principal: Principal, entry: Arena, snapshot: Snapshot
) -> tuple[Sequence[str], Callable[[str], Model | None]]:
    """The names to draw from, and which model of one the caller may use."""
    excluded = {model.id for name in entry.model_ids if (model := named(snapshot, name))} if entry.excludes else set()
    names: Sequence[str] = entry.model_ids if entry.model_ids and not entry.excludes else list(snapshot.models)

    def answering(name: str) -> Model | None:
        model = None if name in excluded else named(snapshot, name)
        return model if model is not None and may_use(principal, model, snapshot) else None

    return names, answering


def _one_of(of: Sequence[One], lot: Callable[[], float]) -> One:
    return of[int(lot() * len(of))]
