"""`modelyard check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import session
from modelyard.cli.output import say
from modelyard.cli.reaching import Reached, any_failed, reach, write_reached
from modelyard.cli.session import DataDir, State

if TYPE_CHECKING:
    from modelyard.settings import Settings


def check(
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="A yard.yaml to read.")] = None,
) -> None:
    """Check the settings and yard.yaml, look at the database, and reach every connection. Changes nothing.

    Exit code 1 when a connection or the database fails, 2 for wrong settings.
    """
    settings = session.settings_of(data_dir, config)
    state, problem, found = session.run(_check(settings))
    say("Settings: they are in order.")
    if problem is not None:
        say(f"Database: {problem}")
    elif state is State.CURRENT:
        say(f"Database: {state.value}")
    elif state is not None:
        say(f"Database: {state.value} `modelyard serve` sees to it, or: {session.migrate_command(settings)}")
    if found or problem is None:
        write_reached(found)
    raise SystemExit(1 if problem is not None or any_failed(found) else 0)


async def _check(settings: "Settings") -> tuple[State | None, str | None, list[Reached]]:
    """(state of the databases, what is wrong with them, the connections)"""
    # Imported here, so that `--help` loads nothing of the server.
    from sqlalchemy.exc import SQLAlchemyError

    from modelyard.control.connections import queries

    state, problem = None, None
    async with session.untouched(settings) as stores:
        rows = list(stores.declared.connections)
        try:
            state = await session.state_of(stores)
            if state is State.AHEAD:
                problem = state.value
            elif state is not State.ABSENT and not session.secret_is_known(settings):
                problem = session.secret_is_missing(settings)
            elif state is State.CURRENT:
                async with stores.database.read() as connection:
                    rows += await queries.every(connection, stores.seal)
        except (SQLAlchemyError, OSError) as error:
            problem = f"It cannot be used: {session.words_of(error)}"
        return state, problem, await reach(rows)
