"""The document `yard.yaml`: everything that people configure, by the names they know it by.

The same document is read at start (`--config`, in force and read-only), exported, planned, applied and rolled back, and
what the importers of other systems yield. Its JSON schema is published as `docs/yard.schema.json`.
Objects refer to each other by name: users by e-mail address, groups and connections by name, models by id.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from modelyard.control.catalogue.schemas import ModelId
from modelyard.control.connections.schemas import ConnectionFields, Kind, Name
from modelyard.control.keys.schemas import KeyLimits
from modelyard.control.people.service import checked_email
from modelyard.control.settings import table
from modelyard.core.errors import Problem
from modelyard.policy.credentials import MIN_KEY_LENGTH, sendable_key

# A value of this form is taken from the environment.
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _email_address(value: str) -> str:
    try:
        return checked_email(value)
    except Problem:
        raise ValueError("it is not an e-mail address") from None


Email = Annotated[str, Field(max_length=254), AfterValidator(_email_address)]
GroupName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
# The schema is for the file as it is written, where a reference to the environment stands for the key.
Key = Annotated[
    str,
    Field(min_length=MIN_KEY_LENGTH),
    AfterValidator(sendable_key),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": MIN_KEY_LENGTH},
                {"type": "string", "pattern": REFERENCE.pattern},
            ]
        }
    ),
]

_IDS = {"type": "array", "items": {"type": "string"}}
_TRUTH = {"type": "boolean"}
_PERMISSIONS = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "boolean"}},
}
# What each setting looks like in the file; `control.settings.service` checks the values.
SETTINGS: dict[str, dict[str, Any]] = {
    table.PERMISSIONS: {**_PERMISSIONS, "description": "Defaults that differ: {workspace: {models: true}}"},
    table.DEFAULT_MODELS: {**_IDS, "description": "Ids of the models that a new chat begins with"},
    table.PINNED_MODELS: {**_IDS, "description": "Ids of the models that are pinned for everyone"},
    table.MODEL_ORDER: {**_IDS, "description": "Ids in the order in which lists show the models"},
    table.FALLBACKS: {
        "type": "object",
        "additionalProperties": _IDS,
        "description": "Model id, or * for all others, to the ids that are tried after it",
    },
    table.ARENA_ENABLED: {**_TRUTH, "description": "Show the entries of arena.models"},
    table.ARENA_MODELS: {"type": "array", "items": {"type": "object"}},
    table.DIRECT_CONNECTIONS: {**_TRUTH, "description": "Told to clients: they may connect to a backend by themselves"},
    table.BASE_MODELS_CACHE: _TRUTH,
    table.SIGN_UP_ENABLED: {**_TRUTH, "description": "People may make an account for themselves"},
    table.SIGN_UP_ROLE: {"enum": ["pending", "user"]},
    table.SIGN_UP_GROUP: {"type": ["string", "null"], "description": "Name of the group that new people are put into"},
}
Settings = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "properties": SETTINGS, "additionalProperties": False})
]


class YardConnection(ConnectionFields):
    """A connection, with the fields of `POST /api/v1/connections`. Secrets are given as `${NAME}`."""

    name: Name
    kind: Kind
    base_url: str = Field(max_length=2000)


class YardKey(BaseModel):
    """An API key of a user. `key` is taken as it is: give it as `${NAME}`, at least 32 characters.

    Without `key`, one that is there keeps its secret and a new one has none until it is rotated; a file that is in force
    (`--config`) must give it. `id` tells keys of one user apart that have the same name.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    id: str = Field("", max_length=100)
    key: Key | None = None
    models: list[str] | None = Field(None, max_length=1000)
    dialects: list[Literal["openai", "anthropic", "ollama"]] | None = None
    expires_at: int | None = Field(None, ge=0, le=10**11, description="Unix seconds")
    limits: KeyLimits | None = None


class YardGroup(BaseModel):
    """A group. Its members are members of `parent` too; `permissions` are those it adds, `{workspace: {models: true}}`.

    `share`: people may choose it when they share something of theirs, though they are not in it.
    """

    model_config = ConfigDict(extra="forbid")

    name: GroupName
    description: str = Field("", max_length=2000)
    parent: GroupName | None = None
    permissions: dict[str, dict[str, bool]] = {}
    share: bool = True


class YardUser(BaseModel):
    """A person, or a service that has keys and no password. `groups` are names; without `name` it is the address up to @."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: str = Field("", max_length=100)
    role: Literal["pending", "user", "admin"] = "user"
    kind: Literal["person", "service"] = "person"
    groups: list[GroupName] = []
    keys: list[YardKey] = []


class YardModel(BaseModel):
    """A catalogue row: an override of a base model (no base_model_id) or a preset over one.

    `access_control`: left out is private, null is public, else `{read: {user_ids, group_ids}, write: {...}}` with e-mail
    addresses of users and names of groups. `owner` is an e-mail address; left out it is as it was, or whoever applies.
    """

    model_config = ConfigDict(extra="forbid")

    id: ModelId
    name: str | None = Field(None, min_length=1, max_length=256)
    base_model_id: ModelId | None = None
    owner: str | None = Field(None, max_length=254)
    params: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    is_active: bool = True
    access_control: dict[str, Any] | None = {}


class Yard(BaseModel):
    """The whole document. A section that is left out is not compared and not changed when it is applied."""

    model_config = ConfigDict(extra="forbid", title="yard.yaml")

    settings: Settings = {}
    groups: list[YardGroup] = []
    connections: list[YardConnection] = []
    users: list[YardUser] = []
    models: list[YardModel] = []
