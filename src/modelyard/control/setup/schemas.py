"""Setup, as JSON."""

from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.people.schemas import Session


class SetUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=200, description="From the link printed at first start")
    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)


class SetUpDone(Session):
    """The first administrator's session, and a first API key: shown here and never again."""

    key: str
