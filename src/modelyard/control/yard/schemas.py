"""Export, plan, apply and rollback, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.yard.reading import MAX_SENT

Values = Annotated[dict[str, Annotated[str, Field(max_length=10_000)]], Field(max_length=1000)]
PlanId = Annotated[str, Field(max_length=100)]


class PlanForm(BaseModel):
    """A document (`yard.yaml`) as text. `keep`: what it does not name stays.

    `values` are what its references `${NAME}` stand for; the server's environment is not read. A reference that an export
    gave for a secret of a connection that is still there needs none.
    """

    model_config = ConfigDict(extra="forbid")

    document: str = Field(max_length=MAX_SENT)
    keep: bool = False
    values: Values = {}


class ApplyForm(PlanForm):
    """A document to apply. With `expect`, the id of a plan, it is refused (409) when the plan would be another one now."""

    expect: PlanId | None = None


class PlanBackForm(BaseModel):
    """A revision to go back to. `values` are secrets that its references stand for, as in `plan`."""

    model_config = ConfigDict(extra="forbid")

    revision: int = Field(ge=1, le=2**31 - 1)
    values: Values = {}


class RollbackForm(PlanBackForm):
    """A revision to go back to. With `expect`, the id of its plan, it is refused (409) when that would be another one now."""

    expect: PlanId | None = None


class Difference(BaseModel):
    old: Any
    new: Any


class ShownStep(BaseModel):
    """One object to create, update or delete. Secrets are masked."""

    noun: Literal["setting", "group", "connection", "user", "key", "model"]
    name: str
    action: Literal["create", "update", "delete"]
    fields: dict[str, Difference]


class ShownPlan(BaseModel):
    """What applying a document does. Without `steps` there is nothing to do."""

    id: str
    steps: list[ShownStep]
    notes: list[str]


class Applied(ShownPlan):
    """What was done, the revision that it led to, and the one `before`, to which a rollback takes it back; both null when
    there was nothing to do."""

    revision: int | None
    before: int | None


class ShownRevision(BaseModel):
    """A state that was applied, or was there before. `size` is in characters; the time is in Unix seconds."""

    id: int
    user_id: str
    message: str | None
    size: int
    created_at: int


class Revisions(BaseModel):
    items: list[ShownRevision]
