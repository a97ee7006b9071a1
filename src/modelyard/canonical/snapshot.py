"""The snapshot: everything the data plane needs, compiled by the control plane, immutable, with a version.

A call reads one snapshot from its first byte to its last. Publishing puts a new one into `Published`; nothing is
ever changed in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modelyard.canonical.chat import Controls
from modelyard.canonical.endpoint import Endpoint

ADMIN = "admin"
USER = "user"
PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one key may use. None is no limit. `rpm` calls and `tpm` tokens in any 60 seconds, `concurrency` at once."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls: the person, their groups, and the credential used with its scope and limits.

    `models` and `dialects` are the credential's scope, None means all. `expires_at` is in Unix seconds. `group_ids` hold
    the groups above theirs too. `permissions` are the paths that the defaults or a group grant (`policy.permissions`);
    `sees_all` is true for an administrator whom access control does not bind.
    """

    user_id: str
    name: str
    email: str
    role: str
    group_ids: frozenset[str] = frozenset()
    credential_id: str = ""
    credential_kind: str = "key"
    models: frozenset[str] | None = None
    dialects: frozenset[str] | None = None
    limits: Limits = UNLIMITED
    expires_at: float | None = None
    permissions: frozenset[str] = frozenset()
    sees_all: bool = False

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN

    @property
    def manages(self) -> bool:
        """True for an administrator whose credential is not confined to calling some models."""
        return self.role == ADMIN and self.models is None and self.dialects is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accent:
    """How one kind of server speaks: compiled from its row in `dialects.flavours`, read by the dialects.

    `paths` maps the operations that it serves itself ("openai.chat") to their paths below the base URL; a call of one
    of those passes as it is. Any other is translated into the operation that `translate` names for it, or for its
    family ("chat"). The other fields are its quirks: fields it calls by another name (`renames`) or refuses
    (`refuses`), roles it calls otherwise (`roles`), whether it knows `stream_options`, fetches the URL of an image
    itself (`fetches`), knows JSON schemas (`json_schema`), and how it takes reasoning (`reasoning`: the field by which
    thoughts are sent back, "" when there is none; at Anthropic "adaptive" for a model that takes no budget).
    """

    dialect: str
    paths: Mapping[str, str]
    translate: Mapping[str, str]
    renames: Mapping[str, str] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    stream_usage: bool = True
    fetches: bool = True
    json_schema: bool = True
    reasoning: str = "reasoning_content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One upstream endpoint as the data plane sees it. `limits` bound what all callers together use of it; None: nothing."""

    id: str
    name: str
    kind: str
    flavour: str
    endpoint: Endpoint
    priority: int = 0
    weight: int = 1
    limits: Limits | None = None
    tags: tuple[str, ...] = ()
    connection_type: str = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place where a call can run: a connection, one of its keys (None: it needs none) and the name it knows there.

    `headers` are complete but for the body's length; the same tuple is handed to the client again and again. `secrets` are
    the values among them that no caller may read in a backend's words.
    """

    connection: Connection
    model: str
    upstream_model: msgspec.Raw
    accent: Accent
    headers: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who may use a model: everyone, these users, these groups. Its owner and administrators always may."""

    everyone: bool = False
    user_ids: frozenset[str] = frozenset()
    group_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset lays over a request: parameters (name to value), which of them are locked, a system prompt.

    `controls` are the same parameters in the hub's vocabulary. `strict` refuses a call that a translation would lose
    a part of.
    """

    params: Mapping[str, object]
    locked: frozenset[str] = frozenset()
    system: str | None = None
    controls: Controls = field(default_factory=Controls)
    locked_controls: frozenset[str] = frozenset()
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One name of the catalogue. A base model has no `base`; a preset has one and may lay something over the request.

    `entry` is its encoded row of `GET /v1/models`. `opens_base` is true when a caller who may use the preset may use
    its base through it, because the preset's owner may. `created` is in Unix seconds; `about` is what the backend's own
    list says of the model. `info` is the catalogue's row as people are shown it, without parameters; None for a base
    model that has none.
    """

    id: str
    name: str
    owner_id: str | None
    readers: Readers
    entry: bytes
    targets: tuple[Target, ...] = ()
    base: "Model | None" = None
    preset: Preset | None = None
    opens_base: bool = False
    max_tokens: int | None = None
    created: int = 0
    about: Mapping[str, object] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A name behind which stands one of several models, drawn anew for each call (`policy.arena`).

    `model` is what lists and access control see of it; it has no targets. It draws from `model_ids`, with `excludes` from
    all but those, and from all when there are none. `row` is the setting that it was compiled from.
    """

    model: Model
    row: Mapping[str, Any]
    model_ids: tuple[str, ...] = ()
    excludes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole picture. `credentials` maps the digest of a key or session token to who it stands for.

    `settings` are those that people change while the server runs, complete: name to value (`control.settings`).
    `closed` are the names of inactive rows: no other model answers to them. `arena` are the arena's entries in force by
    name, none of which is the name of a model.
    """

    version: int
    credentials: Mapping[bytes, Principal]
    models: Mapping[str, Model]
    connections: Mapping[str, Connection]
    default_model: str | None = None
    fallback_model: str | None = None
    open_catalogue: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    arena: Mapping[str, Arena] = field(default_factory=dict)


EMPTY = Snapshot(version=0, credentials={}, models={}, connections={})


class Published:
    """The snapshot in force in this process. The publisher puts a new one in, calls take it out once."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: Snapshot = EMPTY) -> None:
        self.snapshot = snapshot
