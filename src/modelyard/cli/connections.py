"""`modelyard connections`: add, list, remove, test."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modelyard.cli import session
from modelyard.cli.output import note, say, stop, write_json, write_table
from modelyard.cli.reaching import Reached, any_failed, reach, write_reached
from modelyard.cli.session import AsJson, DataDir
from modelyard.core.errors import Kind, Problem

if TYPE_CHECKING:
    from modelyard.canonical.records import ConnectionRow
    from modelyard.settings import Settings

NameOrId = Annotated[str, typer.Argument(metavar="NAME_OR_ID", help="Its name or its id.")]


def add(
    name: Annotated[str, typer.Argument(help="A name of its own, for people.")],
    kind: Annotated[Literal["openai", "anthropic", "ollama"], typer.Option(help="What it speaks.")],
    base_url: Annotated[str, typer.Option(help="Its address, with or without /v1 or /api.")],
    flavour: Annotated[str | None, typer.Option(help="Which server it is, such as vllm or llama.cpp.")] = None,
    api_key: Annotated[list[str] | None, typer.Option(help="A key for it; several are used in turn.")] = None,
    api_key_env: Annotated[
        list[str] | None, typer.Option(metavar="VAR", help="An environment variable that holds a key for it.")
    ] = None,
    prefix_id: Annotated[str | None, typer.Option(help="Put before the names of its models, with a dot.")] = None,
    model_id: Annotated[
        list[str] | None, typer.Option(help="Offer this model of it only; several may be given.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; several may be given.")] = None,
    priority: Annotated[int | None, typer.Option(help="Of several for one model, the highest goes first.")] = None,
    weight: Annotated[int | None, typer.Option(help="Share among those of one priority.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add it switched off.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Connect a backend. It is added even when it does not answer yet."""
    settings = session.settings_of(data_dir)
    given = {
        "name": name,
        "kind": kind,
        "base_url": base_url,
        "flavour": flavour,
        "api_keys": [*(api_key or []), *(_from_environment(variable) for variable in api_key_env or [])],
        "prefix_id": prefix_id,
        "model_ids": model_id,
        "tags": tag,
        "priority": priority,
        "weight": weight,
        "enable": not disabled,
    }
    made = session.run(_add(settings, {field: value for field, value in given.items() if value is not None}))
    say(f"Added {made.row.name} ({made.row.id}).")
    if made.error is not None:
        note(f"It gives no list of models yet: {made.error}")
    elif made.row.enable:
        note(f"It offers {len(made.names)} models.")


def _from_environment(variable: str) -> str:
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.settings import read_environment

    value = read_environment().get(variable)
    if value is None:
        stop(f"The environment has no variable {variable}.")
    return value


async def _add(settings: "Settings", given: dict[str, Any]) -> Reached:
    from modelyard.control.connections import service
    from modelyard.control.connections.schemas import NewConnection
    from modelyard.control.transaction import COMMAND_LINE
    from modelyard.declared import default_timeouts

    form = NewConnection.model_validate(given).model_dump(exclude_unset=True)
    async with session.opened(settings, make=True) as opened:
        declared = [row.name for row in opened.stores.declared.connections]
        async with opened.changes.begin(COMMAND_LINE) as change:
            row = await service.add(change, opened.stores.seal, form, default_timeouts(settings), declared)
    return (await reach([row]))[0]


def list_connections(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List all connections, also those of the environment and of yard.yaml. Keys are masked."""
    rows = session.run(_rows(session.settings_of(data_dir)))
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.control.connections.service import shown

    secrets_masked = [shown(row) for row in rows]
    if as_json:
        write_json(secrets_masked)
        return
    write_table(
        ("name", "kind", "flavour", "address", "keys", "prefix", "models", "priority", "weight", "on", "source", "id"),
        [
            (
                row["name"],
                row["kind"],
                row["flavour"],
                row["base_url"],
                ", ".join(row["api_keys"]),
                row["prefix_id"],
                ", ".join(row["model_ids"]) or "all",
                row["priority"],
                row["weight"],
                "yes" if row["enable"] else "no",
                row["source"],
                row["id"],
            )
            for row in secrets_masked
        ],
        when_empty="No connection is configured. Add one with: modelyard connections add",
    )


async def _rows(settings: "Settings") -> "list[ConnectionRow]":
    async with session.opened(settings) as opened:
        return await opened.connections()


def remove(name_or_id: NameOrId, data_dir: DataDir = None) -> None:
    """Remove a connection and its credentials."""
    row = session.run(_remove(session.settings_of(data_dir), name_or_id))
    say(f"Removed {row.name} ({row.id}).")


async def _remove(settings: "Settings", name_or_id: str) -> "ConnectionRow":
    from modelyard.canonical.records import DATABASE
    from modelyard.control.connections import service
    from modelyard.control.transaction import COMMAND_LINE

    async with session.opened(settings) as opened:
        found = _named(await opened.connections(), name_or_id)
        stored = [row for row in found if row.source == DATABASE]
        if not stored:
            raise Problem(
                Kind.CONFLICT, f"This connection is declared in the {found[0].source}; change it there and start again."
            )
        async with opened.changes.begin(COMMAND_LINE) as change:
            await service.remove(change, opened.stores.seal, stored[0].id)
        return stored[0]


def reach_connections(
    name_or_id: Annotated[str | None, typer.Argument(metavar="[NAME_OR_ID]", help="Its name or its id.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Reach all connections, or one of them even when it is switched off. Exit code 1 when one fails."""
    found = session.run(_test(session.settings_of(data_dir), name_or_id))
    write_reached(found)
    raise SystemExit(1 if any_failed(found) else 0)


async def _test(settings: "Settings", name_or_id: str | None) -> list[Reached]:
    rows = await _rows(settings)
    if name_or_id is None:
        return await reach(rows)
    return await reach(_named(rows, name_or_id), also_disabled=True)


def _named(rows: "list[ConnectionRow]", name_or_id: str) -> "list[ConnectionRow]":
    """The one with that id, or those with that name: a declared one may share it with a stored one."""
    found = [row for row in rows if row.id == name_or_id] or [row for row in rows if row.name == name_or_id]
    if not found:
        raise Problem(Kind.NOT_FOUND, f"There is no connection with the name or id {name_or_id}.")
    return found
