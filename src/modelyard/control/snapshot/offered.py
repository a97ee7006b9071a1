"""What all connections together offer, kept so that a change compiles again only what it changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modelyard.canonical.records import ConnectionRow, Offer
from modelyard.control.snapshot.compile import (
    BaseModel,
    CompiledConnection,
    Part,
    compile_connection,
    join_parts,
    parts_of,
)
from modelyard.control.snapshot.pace import Pace
from modelyard.core import log

_log = log.get(__name__)

NOTHING = Offer()
NO_PARTS: Mapping[str, Part] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The base models by name, in the order of the connections, and what they were made of. Never changed in place."""

    connections: Mapping[str, CompiledConnection] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Part]] = field(default_factory=dict)
    joined: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    models: Mapping[str, BaseModel] = field(default_factory=dict)


async def offered_by(
    rows: Iterable[ConnectionRow], offers: Mapping[str, Offer], before: Offered, pace: Pace
) -> Offered:
    """What these connections offer now. What is as it was before is the same object as before."""
    connections = _compiled(rows, before)
    parts = {}
    for key, compiled in connections.items():
        parts[key] = await _parts_of(compiled, offers.get(key, NOTHING), before, pace)
    if list(connections) == list(before.connections) and all(parts[key] is before.parts[key] for key in parts):
        models, joined = before.models, before.joined
    else:
        models, joined = await _join(parts, before, pace)
    return Offered(connections=connections, offers=offers, parts=parts, joined=joined, models=models)


def is_same(offer: Offer, other: Offer) -> bool:
    """True when both say the same of the models. Ages and errors change all the time."""
    return offer.models is other.models or list(offer.models) == list(other.models)


def _compiled(rows: Iterable[ConnectionRow], before: Offered) -> dict[str, CompiledConnection]:
    """A row that has not changed keeps its compiled form, and with it its pool of connections."""
    compiled = {}
    for row in rows:
        known = before.connections.get(row.id)
        try:
            compiled[row.id] = known if known is not None and known.row == row else compile_connection(row)
        except (ValueError, KeyError) as error:
            _log.error("a connection cannot be used", connection=row.name, error=str(error))
    return compiled


async def _parts_of(compiled: CompiledConnection, offer: Offer, before: Offered, pace: Pace) -> Mapping[str, Part]:
    row = compiled.row
    if not row.enable:
        return NO_PARTS
    known = NO_PARTS
    if before.connections.get(row.id) is compiled:
        known = before.parts[row.id]
        if is_same(offer, before.offers.get(row.id, NOTHING)):
            return known
    await pace.rest()
    parts = {}
    for name, part in parts_of(compiled, offer, known):
        parts[name] = part
        if pace.is_due:
            await pace.rest()
    return parts


async def _join(
    parts: Mapping[str, Mapping[str, Part]], before: Offered, pace: Pace
) -> tuple[dict[str, BaseModel], dict[str, tuple[Part, ...]]]:
    joined: dict[str, tuple[Part, ...]] = {}
    for of_connection in parts.values():
        for name, part in of_connection.items():
            joined[name] = (*joined.get(name, ()), part)
            if pace.is_due:
                await pace.rest()
    models = {}
    for name, found in joined.items():
        models[name] = before.models[name] if before.joined.get(name) == found else join_parts(name, found)
        if pace.is_due:
            await pace.rest()
    return models, joined
