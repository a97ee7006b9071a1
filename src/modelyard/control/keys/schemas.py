"""API keys, as JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

KeyName = Annotated[str, Field(min_length=1, max_length=100)]
Models = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=1000)]
Dialects = Annotated[list[Literal["openai", "anthropic", "ollama"]], Field(max_length=10)]
Expiry = Annotated[int, Field(ge=0, le=10**11, description="Unix seconds")]


class KeyLimits(BaseModel):
    """`rpm` calls and `tpm` tokens in any 60 seconds, `concurrency` calls at once. Left out or null: no limit."""

    model_config = ConfigDict(extra="forbid")

    rpm: int | None = Field(None, ge=1, le=10**9)
    tpm: int | None = Field(None, ge=1, le=10**12)
    concurrency: int | None = Field(None, ge=1, le=10**6)


class NewKey(BaseModel):
    """A key to make. Without `user_id` it belongs to its maker; `models` and `dialects` confine it."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName
    user_id: str | None = Field(None, max_length=300)
    models: Models | None = None
    dialects: Dialects | None = None
    expires_at: Expiry | None = None
    budget: None = Field(None, description="Money cannot be limited yet: prices are not known. Must be null.")
    limits: KeyLimits = Field(default_factory=lambda: KeyLimits.model_validate({}))


class KeyPatch(BaseModel):
    """Changes to a key. Fields that are left out keep their value; `limits` are replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName = ""
    models: Models | None = None
    dialects: Dialects | None = None
    expires_at: Expiry | None = None
    limits: KeyLimits = Field(default_factory=lambda: KeyLimits.model_validate({}))


class Rotation(BaseModel):
    """How long the old key works beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: int = Field(0, ge=0, le=30 * 24 * 3600)


class Key(BaseModel):
    """A key as it is listed: its secret is not among what is known."""

    id: str
    name: str
    user_id: str
    hint: str = Field(description="The last characters of the key, to recognise it by; empty while it has no secret")
    models: list[str] | None
    dialects: list[str] | None
    expires_at: int | None
    limits: KeyLimits
    replaced_by: str | None = Field(None, description="Id of the key that a rotation made in its place")
    source: str
    created_at: int


class MadeKey(Key):
    """A key that was just made: the only answer that holds the key itself."""

    key: str


class Keys(BaseModel):
    items: list[Key]
