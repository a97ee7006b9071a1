"""`modelyard models`: list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import session
from modelyard.cli.output import note, write_json, write_table
from modelyard.cli.reaching import Reached, reach
from modelyard.cli.session import AsJson, DataDir

if TYPE_CHECKING:
    from modelyard.canonical.records import ConnectionRow, ModelRow, Offer
    from modelyard.canonical.snapshot import Readers
    from modelyard.control.snapshot.compile import BaseModel, CompiledConnection
    from modelyard.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One id of the catalogue. `base` is None for a base model; a model without connections has no backend now."""

    id: str
    base: str | None
    kind: str
    connections: tuple[str, ...]
    active: bool
    owned: bool
    readers: "Readers"


def list_models(
    refresh: Annotated[
        bool,
        typer.Option("--refresh/--no-refresh", help="Ask the connections what they offer, or show what is stored."),
    ] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List what the connections offer and the catalogue makes of it, and who may use it besides administrators."""
    settings = session.settings_of(data_dir)
    rows, reached = session.run(_rows(settings, refresh=refresh))
    for one in reached:
        if one.error is not None:
            note(f"{one.row.name} gives no list of models: {one.error}")
    everybody = settings.bypass_model_access_control
    if as_json:
        write_json(
            [
                {
                    "id": row.id,
                    "base_model_id": row.base,
                    "kind": row.kind,
                    "connections": list(row.connections),
                    "is_active": row.active,
                    "access": {
                        "everyone": everybody or row.readers.everyone,
                        "users": len(row.readers.user_ids),
                        "groups": len(row.readers.group_ids),
                    },
                }
                for row in rows
            ]
        )
        return
    write_table(
        ("id", "base", "kind", "connections", "active", "who may use it"),
        [
            (
                row.id,
                row.base,
                row.kind,
                ", ".join(row.connections) or "none offers it",
                "yes" if row.active else "no",
                "everyone" if everybody else _access(row),
            )
            for row in rows
        ],
        when_empty="There is no model. Add a connection with: modelyard connections add",
    )


def _access(row: Listed) -> str:
    readers = row.readers
    if readers.everyone:
        return "everyone"
    if readers.user_ids or readers.group_ids:
        return f"{_count(len(readers.user_ids), 'user')}, {_count(len(readers.group_ids), 'group')}"
    return "owner only" if row.owned else "administrators only"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


async def _rows(settings: "Settings", *, refresh: bool) -> tuple[list[Listed], list[Reached]]:
    """(the catalogue, what came of asking the connections)"""
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.control.catalogue import queries
    from modelyard.control.snapshot.compile import compile_base_models, compile_readers

    async with session.opened(settings) as opened:
        connections = await opened.connections()
        async with opened.stores.database.read() as connection:
            rows = [*opened.stores.declared.models, *await queries.every(connection)]
            grants = [*opened.stores.declared.grants, *await queries.grants_of_models(connection)]
    reached = await reach(connections) if refresh else []
    offers: dict[str, Offer] = {one.row.id: one.offer for one in reached}
    compiled = [one for row in connections if (one := _compiled(row)) is not None]
    base_models = compile_base_models(compiled, offers)
    return _listed(base_models, rows, compile_readers(grants)), reached


def _compiled(row: "ConnectionRow") -> "CompiledConnection | None":
    """None for a stored connection that this version cannot use; the server leaves it out as well."""
    from modelyard.control.snapshot.compile import compile_connection

    try:
        return compile_connection(row)
    except (KeyError, ValueError):
        return None


def _listed(
    base_models: "Mapping[str, BaseModel]", rows: "Iterable[ModelRow]", readers: "Mapping[str, Readers]"
) -> list[Listed]:
    """Base models with their overrides, then overrides that nobody offers and presets."""
    from modelyard.control.snapshot.compile import NOBODY

    by_id = {row.id: row for row in rows}
    offered = []
    for name, base in base_models.items():
        override = by_id.get(name)
        if override is not None and override.base_model_id is not None:
            override = None
        offered.append(
            Listed(
                id=name,
                base=None,
                kind=base.owned_by,
                connections=_names(base),
                active=override is None or override.is_active,
                owned=override is not None and override.user_id is not None,
                readers=readers.get(name, NOBODY) if override is not None else NOBODY,
            )
        )
    others = [
        Listed(
            id=row.id,
            base=row.base_model_id,
            kind="preset" if row.base_model_id is not None else "override",
            connections=_names(base_models.get(row.base_model_id or row.id)),
            active=row.is_active,
            owned=row.user_id is not None,
            readers=readers.get(row.id, NOBODY),
        )
        for row in by_id.values()
        if row.id not in base_models
    ]
    return [*offered, *others]


def _names(base: "BaseModel | None") -> tuple[str, ...]:
    return tuple(dict.fromkeys(target.connection.name for target in base.targets)) if base is not None else ()
