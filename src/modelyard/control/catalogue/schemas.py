"""Catalogue rows, as JSON. Field for field what clients of Open WebUI's API send and expect."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_ID_LENGTH = 256


def _printable(value: str) -> str:
    if value != value.strip() or not all(character.isprintable() for character in value):
        raise ValueError("an id has no white space around it and no control characters")
    return value


# Ids travel in queries and bodies, never in paths: slashes, colons and dots are fine.
ModelId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class Grant(BaseModel):
    """This user, group or everyone (`user`, `*`) may read or write. Ids and times of a grant are told, not taken."""

    model_config = ConfigDict(extra="ignore")

    principal_type: Literal["user", "group"]
    principal_id: str = Field(min_length=1, max_length=MAX_ID_LENGTH)
    permission: Literal["read", "write"]


class ShownGrant(Grant):
    id: str
    resource_type: str
    resource_id: str
    created_at: int


class ModelForm(BaseModel):
    """A row to add. Without `access_control` and `access_grants` it is private; `access_control: null` makes it public.

    No `base_model_id`: an override of the base model with this id. Unknown keys of `params` and `meta` are kept.
    """

    model_config = ConfigDict(extra="ignore")

    id: ModelId
    name: Name
    base_model_id: ModelId | None = None
    meta: dict[str, Any] = {}
    params: dict[str, Any] = {}
    access_control: dict[str, Any] | None = {}
    access_grants: list[Grant] | None = Field(None, max_length=10_000)
    is_active: bool = True
    commit_message: str | None = Field(None, max_length=1000, description="Kept in the row's history")


class ModelUpdate(BaseModel):
    """Changes to a row. Fields that are left out keep their value; `meta` and `params` are replaced as a whole.

    With `version_id` the change is refused (409) when somebody has saved another version meanwhile; `meta.hidden`, which is
    part of no version, then keeps its value when it is left out.
    """

    model_config = ConfigDict(extra="ignore")

    id: ModelId
    name: Name | None = None
    base_model_id: ModelId | None = None
    meta: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    access_control: dict[str, Any] | None = None
    access_grants: list[Grant] | None = Field(None, max_length=10_000)
    is_active: bool | None = None
    version_id: str | None = Field(None, max_length=100)
    commit_message: str | None = Field(None, max_length=1000)


class Owner(BaseModel):
    """Whose row it is."""

    id: str
    name: str
    role: str
    email: str


class Model(BaseModel):
    """A catalogue row. Times are Unix seconds.

    Who may not write it sees no `params`. `source` is `database`, or `file` for a row that can be changed there only.
    """

    id: str
    user_id: str
    base_model_id: str | None
    name: str
    params: dict[str, Any]
    meta: dict[str, Any]
    access_control: dict[str, Any] | None
    access_grants: list[ShownGrant]
    is_active: bool
    version_id: str | None
    write_access: bool
    source: str
    updated_at: int
    created_at: int


class OwnedModel(Model):
    """A row with its owner, null when that account is gone. `base_offered`: a backend offers the model that it stands on
    at the moment, and nobody has switched that one off."""

    user: Owner | None
    base_offered: bool


class Counts(BaseModel):
    """How many rows match: all of them, those of the caller, those of others."""

    all: int
    created: int
    shared: int


class Models(BaseModel):
    """One page of rows. `total` counts all that match; `counts` tells the totals of every `view_option`."""

    items: list[OwnedModel]
    total: int
    counts: Counts
