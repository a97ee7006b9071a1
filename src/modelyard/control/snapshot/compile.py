"""Rows to snapshot. Pure: everything is given, nothing is fetched."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from modelyard import __version__
from modelyard.canonical.endpoint import Endpoint, parse_base_url
from modelyard.canonical.records import ConnectionRow, CredentialRow, GrantRow, GroupRow, ModelRow, Offer, UserRow
from modelyard.canonical.snapshot import (
    ADMIN,
    PENDING,
    UNLIMITED,
    Accent,
    Connection,
    Model,
    Preset,
    Principal,
    Readers,
    Target,
)
from modelyard.core import log, raw
from modelyard.dialects.flavours import FLAVOURS, Flavour, accent_for, without_ending
from modelyard.dialects.openai.listing import write_model
from modelyard.dialects.openai.parameters import preset_controls
from modelyard.policy.access import other_spelling, reads
from modelyard.policy.permissions import ALL, granted
from modelyard.policy.presets import BadParameter, in_hub, read_preset

_log = log.get(__name__)

EVERYONE = "*"
MODEL = "model"
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


def compile_base_models(connections: Iterable[CompiledConnection], offers: Mapping[str, Offer]) -> dict[str, BaseModel]:
    """Every offered name with all the targets that can run it, in the order of the connections."""
    targets: dict[str, list[Target]] = {}
    owners: dict[str, str] = {}
    about: dict[str, Mapping[str, object]] = {}
    for compiled in connections:
        row = compiled.row
        if not row.enable:
            continue
        offer = offers.get(row.id, Offer())
        told = {str(model["id"]): model for model in offer.models}
        for upstream_name in offered_names(row, offer):
            name = visible_name(row, upstream_name)
            owners.setdefault(name, row.kind)
            about.setdefault(name, told.get(upstream_name, {}))
            quoted = raw.raw_of(upstream_name)
            targets.setdefault(name, []).extend(_targets(compiled, upstream_name, quoted))
    return {
        name: BaseModel(
            entry=write_model(name, name, owners[name], 0),
            owned_by=owners[name],
            targets=tuple(found),
            about=about[name],
        )
        for name, found in targets.items()
    }


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


def compile_models(
    base_models: Mapping[str, BaseModel],
    rows: Sequence[ModelRow],
    grants: Iterable[GrantRow],
    principals: Mapping[str, Principal],
    *,
    preset_wins: bool,
) -> dict[str, Model]:
    """The catalogue: base models with their overrides, then presets. Inactive rows are absent for everybody."""
    readers = compile_readers(grants)
    overrides = {row.id: row for row in rows if row.base_model_id is None}
    models: dict[str, Model] = {}
    for name, base in base_models.items():
        override = overrides.get(name)
        if override is None:
            models[name] = Model(
                id=name,
                name=name,
                owner_id=None,
                readers=NOBODY,
                entry=base.entry,
                targets=base.targets,
                about=base.about,
            )
        elif override.is_active:
            models[name] = _overridden(override, base, readers, preset_wins=preset_wins)
    for row in rows:
        if row.base_model_id is not None and row.is_active and row.id not in models:
            under = models.get(row.base_model_id) or models.get(other_spelling(row.base_model_id))
            if under is not None and under.base is not None:
                under = None  # a preset over a preset would lead past who may use the lower one
            models[row.id] = _preset(row, under, readers, principals, preset_wins=preset_wins)
    return models


def _overridden(row: ModelRow, base: BaseModel, readers: Mapping[str, Readers], *, preset_wins: bool) -> Model:
    return Model(
        id=row.id,
        name=row.name,
        owner_id=row.user_id,
        readers=readers.get(row.id, NOBODY),
        entry=write_model(row.id, row.name, base.owned_by, row.created_at),
        targets=base.targets,
        preset=_overlay_of(row, preset_wins=preset_wins),
        max_tokens=_whole(row.meta.get("max_tokens")),
        created=row.created_at,
        about=base.about,
    )


def _preset(
    row: ModelRow,
    base: Model | None,
    readers: Mapping[str, Readers],
    principals: Mapping[str, Principal],
    *,
    preset_wins: bool,
) -> Model:
    """A preset over a base. One whose base is missing stays listed: its backend may come back."""
    owner = principals.get(row.user_id) if row.user_id is not None else None
    opens = base is not None and (
        row.user_id is None
        or (owner is not None and owner.role != PENDING and reads(owner, base.readers, base.owner_id))
    )
    return Model(
        id=row.id,
        name=row.name,
        owner_id=row.user_id,
        readers=readers.get(row.id, NOBODY),
        entry=write_model(row.id, row.name, "modelyard", row.created_at),
        targets=base.targets if base is not None else (),
        base=base,
        preset=_overlay_of(row, preset_wins=preset_wins),
        opens_base=opens,
        max_tokens=_whole(row.meta.get("max_tokens")) or (base.max_tokens if base is not None else None),
        created=row.created_at,
        about=base.about if base is not None else {},
    )


def _overlay_of(row: ModelRow, *, preset_wins: bool) -> Preset | None:
    if not row.params:
        return None
    try:
        preset = read_preset(row.params, preset_wins=preset_wins)
        return in_hub(preset, preset_controls(preset.params))
    except BadParameter as error:
        # Rows are checked when they are written; one that slipped through must not take the catalogue down.
        _log.error("a model's parameters were left out", model=row.id, error=str(error))
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def compile_readers(grants: Iterable[GrantRow]) -> dict[str, Readers]:
    """Model id to who may read it. A right to write includes the right to read."""
    users: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    for grant in grants:
        if grant.resource_type == MODEL:
            into = users if grant.principal_type == "user" else groups
            into.setdefault(grant.resource_id, set()).add(grant.principal_id)
    return {
        model_id: Readers(
            everyone=EVERYONE in users.get(model_id, ()),
            user_ids=frozenset(users.get(model_id, ())) - {EVERYONE},
            group_ids=frozenset(groups.get(model_id, ())),
        )
        for model_id in users.keys() | groups.keys()
    }


def compile_principals(
    users: Iterable[UserRow],
    groups: Iterable[GroupRow] = (),
    by_default: frozenset[str] = frozenset(),
    *,
    bypass_admin: bool = True,
) -> dict[str, Principal]:
    """User id to who they are, without a credential. `by_default` are the permissions that everybody has."""
    known = {group.id: group for group in groups}
    return {user.id: compile_principal(user, known, by_default, bypass_admin=bypass_admin) for user in users}


def compile_principal(
    user: UserRow, groups: Mapping[str, GroupRow], by_default: frozenset[str], *, bypass_admin: bool
) -> Principal:
    """One user with the groups that they are in, those above them, and what all of these permit."""
    group_ids = with_parents(user.group_ids, groups)
    return Principal(
        user_id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        group_ids=group_ids,
        permissions=ALL
        if user.role == ADMIN
        else granted(by_default, (groups[name].permissions for name in group_ids if name in groups)),
        sees_all=user.role == ADMIN and bypass_admin,
    )


def with_parents(group_ids: Iterable[str], groups: Mapping[str, GroupRow]) -> frozenset[str]:
    """These groups and all above them."""
    found: set[str] = set()
    left = list(group_ids)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            parent = groups[name].parent_id if name in groups else None
            if parent is not None:
                left.append(parent)
    return frozenset(found)


def compile_credentials(rows: Iterable[CredentialRow], principals: Mapping[str, Principal]) -> dict[bytes, Principal]:
    """Digest to who it stands for. A credential whose owner is gone stands for nobody."""
    credentials: dict[bytes, Principal] = {}
    for row in rows:
        owner = principals.get(row.user_id)
        if owner is None:
            continue
        credentials[row.digest] = Principal(
            user_id=owner.user_id,
            name=owner.name,
            email=owner.email,
            role=owner.role,
            group_ids=owner.group_ids,
            credential_id=row.id,
            credential_kind=row.kind,
            models=None if row.models is None else frozenset(row.models),
            dialects=None if row.dialects is None else frozenset(row.dialects),
            limits=row.limits,
            expires_at=row.expires_at,
            permissions=owner.permissions,
            sees_all=owner.sees_all,
        )
    return credentials
