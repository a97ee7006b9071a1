"""API keys, as JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class KeyLimits(BaseModel):
    """`rpm` calls and `tpm` tokens in any 60 seconds, `concurrency` calls at once. Left out or null: no limit."""

    model_config = ConfigDict(extra="forbid")

    rpm: int | None = Field(None, ge=1, le=10**9)
    tpm: int | None = Field(None, ge=1, le=10**12)
    concurrency: int | None = Field(None, ge=1, le=10**6)


class NewKey(BaseModel):
    """A key to make. Without `user_id` it belongs to its maker; `models` and `dialects` confine it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    user_id: str | None = None
    models: list[str] | None = Field(None, max_length=1000)
    dialects: list[Literal["openai", "anthropic", "ollama"]] | None = None
    expires_at: int | None = Field(None, ge=0, le=10**11, description="Unix seconds")
    budget: None = Field(None, description="Money cannot be limited yet: prices are not known. Must be null.")
    limits: KeyLimits = Field(default_factory=lambda: KeyLimits.model_validate({}))


class Key(BaseModel):
    """A key as it is listed: its secret is not among what is known."""

    id: str
    name: str
    user_id: str
    hint: str = Field(description="The last characters of the key, to recognise it by")
    models: list[str] | None
    dialects: list[str] | None
    expires_at: int | None
    limits: KeyLimits
    source: str
    created_at: int


class MadeKey(Key):
    """A key that was just made: the only answer that holds the key itself."""

    key: str


class Keys(BaseModel):
    items: list[Key]
