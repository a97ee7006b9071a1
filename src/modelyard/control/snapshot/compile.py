"""Connections, the names that they offer, and grants, compiled. Pure: everything is given, nothing is fetched."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from modelyard import __version__
from modelyard.canonical.endpoint import Endpoint, parse_base_url
from modelyard.canonical.records import ConnectionRow, GrantRow, Offer
from modelyard.canonical.snapshot import UNLIMITED, Accent, Connection, Readers, Target
from modelyard.core import raw
from modelyard.dialects.flavours import FLAVOURS, Flavour, accent_for, without_ending
from modelyard.dialects.openai.listing import write_model
from modelyard.policy.access import other_spelling

EVERYONE = "*"
MODEL = "model"
USER = "user"
NOBODY = Readers()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledConnection:
    """A connection ready to be used: one set of headers for each of its keys."""

    row: ConnectionRow
    connection: Connection
    flavour: Flavour
    is_inside: bool
    credentials: Sequence[tuple[str | None, tuple[tuple[str, str], ...]]]
    guarded: dict[int, Accent] = field(default_factory=dict)


def compile_connection(row: ConnectionRow) -> CompiledConnection:
    """One connection. Its base URL was checked when it was stored."""
    flavour = FLAVOURS[row.flavour]
    scheme, host, port, path = parse_base_url(row.base_url)
    own = {name.lower(): value for name, value in row.headers.items()}
    endpoint = Endpoint(
        scheme=scheme,
        host=host,
        port=port,
        path=without_ending(path, flavour),
        headers=(),
        timeouts=row.timeouts,
        tls=row.tls,
    )
    return CompiledConnection(
        row=row,
        connection=Connection(
            id=row.id,
            name=row.name,
            kind=row.kind,
            flavour=row.flavour,
            endpoint=endpoint,
            priority=row.priority,
            weight=row.weight,
            limits=row.limits if row.limits != UNLIMITED else None,
            tags=row.tags,
            connection_type=row.connection_type,
        ),
        flavour=flavour,
        is_inside=row.connection_type == "local" or _is_inside(host),
        credentials=[(key, request_headers(flavour, key, own)) for key in (row.api_keys or (None,))],
    )


def _is_inside(host: str) -> bool:
    """True for an address of this machine or its network: what stands there must not fetch what callers name."""
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith((".localhost", ".local", ".internal"))


def _fetching_nothing(compiled: CompiledConnection, accent: Accent) -> Accent:
    """The accent of a server inside our network: Modelyard fetches for it, guarded. One object for all its models."""
    known = compiled.guarded.get(id(accent))
    if known is None:
        known = compiled.guarded[id(accent)] = replace(accent, fetches=False)
    return known


def request_headers(flavour: Flavour, key: str | None, own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Every header of a request but its length: the connection's own headers win over ours."""
    headers = {
        "content-type": "application/json",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": f"modelyard/{__version__}",
        **dict(flavour.headers),
    }
    if key:
        name, form = flavour.credential
        headers[name] = form.format(key=key)
    headers.update(own)
    return tuple(headers.items())


def visible_name(row: ConnectionRow, upstream_name: str) -> str:
    """The name that callers use for an upstream's model."""
    return f"{row.prefix_id}.{upstream_name}" if row.prefix_id else upstream_name


def offered_names(row: ConnectionRow, offer: Offer) -> list[str]:
    """The upstream names in force: the list filtered by the allow-list, or the allow-list itself without a list."""
    listed = list(dict.fromkeys(str(model["id"]) for model in offer.models))
    if not row.model_ids:
        return listed
    allowed = {*row.model_ids, *map(other_spelling, row.model_ids)}
    return [name for name in listed if name in allowed] if listed else list(row.model_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """One name that connections offer, before the catalogue's rows are laid over it."""

    entry: bytes
    owned_by: str
    targets: tuple[Target, ...]
    about: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one connection offers by one name: a target for each of its keys."""

    owned_by: str
    targets: tuple[Target, ...]
    about: Mapping[str, object]


def parts_of(
    compiled: CompiledConnection, offer: Offer, known: Mapping[str, Part] | None = None
) -> Iterator[tuple[str, Part]]:
    """Each visible name of one connection with its part. A part in `known` of which its list says the same is kept."""
    known = known or {}
    told = {str(model["id"]): model for model in offer.models}
    for upstream_name in offered_names(compiled.row, offer):
        name, about = visible_name(compiled.row, upstream_name), told.get(upstream_name, {})
        part = known.get(name)
        if part is None or part.about != about:
            part = _part(compiled, upstream_name, about)
        yield name, part


def _part(compiled: CompiledConnection, upstream_name: str, about: Mapping[str, object]) -> Part:
    return Part(
        owned_by=compiled.row.kind,
        targets=tuple(_targets(compiled, upstream_name, raw.raw_of(upstream_name))),
        about=about,
    )


def join_parts(name: str, parts: Sequence[Part]) -> BaseModel:
    """One name with all the targets that can run it. What is told of it comes from the first connection."""
    first = parts[0]
    return BaseModel(
        entry=write_model(name, name, first.owned_by, 0),
        owned_by=first.owned_by,
        targets=first.targets if len(parts) == 1 else tuple(target for part in parts for target in part.targets),
        about=first.about,
    )


def _targets(compiled: CompiledConnection, upstream_name: str, quoted: msgspec.Raw) -> Iterable[Target]:
    accent = accent_for(compiled.flavour, upstream_name)
    if accent.fetches and compiled.is_inside:
        accent = _fetching_nothing(compiled, accent)
    for secret, headers in compiled.credentials:
        yield Target(
            connection=compiled.connection,
            model=upstream_name,
            upstream_model=quoted,
            accent=accent,
            headers=headers,
            secrets=tuple(filter(None, (secret, *compiled.row.headers.values()))),
        )


def compile_base_models(connections: Iterable[CompiledConnection], offers: Mapping[str, Offer]) -> dict[str, BaseModel]:
    """Every offered name with all the targets that can run it, in the order of the connections, at one go.

    For commands; a server does the same in slices (`offered`).
    """
    parts: dict[str, list[Part]] = {}
    for compiled in connections:
        if compiled.row.enable:
            for name, part in parts_of(compiled, offers.get(compiled.row.id, Offer())):
                parts.setdefault(name, []).append(part)
    return {name: join_parts(name, found) for name, found in parts.items()}


def by_model(grants: Iterable[GrantRow]) -> dict[str, list[GrantRow]]:
    """Model id to the grants on it."""
    found: dict[str, list[GrantRow]] = {}
    for grant in grants:
        if grant.resource_type == MODEL:
            found.setdefault(grant.resource_id, []).append(grant)
    return found


def compile_readers(grants: Iterable[GrantRow]) -> dict[str, Readers]:
    """Model id to who may read it."""
    return {model_id: readers_of(found) for model_id, found in by_model(grants).items()}


def readers_of(grants: Iterable[GrantRow]) -> Readers:
    """Who may read one model. A right to write includes the right to read."""
    users: set[str] = set()
    groups: set[str] = set()
    for grant in grants:
        (users if grant.principal_type == USER else groups).add(grant.principal_id)
    return Readers(everyone=EVERYONE in users, user_ids=frozenset(users - {EVERYONE}), group_ids=frozenset(groups))
