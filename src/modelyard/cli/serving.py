"""`serve` and `migrate`."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.setting import fail, settings_for

WORKER_FLAG = "--worker"


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for databases, journal and secret key.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve.")] = None,
    config: Annotated[Path | None, typer.Option(help="A yard.yaml to read at start.")] = None,
    setup_link: Annotated[
        bool | None, typer.Option("--setup-link", help="Print the setup link also on a public address.")
    ] = None,
) -> None:
    """Serve until SIGTERM. Options win over the environment; docs/settings.md has all settings."""
    settings, environment = settings_for(
        {
            "host": host,
            "port": port,
            "data_dir": data_dir,
            "workers": workers,
            "config": config,
            "setup_link": setup_link,
        }
    )
    from modelyard import serve as server
    from modelyard.db.migrate import MigrationFailed
    from modelyard.settings import SettingsError

    try:
        server.run(settings, environment)
    except (SettingsError, MigrationFailed) as error:
        fail(f"Modelyard does not start:\n{error}")


def migrate(
    data_dir: Annotated[Path | None, typer.Option(help="Folder for databases, journal and secret key.")] = None,
) -> None:
    """Bring the databases to this version's schema. `serve` does it too; here it can be done ahead."""
    settings, _ = settings_for({"data_dir": data_dir})
    from modelyard.db.migrate import MigrationFailed
    from modelyard.settings import SettingsError
    from modelyard.stores import open_stores

    async def run() -> bool:
        stores = open_stores(settings)
        try:
            return await stores.migrate()
        finally:
            await stores.close()

    try:
        moved = asyncio.run(run())
    except (SettingsError, MigrationFailed) as error:
        fail(str(error))
    sys.stdout.write("The databases were migrated.\n" if moved else "The databases are up to date.\n")


def is_worker(arguments: Sequence[str]) -> bool:
    """True in a process that `serve --workers N` started."""
    return len(arguments) > 1 and arguments[1] == WORKER_FLAG


def work(arguments: Sequence[str]) -> None:
    """Be a worker."""
    settings, _ = settings_for({})
    from modelyard import serve as server
    from modelyard.settings import SettingsError

    try:
        server.run_worker(settings, arguments[2:])
    except SettingsError as error:  # a file that the settings name was changed since the first start
        fail(f"A worker does not start:\n{error}")
