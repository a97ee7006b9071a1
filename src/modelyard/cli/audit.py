"""`modelyard audit`: verify, export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelyard.cli import session
from modelyard.cli.output import say, write_json
from modelyard.cli.session import AsJson, DataDir

if TYPE_CHECKING:
    from modelyard.control.audit.queries import Filter
    from modelyard.control.audit.verify import Verdict
    from modelyard.settings import Settings


def verify(
    mark: Annotated[
        str | None, typer.Option(help="POSITION:DIGEST of an earlier verdict: the log up to it must be the same.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check that the audit log is as it was written. Names the first entry that was altered, removed or inserted.

    Exit code 1 when there is one. The mark that is printed, kept elsewhere, proves later that nothing before it changed.
    """
    found = session.run(_verify(session.settings_of(data_dir), mark))
    if as_json:
        write_json(found.shown())
    else:
        say(found.sentence)
        if found.fault is None and found.mark is not None:
            say(f"Mark: {found.mark}")
    raise SystemExit(0 if found.fault is None else 1)


async def _verify(settings: "Settings", mark: str | None) -> "Verdict":
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.control.audit import verify as checking

    at = checking.mark_of(mark)
    async with session.opened(settings) as opened:
        return await checking.verify(opened.stores.database, opened.stores.seal.chain_keys, at)


def export(
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="JSON lines or CSV.")] = "jsonl",
    output: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    entity_type: Annotated[str | None, typer.Option(help="Only this type, such as model or key.")] = None,
    entity_id: Annotated[str | None, typer.Option(help="Only this object.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Only what this user did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as model.updated.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="A date, an ISO 8601 time or Unix seconds.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="The same; what happened then is left out.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the audit log as a file, oldest entry first."""
    given = {"entity_type": entity_type, "entity_id": entity_id, "user_id": user_id, "action": action}
    equal = {name: value for name, value in given.items() if value is not None}
    session.run(_export(session.settings_of(data_dir), form, output, equal, start, end))


async def _export(
    settings: "Settings", form: str, output: Path | None, equal: dict[str, str], start: str | None, end: str | None
) -> None:
    from modelyard.control.audit.queries import Filter
    from modelyard.control.moments import seconds_of

    wanted = Filter(equal=equal, start=seconds_of("from", start), end=seconds_of("to", end))
    async with session.opened(settings) as opened:
        await _write(opened, wanted, form, output)


async def _write(opened: session.Session, wanted: "Filter", form: str, output: Path | None) -> None:
    from modelyard.control.audit import queries
    from modelyard.control.audit.export import lines

    pieces = lines(queries.every(opened.stores.database, wanted), form)
    if output is None:
        async for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        async for piece in pieces:
            file.write(piece)
