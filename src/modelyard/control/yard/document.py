"""The document `yard.yaml`: everything that people configure, by the names they know it by.

The same document is read at start (`--config`, in force and read-only), exported, planned, applied and rolled back, and
what the importers of other systems yield. Its JSON schema is published as `docs/yard.schema.json`.
Objects refer to each other by name: users by e-mail address, groups and connections by name, models by id.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from modelyard.control.connections.schemas import ConnectionFields, Kind, Name
from modelyard.control.keys.schemas import KeyLimits
from modelyard.control.people.service import checked_email
from modelyard.core.errors import Problem
from modelyard.policy.credentials import MIN_KEY_LENGTH, sendable_key

# A value of this form is taken from the environment.
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _email_address(value: str) -> str:
    try:
        return checked_email(value)
    except Problem:
        raise ValueError("it is not an e-mail address") from None


Id = Annotated[str, Field(min_length=1, max_length=256)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_email_address)]
GroupName = Annotated[str, Field(min_length=1, max_length=100)]
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


class YardConnection(ConnectionFields):
    """A connection, with the fields of `POST /api/v1/connections`."""

    name: Name
    kind: Kind
    base_url: str = Field(max_length=2000)


class YardKey(BaseModel):
    """An API key of a user. `key` is taken as it is: give it as `${NAME}`, at least 32 characters.

    Without `key`, one that is there keeps its secret and a new one has none until it is rotated; a file that is in force
    (`--config`) must give it. `id` tells keys of one user apart that have the same name.
    """

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, max_length=100)
    name: str = Field(min_length=1, max_length=100)
    key: Key | None = None
    models: list[str] | None = None
    dialects: list[Literal["openai", "anthropic", "ollama"]] | None = None
    expires_at: int | None = Field(None, description="Unix seconds")
    limits: KeyLimits | None = None


class YardGroup(BaseModel):
    """A group. Its members are members of `parent` too; `permissions` are those it adds, `{workspace: {models: true}}`."""

    model_config = ConfigDict(extra="forbid")

    name: GroupName
    description: str = Field("", max_length=2000)
    parent: GroupName | None = None
    permissions: dict[str, dict[str, bool]] = {}
    share: bool = True


class YardUser(BaseModel):
    """A person, or a service that has keys and no password."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: str = ""
    role: Literal["pending", "user", "admin"] = "user"
    kind: Literal["person", "service"] = "person"
    groups: list[GroupName] = []
    keys: list[YardKey] = []


class YardModel(BaseModel):
    """A catalogue row: an override of a base model (no base_model_id) or a preset over one.

    `access_control`: left out is private, null is public, else `{read: {user_ids, group_ids}, write: {...}}` with e-mail
    addresses of users and names of groups. `owner` is an e-mail address.
    """

    model_config = ConfigDict(extra="forbid")

    id: Id
    name: str | None = None
    base_model_id: Id | None = None
    owner: str | None = None
    params: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    is_active: bool = True
    access_control: dict[str, Any] | None = {}


class Yard(BaseModel):
    """The whole document. A section that is left out is not compared and not changed when it is applied."""

    model_config = ConfigDict(extra="forbid", title="yard.yaml")

    settings: dict[str, Any] = {}
    groups: list[YardGroup] = []
    connections: list[YardConnection] = []
    users: list[YardUser] = []
    models: list[YardModel] = []
