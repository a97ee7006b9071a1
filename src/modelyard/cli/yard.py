"""`modelyard export`, `plan`, `apply`, `rollback`, `revisions`: the installation as a document."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import session
from modelyard.cli.output import moment, note, one_line, say, stop, write_json, write_table
from modelyard.cli.session import AsJson, DataDir

if TYPE_CHECKING:
    from modelyard.cli.session import Session
    from modelyard.control.yard.exporting import Ground
    from modelyard.control.yard.revisions import Revision
    from modelyard.control.yard.service import Asked, Made
    from modelyard.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="A yard.yaml, or - for standard input.")]
Keep = Annotated[bool, typer.Option("--keep", help="Delete nothing: what the file does not name stays.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Expect = Annotated[str | None, typer.Option(metavar="ID", help="Apply only if this is the plan, by its id.")]

# Exit code of `plan --exit-code` when there is something to do.
DIFFERS = 2
# Longer values are cut: a prompt or a picture would hide the rest.
WIDEST = 100
SIGNS = {"create": "+", "update": "~", "delete": "-"}


def export(data_dir: DataDir = None) -> None:
    """Write what the database holds as YAML. Secrets are references such as ${MODELYARD_CLOUD_KEY_1}."""
    text = session.run(_export(session.settings_of(data_dir)))
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


async def _export(settings: "Settings") -> str:
    from modelyard.control.yard import service

    async with session.opened(settings) as opened, opened.stores.database.read() as connection:
        return await service.export(connection, _ground(opened))


def plan(
    file: File,
    keep: Keep = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"End with {DIFFERS} when there is something to do.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what `apply` would do. Changes nothing."""
    made = session.run(_plan(session.settings_of(data_dir), _asked(file, keep=keep)))
    if as_json:
        from modelyard.control.yard.service import shown

        write_json(shown(made))
    else:
        _write(made)
    raise SystemExit(DIFFERS if exit_code and made.plan.steps else 0)


async def _plan(settings: "Settings", asked: "Asked") -> "Made":
    from modelyard.control.yard import service

    async with session.opened(settings) as opened:
        async with opened.stores.database.read() as connection:
            made = await service.plan(connection, _ground(opened), asked)
        await _check_names(opened, made)
    return made


def apply(file: File, keep: Keep = False, yes: Yes = False, expect: Expect = None, data_dir: DataDir = None) -> None:
    """Make the database what the file says: all of it, or nothing. Shows the plan and asks."""
    session.run(_apply(session.settings_of(data_dir), _asked(file, keep=keep, expect=expect), yes=yes))


async def _apply(settings: "Settings", asked: "Asked", *, yes: bool) -> None:
    from modelyard.control.catalogue.activity import Activity
    from modelyard.control.transaction import COMMAND_LINE
    from modelyard.control.yard import service

    async with session.opened(settings, make=True) as opened:
        ground = _ground(opened)
        async with opened.stores.database.read() as connection:
            made = await service.plan(connection, ground, asked)
        await _check_names(opened, made)
        agreed = _agreed(made, asked, yes=yes)
        if agreed is None:
            return
        async with opened.changes.begin(COMMAND_LINE) as change:
            made = await service.apply(change, ground, agreed, Activity())
    say(f"Applied: this is revision {made.revision}.")


def rollback(
    revision: Annotated[int, typer.Argument(help="The number of the revision; `modelyard revisions` lists them.")],
    yes: Yes = False,
    data_dir: DataDir = None,
) -> None:
    """Go back to a state that was applied. Shows the plan and asks."""
    session.run(_roll_back(session.settings_of(data_dir), revision, yes=yes))


