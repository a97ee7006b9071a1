"""Rows as they are stored, and as a file or the environment declares them. One record serves door, rules and snapshot.

`source` tells where a row comes from: the `database` (made by API, command line or interface, may be changed there),
the `environment` or a `file` (in force, read-only).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.canonical.endpoint import Timeouts, Tls
from modelyard.canonical.snapshot import UNLIMITED, USER, Limits

DATABASE = "database"
ENVIRONMENT = "environment"
FILE = "file"

PERSON = "person"
SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """One connection. `api_keys` and `headers` are in clear here and only here: sealed in the database, masked in answers.

    `model_ids` is an allow-list of the upstream's own names, empty means all; `prefix_id` is put before each name. With
    `loads` the activation of a model loads it there and its deactivation unloads it, where the backend can.
    """

    id: str
    name: str
    kind: str
    base_url: str
    flavour: str
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    enable: bool = True
    prefix_id: str | None = None
    model_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    connection_type: str = "external"
    priority: int = 0
    weight: int = 1
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = UNLIMITED
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = field(default_factory=Tls)
    loads: bool = True
    source: str = DATABASE
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """One person, or a service that has keys and no password (`kind`). Times are Unix seconds.

    `group_ids` are the groups that they were put into; those above come with them (`compile_principals`).
    """

    id: str
    email: str
    name: str
    role: str = USER
    kind: str = PERSON
    group_ids: frozenset[str] = frozenset()
    source: str = DATABASE
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group. Its members are members of `parent_id` too. `permissions` are those it grants (path to True).

    `share`: people may choose it when they share something of theirs, though they are not in it.
    """

    id: str
    name: str
    description: str = ""
    parent_id: str | None = None
    permissions: Mapping[str, bool] = field(default_factory=dict)
    share: bool = True
    source: str = DATABASE
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRow:
    """One API key or session as the database knows it: its digest, whose it is, its scope and limits. None: no bound."""

    id: str
    user_id: str
    digest: bytes = field(repr=False)
    kind: str = "key"
    name: str = ""
    hint: str = ""
    models: tuple[str, ...] | None = None
    dialects: tuple[str, ...] | None = None
    limits: Limits = UNLIMITED
    expires_at: int | None = None
    source: str = DATABASE
    created_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One catalogue row: an override (no base_model_id) or a preset. Times are Unix seconds."""

    id: str
    user_id: str | None
    name: str
    base_model_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    is_active: bool = True
    version_id: str | None = None
    source: str = DATABASE
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """This user, group or everyone (`user`, `*`) may read or write this object."""

    resource_type: str
    resource_id: str
    principal_type: str
    principal_id: str
    permission: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a connection's own list of models said last. `fetched_at` is Unix seconds; `error` why a later try failed."""

    models: Sequence[Mapping[str, Any]] = ()
    fetched_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the environment and `yard.yaml` declare: in force as long as this process runs, never in the database."""

    connections: Sequence[ConnectionRow] = ()
    users: Sequence[UserRow] = ()
    groups: Sequence[GroupRow] = ()
    credentials: Sequence[CredentialRow] = ()
    models: Sequence[ModelRow] = ()
    grants: Sequence[GrantRow] = ()
