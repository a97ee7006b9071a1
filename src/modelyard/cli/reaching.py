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
    """One connection: what it offers, or `error`; neither, nor a time, for one that was left alone."""

    row: "ConnectionRow"
    offer: "Offer"
    error: str | None = None
    milliseconds: int | None = None

    @property
    def state(self) -> str:
        if self.error is not None:
            return "failed"
        return "switched off" if self.milliseconds is None else "ok"

    @property
    def names(self) -> Sequence[str]:
        """The models in force of what it offers: its allow-list is applied."""
        from modelyard.control.snapshot.compile import offered_names

        return offered_names(self.row, self.offer)


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
    from modelyard.canonical.records import Offer

    return Reached(row=row, offer=Offer())


async def _reach_one(client: "Client", row: "ConnectionRow") -> Reached:
    from modelyard.canonical.records import Offer
    from modelyard.control.discovery import ListFailed, fetch_models

    started = time.monotonic()
    offer, error = Offer(), None
    try:
        offer = Offer(models=await fetch_models(client, row))
    except ListFailed as failed:
        error = str(failed)
    except (KeyError, ValueError) as fault:
        error = f"It cannot be used as it is stored: {fault}"
    return Reached(row=row, offer=offer, error=error, milliseconds=round((time.monotonic() - started) * 1000))


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
                len(one.names) if one.state == "ok" else None,
                one.milliseconds,
                one.error,
            )
            for one in found
        ],
        when_empty="No connection is configured. Add one with: modelyard connections add",
    )


def any_failed(found: Sequence[Reached]) -> bool:
    return any(one.state == "failed" for one in found)
