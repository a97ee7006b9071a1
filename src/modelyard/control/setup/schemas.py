"""Setup, as JSON."""

from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.people.schemas import Session


class Doors(BaseModel):
    """What a stranger may be told: which way in there is."""

    needed: bool = Field(description="There is no administrator yet: the setup link makes the first")
    sign_up: bool = Field(description="Accounts can be made at /api/v1/auths/signup")


class SetUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=200, description="From the link printed at first start")
    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)


class SetUpDone(Session):
    """The first administrator's session, and a first API key: shown here and never again."""

    key: str