async def _roll_back(settings: "Settings", revision: int, *, yes: bool) -> None:
    from modelyard.control.catalogue.activity import Activity
    from modelyard.control.transaction import COMMAND_LINE
    from modelyard.control.yard import service
    from modelyard.settings import read_environment

    asked = service.Asked(text="", values=read_environment())
    async with session.opened(settings) as opened:
        ground = _ground(opened)
        async with opened.stores.database.read() as connection:
            made = await service.plan_back(connection, ground, revision, asked)
        await _check_names(opened, made)
        agreed = _agreed(made, asked, yes=yes)
        if agreed is None:
            return
        async with opened.changes.begin(COMMAND_LINE) as change:
            made = await service.roll_back(change, ground, revision, agreed, Activity())
    say(f"Back at revision {revision}: this is revision {made.revision}.")


def revisions(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the states that `apply` and `rollback` kept, newest first."""
    rows = session.run(_revisions(session.settings_of(data_dir)))
    if as_json:
        fields = ("id", "user_id", "message", "size", "created_at")
        write_json([{name: getattr(row, name) for name in fields} for row in rows])
        return
    write_table(
        ("revision", "when", "by", "what", "characters"),
        [(row.id, moment(row.created_at), row.user_id, row.message, row.size) for row in rows],
        when_empty="Nothing was applied yet.",
    )


async def _revisions(settings: "Settings") -> "list[Revision]":
    from modelyard.control.yard import revisions as kept

    async with session.opened(settings) as opened, opened.stores.database.read() as connection:
        return await kept.listed(connection)


def _ground(opened: "Session") -> "Ground":
    from modelyard.control.yard.exporting import Ground
    from modelyard.declared import default_timeouts

    stores = opened.stores
    return Ground(seal=stores.seal, declared=stores.declared, timeouts=default_timeouts(stores.settings))


async def _check_names(opened: "Session", made: "Made") -> None:
    """Raises Problem for a new preset with the name of a base model. A server knows what its backends offer; here they are
    asked, and only when it matters. One that does not answer offers nothing, as there."""
    from modelyard.cli.reaching import reach
    from modelyard.control.snapshot.compile import visible_name
    from modelyard.control.yard import service

    if not service.new_presets(made.plan.steps):
        return
    reached = await reach(await opened.connections())
    offered = {visible_name(one.row, name) for one in reached if one.row.enable for name in one.names}
    service.check_names(made.plan.steps, offered.__contains__)


def _asked(file: Path, *, keep: bool, expect: str | None = None) -> "Asked":
    from modelyard.control.yard.reading import MAX_FILE
    from modelyard.control.yard.service import Asked
    from modelyard.settings import read_environment

    try:
        data = sys.stdin.buffer.read(MAX_FILE + 1) if str(file) == "-" else file.read_bytes()
        text = data.decode()
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        stop(f"{file}: it is not UTF-8 text.")
    return Asked(text=text, values=read_environment(), keep=keep, expect=expect)


def _agreed(made: "Made", asked: "Asked", *, yes: bool) -> "Asked | None":
    """What to apply once the plan was shown and nobody said no; None when there is nothing to do."""
    from dataclasses import replace

    _write(made)
    if not made.plan.steps:
        return None
    if asked.expect is None:
        asked = replace(asked, expect=made.id)
    if not yes:
        if not sys.stdin.isatty():
            stop("There is no terminal to ask: look at the plan, then use --yes.")
        if not typer.confirm("Apply this?", err=True):
            stop("Nothing was changed.")
    return asked


def _write(made: "Made") -> None:
    """The plan as a difference for people: a sign and a name for each object, a line for each field."""
    for step in made.plan.steps:
        say(f"{SIGNS[step.action]} {step.noun} {step.name}")
        for field, (old, new) in step.changes().items():
            if step.action == "create":
                shown = _value(new)
            elif step.action == "delete":
                shown = _value(old)
            else:
                shown = f"{_value(old)} -> {_value(new)}"
            sys.stdout.write(f"    {one_line(field)}: {shown}\n")
    if made.plan.steps:
        counts = made.plan.counts()
        say(f"{counts['create']} to create, {counts['update']} to update, {counts['delete']} to delete.")
        note(f"The id of this plan: {made.id}")
    else:
        say("There is nothing to do.")
    for sentence in made.plan.notes:
        note(sentence)


def _value(value: Any) -> str:
    import json

    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 20]}... ({len(text)} characters)"
