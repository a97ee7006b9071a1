"""Groups, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field

from modelyard.policy.permissions import UNKNOWN_HERE, flat

GroupName = Annotated[str, Field(min_length=1, max_length=100)]
Description = Annotated[str, Field(max_length=2000)]
Id = Annotated[str, Field(min_length=1, max_length=300)]
UserIds = Annotated[list[Id], Field(max_length=10_000)]
Tree = dict[str, dict[str, bool]]


class Form(BaseModel):
    """What a form does not name is not taken: clients of Open WebUI's API send more than is kept here."""

    model_config = ConfigDict(extra="ignore")


class GroupConfig(Form):
    share: bool | None = None


class GroupData(Form):
    """The older way to say `share`."""

    config: GroupConfig | None = None


class GroupUpdate(Form):
    """Fields that are left out keep their value; a `parent_id` of null puts the group at the top.

    `permissions` are replaced as a whole; false means the same as left out. So are the members, by `user_ids`.
    """

    name: GroupName = ""
    description: Description = ""
    permissions: Tree | None = None
    parent_id: Id | None = Field(None, validation_alias=AliasChoices("parent_id", "parent_group_id"))
    share: bool = True
    data: GroupData | None = None
    user_ids: UserIds | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were sent, but members, with `share` from wherever it was said. Raises Problem MALFORMED."""
        given = self.model_dump(exclude_unset=True, exclude={"permissions", "data", "user_ids"})
        if self.permissions is not None:
            given["permissions"] = flat(self.permissions, ignored=UNKNOWN_HERE)
        older = self.data.config.share if self.data is not None and self.data.config is not None else None
        return given if older is None else {"share": older, **given}


class NewGroup(GroupUpdate):
    name: GroupName


class Members(Form):
    user_ids: UserIds


class Group(BaseModel):
    """A group. Its members are members of `parent_id` too.

    `member_count` counts those who were put into it. Only administrators see `permissions`, and who its members are.
    """

    id: str
    name: str
    description: str
    parent_id: str | None
    share: bool
    permissions: Tree | None
    member_count: int
    user_ids: list[str] | None = None
    source: str
    created_at: int
    updated_at: int

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents the two together; mypy knows no such property
    @property
    def parent_group_id(self) -> str | None:
        return self.parent_id

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def data(self) -> dict[str, dict[str, bool]]:
        return {"config": {"share": self.share}}


class Member(BaseModel):
    id: str
    name: str
    email: str
    role: Literal["pending", "user", "admin"]
