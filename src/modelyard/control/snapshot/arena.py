"""The arena's entries, compiled from the settings. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from modelyard.canonical.snapshot import Arena, Model, Readers
from modelyard.control.catalogue.grants import grants_from_rows, grants_of
from modelyard.control.settings import table
from modelyard.control.snapshot.compile import NOBODY, readers_of
from modelyard.core.errors import Problem
from modelyard.dialects.openai.listing import write_model

# What there is when the arena is on and nobody has said what is in it.
DEFAULT: Mapping[str, Any] = {
    "id": "arena-model",
    "name": "Arena Model",
    "meta": {"description": "Answers come from one of several models, which is named afterwards."},
}


def compile_arena(settings: Mapping[str, Any]) -> dict[str, Arena]:
    """The arena's entries by name, as the settings say; none when it is off."""
    if not settings.get(table.ARENA_ENABLED):
        return {}
    return {row["id"]: _entry(row) for row in settings.get(table.ARENA_MODELS) or (DEFAULT,)}


def in_force(arena: Mapping[str, Arena], bases: Collection[str], *taken: Collection[str]) -> dict[str, Arena]:
    """Those entries whose names are not taken: a model, and one that is inactive, keeps its name. Without base models there
    is nothing to draw from."""
    return {name: one for name, one in arena.items() if not any(name in names for names in taken)} if bases else {}


def _entry(row: Mapping[str, Any]) -> Arena:
    name, meta = row["id"], row.get("meta") or {}
    return Arena(
        model=Model(
            id=name,
            name=row["name"],
            owner_id=None,
            readers=_readers(name, meta),
            entry=write_model(name, row["name"], "arena", 0),
        ),
        row=row,
        model_ids=tuple(dict.fromkeys(meta.get("model_ids") or ())),
        excludes=meta.get("filter_mode") == "exclude",
    )


def _readers(name: str, meta: Mapping[str, Any]) -> Readers:
    """Who may use an entry: grants, else `access_control` (null is everyone), else administrators only."""
    try:
        if meta.get("access_grants") is not None:
            return readers_of(grants_from_rows(name, meta["access_grants"]))
        return readers_of(grants_of(name, meta.get("access_control", {})))
    except Problem:
        return NOBODY  # checked when it was stored; one that slipped through opens nothing
