"""People, sessions and sign-in, as JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from modelyard.policy.reasons import Kind as ReasonKind

Email = Annotated[str, Field(max_length=254)]
PersonName = Annotated[str, Field(max_length=100)]
# Its least length is a rule of `passwords`; a longer one is not even read.
Password = Annotated[str, Field(max_length=1024)]
Role = Literal["pending", "user", "admin"]
Id = Annotated[str, Field(min_length=1, max_length=300)]
Tree = dict[str, dict[str, bool]]


class Form(BaseModel):
    """What callers send. Clients of Open WebUI's API send more than is kept here (a picture, a theme): what a form does
    not name is not taken, and never a way to set something."""

    model_config = ConfigDict(extra="ignore")


class SignIn(Form):
    email: Email
    password: Password


class SignUp(Form):
    name: PersonName = ""
    email: Email
    password: Password


class Session(BaseModel):
    """A signed-in person. `token` is shown once; browsers get it as an HttpOnly cookie as well."""

    token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of the scheme
    id: str
    email: str
    name: str
    role: str


class Person(BaseModel):
    """Who the credential of this request stands for, and what they may do."""

    id: str
    email: str
    name: str
    role: str
    group_ids: list[str] = Field(description="Their groups and those above them")
    permissions: Tree
    expires_at: int | None = Field(description="When this credential ends, in Unix seconds")


class NewPassword(Form):
    password: Password = Field(description="The present one")
    new_password: Password


class PasswordChanged(BaseModel):
    """All sessions have ended. Who asked with a session gets the token of a new one, and it as a cookie too."""

    status: bool = True
    token: str | None = None


class OwnSession(BaseModel):
    """One session. Times are Unix seconds; `current` is the one of this request."""

    id: str
    created_at: int
    expires_at: int
    address: str
    user_agent: str
    current: bool


class Sessions(BaseModel):
    items: list[OwnSession]


class Ended(BaseModel):
    """How many sessions have ended."""

    status: bool = True
    ended: int


class SignUpRules(BaseModel):
    """Whether people may make accounts for themselves, and what those are."""

    ENABLE_SIGNUP: bool
    DEFAULT_USER_ROLE: str
    DEFAULT_GROUP_ID: str | None


class SignUpRulesForm(Form):
    """Fields that are left out keep their value."""

    ENABLE_SIGNUP: bool = False
    DEFAULT_USER_ROLE: Literal["pending", "user"] = "pending"
    DEFAULT_GROUP_ID: str | None = Field(None, max_length=300)


class User(BaseModel):
    """One user as an administrator sees them. Times are Unix seconds; `source` tells where they can be changed."""

    id: str
    name: str
    email: str
    role: str
    kind: str
    group_ids: list[str]
    source: str
    created_at: int
    updated_at: int


class Users(BaseModel):
    """One page. `total` counts all that match; `users` is the same list as `items`."""

    items: list[User]
    total: int

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents the two together; mypy knows no such property
    @property
    def users(self) -> list[User]:
        return self.items


class Brief(BaseModel):
    id: str
    name: str
    email: str
    role: str


class Everyone(BaseModel):
    """`total` counts everyone, also those behind the bound of the list."""

    items: list[Brief]
    total: int


class Found(BaseModel):
    """Somebody to share with. Only administrators see addresses."""

    id: str
    name: str
    email: str | None


class FoundPeople(BaseModel):
    items: list[Found]
    total: int


class NewUser(Form):
    """A person, or a service that uses keys only. Without a password a person cannot sign in until one is set."""

    name: PersonName = ""
    email: Email
    role: Role = "pending"
    password: Password | None = None
    kind: Literal["person", "service"] = "person"
    group_ids: list[Id] = Field([], max_length=1000)


class UserUpdate(Form):
    """Fields that are left out, or null, keep their value."""

    kind: None = Field(None, description="Cannot be changed. Must be null.")
    group_ids: None = Field(None, description="Groups are changed at /api/v1/groups. Must be null.")
    name: PersonName | None = None
    email: Email | None = None
    role: Role | None = None
    password: Password | None = None


class RoleUpdate(Form):
    id: Id
    role: Role


class RightReason(BaseModel):
    """One source that by itself gives a right, or refuses all (`pending`). `group_id` when it is a group."""

    kind: ReasonKind
    group_id: str | None


class RightDecision(BaseModel):
    """What is decided, and why. Without reasons nothing gives it."""

    allowed: bool
    reasons: list[RightReason]


class PermissionRights(RightDecision):
    permission: str


class RightsGroup(BaseModel):
    """A group that counts for somebody: they were put into it (`direct`), or into one below it."""

    id: str
    name: str
    parent_id: str | None
    direct: bool


class ModelRights(BaseModel):
    """About one model. `use` is calling it; a preset is called only when its `base` is open too. `write` is changing it.

    `state` tells whether anybody can call it: `inactive` is switched off, `unavailable` is offered by no backend now.
    `behind`, of an arena entry: how many of the models that it draws from this person may call themselves. The entry opens
    none of them, so with none nobody answers. Null for every other model.
    """

    id: str
    name: str
    state: Literal["served", "inactive", "unavailable"]
    use: RightDecision
    base: RightDecision | None
    behind: int | None
    write: RightDecision


class Rights(BaseModel):
    """What somebody may do and why, decided by the rules that decide their requests, as of now."""

    user_id: str
    role: str
    groups: list[RightsGroup]
    permissions: list[PermissionRights]
    model: ModelRights | None
