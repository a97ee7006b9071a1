"""Before a connection is made or changed: what can be connected, and whether it would answer."""

import time

import msgspec
from fastapi import APIRouter

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ConnectionRow
from modelyard.control.connections import service
from modelyard.control.connections.schemas import Flavour, Kinds, TriedConnection, Verdict
from modelyard.control.context import Administrator, Context
from modelyard.control.discovery import ListFailed, fetch_models
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.flavours import FLAVOURS, KINDS

NEW = ConnectionRow(id="tried", name="tried", kind="", base_url="", flavour="")


def router(defaults: Timeouts) -> APIRouter:
    """The routes; `defaults` are the timeouts of a connection that names none."""
    routes = APIRouter()

    @routes.get("/kinds")
    async def kinds(context: Administrator) -> Kinds:
        """What can be connected: the servers and services that are known by name, and what holds when nothing is said."""
        return Kinds.model_validate(
            {"items": [_flavour(name) for name in FLAVOURS], "timeouts": msgspec.to_builtins(defaults)}
        )

    @routes.post("/verify")
    async def try_connection(form: TriedConnection, context: Administrator) -> Verdict:
        """Ask a backend for its models before it is connected, or before a change is saved. Nothing is kept.

        Masked secrets stand for those of the connection `id`; they go to its own address only, as when it is changed.
        """
        if form.id is None and (form.kind is None or form.base_url is None):
            raise Problem(Kind.MALFORMED, "base_url: give `kind` and `base_url`, or `id`.", param="base_url")
        known = NEW if form.id is None else find(context, form.id)
        given = form.model_dump(exclude_unset=True, exclude={"id", "name", "enable"})
        return await verdict_on(context, service.build(known, given, defaults))

    return routes


def find(context: Context, connection_id: str) -> ConnectionRow:
    """The connection of this id, stored or declared. Raises Problem NOT_FOUND."""
    for row in context.control.connections():
        if row.id == connection_id:
            return row
    raise Problem(Kind.NOT_FOUND, "There is no such connection.")


async def verdict_on(context: Context, row: ConnectionRow) -> Verdict:
    """What a backend says when it is asked for its models now."""
    started = time.monotonic()
    try:
        models = await fetch_models(context.control.client, row)
    except ListFailed as failed:
        return Verdict(ok=False, models=[], error=str(failed), milliseconds=_since(started))
    return Verdict(ok=True, models=[str(model["id"]) for model in models], error=None, milliseconds=_since(started))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _flavour(name: str) -> Flavour:
    flavour = FLAVOURS[name]
    return Flavour(
        name=name,
        kind=flavour.kind,
        base_url=flavour.default_url,
        connection_type=flavour.connection_type,
        default_for_kind=KINDS[flavour.kind] == name,
        loads=flavour.memory is not None,
    )
