"""`modelyard import`: open-webui, litellm, localai, modelfile. And `modelyard models modelfile`, the way back."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from modelyard.cli import session
from modelyard.cli.output import note, one_line, say, write_json
from modelyard.cli.session import AsJson, DataDir
from modelyard.cli.yard import SIGNS
from modelyard.core.errors import Kind, Problem

if TYPE_CHECKING:
    from modelyard.control.importers.carried import Carried, Left
    from modelyard.control.importers.settling import Settled
    from modelyard.control.modelfile.writing import Written
    from modelyard.control.yard.exporting import Ground
    from modelyard.control.yard.service import Made
    from modelyard.settings import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and what is left. Changes nothing.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Change accounts, groups, settings and models of others that are there too.")
]
Owner = Annotated[
    str | None,
    typer.Option(
        metavar="EMAIL",
        help="Whose models those are that the file gives to nobody. Default: the first administrator's.",
    ),
]
# Longer values are cut: a prompt or a picture would hide the rest.
WIDEST = 100

# Beginnings of the names of our own settings that are secrets or hold some.
OUR_OWN = ("MODELYARD_", "DATABASE_URL", "REDIS_URL")


class Ways(NamedTuple):
    """How an import is to be done."""

    dry_run: bool
    overwrite: bool
    owner: str | None


def open_webui(
    file: Annotated[Path, typer.Argument(metavar="FILE_OR_DB", help="An export of models (JSON), or webui.db.")],
    owner: Owner = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Import from Open WebUI: models, and from its database people, groups and connections too."""
    settings = session.settings_of(data_dir)
    session.run(_import(settings, lambda _: _open_webui(file), Ways(dry_run, overwrite, owner), as_json))


