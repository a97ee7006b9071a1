"""Sign-in and sessions, as JSON."""

from pydantic import BaseModel, ConfigDict, Field


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)


class Session(BaseModel):
    """A signed-in person. `token` is shown once; browsers get it as an HttpOnly cookie as well."""

    token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of the scheme
    id: str
    email: str
    name: str
    role: str


class Person(BaseModel):
    """Who the credential of this request stands for."""

    id: str
    email: str
    name: str
    role: str
