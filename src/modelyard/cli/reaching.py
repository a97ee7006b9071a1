"""Asks connections for their models, all at once, and shows what came of it: for `check` and `connections test`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.cli.output import write_table

if TYPE_CHECKING:
    from modelyard.canonical.records import ConnectionRow, Offer
    from modelyard.upstream.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One connection: what it offers, or `error`; neither for one that is switched off."""

    row: "ConnectionRow"
    models: Sequence[str] = ()
    error: str | None = None
    milliseconds: int | None = None

    @property
    def state(self) -> str:
        if self.error is not None:
            return "failed"
        return "switched off" if self.milliseconds is None else "ok"


async def reach(rows: "Sequence[ConnectionRow]", *, also_disabled: bool = False) -> list[Reached]:
    """Ask every connection that is switched on (or all of them), each within discovery's own bound of time."""
    # Imported here, so that `--help` loads nothing of the server.
    import asyncio

    from modelyard.upstream.http1 import Http1Client

    client = Http1Client()
    try:
        return await asyncio.gather(
            *(_reach_one(client, row) if row.enable or also_disabled else _left_alone(row) for row in rows)
        )
    finally:
        await client.close()


async def _left_alone(row: "ConnectionRow") -> Reached:
    return Reached(row=row)


async def _reach_one(client: "Client", row: "ConnectionRow") -> Reached:
    from modelyard.control.discovery import ListFailed, fetch_models

    started = time.monotonic()
    models: list[str] = []
    error = None
    try:
        models = [str(model["id"]) for model in await fetch_models(client, row)]
    except ListFailed as failed:
        error = str(failed)
    except (KeyError, ValueError) as fault:
        error = f"it cannot be used as it is stored: {fault}"
    return Reached(row=row, models=models, error=error, milliseconds=round((time.monotonic() - started) * 1000))


def offer_of(reached: Reached) -> "Offer":
    """What a connection offers, in the catalogue's terms."""
    from modelyard.canonical.records import Offer

    return Offer(models=[{"id": name} for name in reached.models], error=reached.error)


def write_reached(found: Sequence[Reached]) -> None:
    """The table of what came of it."""
    write_table(
        ("name", "kind", "address", "state", "models", "ms", "what is wrong"),
        [
            (
                one.row.name,
                one.row.kind,
                one.row.base_url,
                one.state,
                len(one.models) if one.state == "ok" else None,
                one.milliseconds,
                one.error,
            )
            for one in found
        ],
        when_empty="No connection is configured. Add one with: modelyard connections add",
    )


def any_failed(found: Sequence[Reached]) -> bool:
    return any(one.state == "failed" for one in found)