def litellm(
    file: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config.yaml.")],
    owner: Owner = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Import from LiteLLM: deployments as connections and models."""
    settings = session.settings_of(data_dir)
    session.run(
        _import(settings, lambda environment: _litellm(file, environment), Ways(dry_run, overwrite, owner), as_json)
    )


def localai(
    file: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="YAML of models, or the folder with them.")],
    base_url: Annotated[str | None, typer.Option(help="Where LocalAI is. Default: its usual address.")] = None,
    name: Annotated[str, typer.Option(help="What the connection is called.")] = "LocalAI",
    owner: Owner = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Import from LocalAI: its models on a connection to it."""
    settings = session.settings_of(data_dir)
    session.run(_import(settings, lambda _: _localai(file, base_url, name), Ways(dry_run, overwrite, owner), as_json))


def modelfile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Modelfile of Ollama.")],
    model_id: Annotated[
        str | None, typer.Option("--id", help="Id of the model. Default: from the file's name.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: its id.")] = None,
    base: Annotated[str | None, typer.Option(help="The model to stand on, when FROM names a file.")] = None,
    owner: Owner = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Import a Modelfile as a preset over the model that its FROM names."""
    settings = session.settings_of(data_dir)
    session.run(
        _import(settings, lambda _: _modelfile(file, model_id, name, base), Ways(dry_run, overwrite, owner), as_json)
    )


def export_modelfile(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the model.")], data_dir: DataDir = None
) -> None:
    """Write a model as a Modelfile for Ollama. What it cannot say is told beside it."""
    text, notes = session.run(_written(session.settings_of(data_dir), model_id))
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
    for sentence in notes:
        note(sentence)


async def _written(settings: "Settings", model_id: str) -> "Written":
    from modelyard.control.catalogue import queries
    from modelyard.control.modelfile.writing import of_row

    async with session.opened(settings) as opened:
        row = next((one for one in opened.stores.declared.models if one.id == model_id), None)
        if row is None:
            async with opened.stores.database.read() as connection:
                stored = await queries.stored(connection, model_id)
            if stored is None:
                raise Problem(Kind.NOT_FOUND, f"The catalogue has no model with the id {model_id}.")
            row = stored.row
    return of_row(row.id, row.name, row.base_model_id, row.params, row.meta)


# Imported in functions here, as everywhere in this module, so that `--help` loads nothing of the server.


def _open_webui(path: Path) -> "Carried":
    from modelyard.control.importers import open_webui

    return open_webui.read(path)


def _for_files(environment: Mapping[str, str]) -> dict[str, str]:
    """What a file may take from the environment: a foreign one must not name our own secrets and have them sent away."""
    return {name: value for name, value in environment.items() if not name.startswith(OUR_OWN)}


def _litellm(path: Path, environment: Mapping[str, str]) -> "Carried":
    from modelyard.control.importers import litellm

    return litellm.read(_content(path), environment)


def _localai(path: Path, base_url: str | None, name: str) -> "Carried":
    from modelyard.control.importers import localai

    return localai.read(path, base_url or localai.DEFAULT_URL, name)


def _modelfile(path: Path, model_id: str | None, name: str | None, base: str | None) -> "Carried":
    from modelyard.control.importers import modelfile

    return modelfile.read(_content(path), model_id or modelfile.id_of(path.name), name, base)


def _content(path: Path) -> bytes:
    from modelyard.control.importers.reading import check_size

    try:
        check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise Problem(Kind.NOT_FOUND, f"{path} cannot be read: {error.strerror}.") from None


async def _import(
    settings: "Settings", read: "Callable[[Mapping[str, str]], Carried]", ways: Ways, as_json: bool
) -> None:
    from modelyard.settings import read_environment

    environment = _for_files(read_environment())
    carried = read(environment)
    async with session.opened(settings, make=not ways.dry_run) as opened:
        from modelyard.declared import default_timeouts

        ground = _ground(opened, default_timeouts(settings))
        made, settled = await _apply(opened, ground, carried, environment, ways)
    left = [*carried.left, *settled.left]
    notes = [*made.plan.notes, *_owner_told(made, settled.heir)]
    if as_json:
        write_json(_as_json(made, left, notes, dry_run=ways.dry_run))
        return
    _write(made, left, notes, dry_run=ways.dry_run)


def _owner_told(made: "Made", heir: str | None) -> list[str]:
    """Whose the new models are that the file gives to nobody."""
    found = [step for step in made.plan.steps if step.noun == "model" and step.action == "create"]
    number = sum(step.new is not None and step.new["owner"] == heir for step in found)
    if not number:
        return []
    whose = f"{number} new model{'' if number == 1 else 's'}: the owner is {heir or 'the command line'}"
    if heir is not None:
        return [f"{whose}."]
    whose += " (`command-line`), because there is no administrator yet"
    return [f"{whose}. Once there is one, give them to a person: import the same file again with --owner EMAIL."]


def _ground(opened: session.Session, timeouts: Any) -> "Ground":
    from modelyard.control.yard.exporting import Ground

    return Ground(seal=opened.stores.seal, declared=opened.stores.declared, timeouts=timeouts)


async def _apply(
    opened: session.Session,
    ground: "Ground",
    carried: "Carried",
    environment: dict[str, str],
    ways: Ways,
) -> "tuple[Made, Settled]":
    """Plan, and unless it is a dry run apply: all of it or nothing."""
    from modelyard.control.catalogue.activity import Activity
    from modelyard.control.importers.settling import settle
    from modelyard.control.transaction import COMMAND_LINE
    from modelyard.control.yard import service

    if ways.dry_run:
        async with opened.stores.database.read() as connection:
            settled = await settle(connection, ground, carried, environment, overwrite=ways.overwrite, owner=ways.owner)
            return await service.plan(connection, ground, settled.asked), settled
    async with opened.changes.begin(COMMAND_LINE) as change:
        settled = await settle(
            change.connection, ground, carried, environment, overwrite=ways.overwrite, owner=ways.owner
        )
        return await service.apply(change, ground, settled.asked, Activity()), settled


def _write(made: "Made", left: "list[Left]", notes: list[str], *, dry_run: bool) -> None:
    for step in made.plan.steps:
        say(f"{SIGNS[step.action]} {step.noun} {step.name}")
        for field, (old, new) in step.changes().items() if dry_run else ():
            shown = _value(new) if step.action == "create" else f"{_value(old)} -> {_value(new)}"
            sys.stdout.write(f"    {one_line(field)}: {shown}\n")
    if left:
        say(f"Not carried ({len(left)}):")
    for one in left:
        told = f"{one.place}: {one.what} ({one.why})" if one.what else f"{one.place}: {one.why}"
        sys.stdout.write(f"    {one_line(told)}\n")
    for sentence in notes:
        note(sentence)
    counts = made.plan.counts()
    if not made.plan.steps:
        say("There is nothing to do.")
    elif dry_run:
        say(f"{counts['create']} to create, {counts['update']} to update. Nothing was changed.")
    else:
        say(f"{counts['create']} created, {counts['update']} updated: this is revision {made.revision}.")


def _value(value: Any) -> str:
    import json

    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 20]}... ({len(text)} characters)"


def _as_json(made: "Made", left: "list[Left]", notes: list[str], *, dry_run: bool) -> dict[str, Any]:
    return {
        "applied": not dry_run and bool(made.plan.steps),
        "revision": made.revision,
        "steps": [
            {
                "noun": step.noun,
                "name": step.name,
                "action": step.action,
                "fields": {field: {"old": old, "new": new} for field, (old, new) in step.changes().items()},
            }
            for step in made.plan.steps
        ],
        "notes": notes,
        "left": [{"place": one.place, "what": one.what, "why": one.why} for one in left],
    }
