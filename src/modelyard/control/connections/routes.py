"""`/api/v1/connections`: administrators only."""

from fastapi import APIRouter

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import DATABASE, ConnectionRow, Offer
from modelyard.control.connections import service
from modelyard.control.connections.schemas import (
    Connection,
    ConnectionPatch,
    Connections,
    Found,
    FoundBackends,
    NewConnection,
    Verdict,
)
from modelyard.control.connections.trying import find, verdict_on
from modelyard.control.connections.trying import router as trying
from modelyard.control.context import Administrator, Context, Done
from modelyard.control.discovery import find_local
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem


def router(defaults: Timeouts) -> APIRouter:
    """The routes; `defaults` are the timeouts of a connection that names none."""
    routes = APIRouter(prefix="/connections", tags=["connections"])
    routes.include_router(trying(defaults))

    @routes.get("")
    async def list_connections(context: Administrator, refresh: bool = False) -> Connections:
        """All connections with what they offer. `refresh=true` asks every backend again first."""
        if refresh:
            await context.control.discovery.refresh()
        offers = context.control.discovery.offers
        rows = context.control.connections()
        return Connections(items=[_shown(row, offers.get(row.id, Offer())) for row in rows])

    @routes.get("/found")
    async def found_backends(context: Administrator) -> FoundBackends:
        """Backends that answer on this machine and are not connected yet."""
        control = context.control
        found = await find_local(control.client, [row.base_url for row in control.connections()])
        return FoundBackends(
            items=[
                Found(kind=row.kind, flavour=row.flavour, base_url=row.base_url, models=list(row.model_ids))
                for row in found
            ]
        )

    @routes.post("")
    async def make_connection(form: NewConnection, context: Administrator) -> Connection:
        """Make a connection and ask it for its models. It is made even when it does not answer yet."""
        control = context.control
        given = form.model_dump(exclude_unset=True)
        async with control.changes.begin(context.actor) as change:
            row = await service.add(change, control.seal, given, defaults, _declared(context))
        return await _with_offer(context, row)

    @routes.get("/{connection_id}")
    async def read_connection(connection_id: str, context: Administrator) -> Connection:
        """One connection with what it offers."""
        return _shown(find(context, connection_id), context.control.discovery.offers.get(connection_id, Offer()))

    @routes.patch("/{connection_id}")
    async def change_connection(connection_id: str, form: ConnectionPatch, context: Administrator) -> Connection:
        """Change a connection. Fields that are left out, and masked secrets, keep their value.

        When `base_url` gets another scheme, host or port, keys and header values must be given anew (422).
        """
        control = context.control
        _writable(context, connection_id)
        given = form.model_dump(exclude_unset=True)
        async with control.changes.begin(context.actor) as change:
            row = await service.update(change, control.seal, connection_id, given, defaults, _declared(context))
        return await _with_offer(context, row)

    @routes.delete("/{connection_id}")
    async def remove_connection(connection_id: str, context: Administrator) -> Done:
        """Remove a connection. Its models leave the catalogue at once."""
        control = context.control
        _writable(context, connection_id)
        async with control.changes.begin(context.actor) as change:
            await service.remove(change, control.seal, connection_id)
        return Done()

    @routes.post("/{connection_id}/verify")
    async def verify_connection(connection_id: str, context: Administrator) -> Verdict:
        """Ask the backend for its models now and tell what came of it."""
        verdict = await verdict_on(context, find(context, connection_id))
        if verdict.ok:
            context.control.discovery.soon()
        return verdict

    return routes


async def _with_offer(context: Context, row: ConnectionRow) -> Connection:
    offer = await context.control.discovery.refresh_connection(row) if row.enable else Offer()
    return _shown(row, offer)


def _declared(context: Context) -> list[str]:
    return [row.name for row in context.control.declared.connections]


def _writable(context: Context, connection_id: str) -> None:
    row = find(context, connection_id)
    if row.source != DATABASE:
        raise Problem(
            Kind.CONFLICT, f"This connection is declared in the {row.source}; change it there and start again."
        )


def _shown(row: ConnectionRow, offer: Offer) -> Connection:
    return Connection.model_validate(
        {
            **service.shown(row),
            "models": [str(model["id"]) for model in offer.models],
            "models_age": None if offer.fetched_at is None else now() - int(offer.fetched_at),
            "error": offer.error,
        }
    )
