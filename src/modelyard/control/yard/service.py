"""Export, plan, apply, roll back: what commands and routes of "as code" have in common."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.snapshot import ADMIN
from modelyard.control.catalogue.activity import Activity
from modelyard.control.catalogue.service import PRESET_ID, is_preset_id
from modelyard.control.catalogue.sharing import check_name
from modelyard.control.transaction import Change
from modelyard.control.yard import applying, planning, reading, revisions
from modelyard.control.yard.exporting import Ground, State, read_state
from modelyard.control.yard.objects import KEY, MODEL, USER, Objects, document_of, with_owners
from modelyard.control.yard.planning import CREATE, Plan
from modelyard.control.yard.wanting import Wanted, lookup_for, wanted
from modelyard.control.yard.writing import written
from modelyard.core.errors import Kind, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A document that somebody sends. `values` are what its references may stand for.

    `keep`: nothing is deleted. `expect`: the id of the plan that was agreed to. `longest` is in characters. `back_to`: the
    revision whose document it is, which left nothing open: models for which it names no owner get theirs of then.
    """

    text: str = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep: bool = False
    expect: str | None = None
    longest: int = reading.MAX_FILE
    back_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A plan with its id, and once it is applied the revision that it led to and the one `before` (None: there was nothing
    to do)."""

    plan: Plan
    id: str
    revision: int | None = None
    before: int | None = None


async def export(connection: AsyncConnection, ground: Ground) -> str:
    """What the database holds, as YAML."""
    return await _text(await read_state(connection, ground))


async def plan(connection: AsyncConnection, ground: Ground, asked: Asked) -> Made:
    """What applying the document would do. Raises Problem MALFORMED for a document that cannot be applied."""
    content = await _content(asked)
    state = await read_state(connection, ground)
    owners = await _owners_then(connection, asked, state)
    made, _ = await asyncio.to_thread(_planned, content, state, ground, asked, owners)
    return made


async def apply(change: Change, ground: Ground, asked: Asked, activity: Activity) -> Made:
    """Make the database what the document says, within one transaction. Raises Problem; then nothing may be kept.

    `activity` collects the models that became active or inactive.
    """
    made = await _apply(change, ground, asked, activity, "applied")
    if made.revision is not None:
        await change.audit("yard.applied", str(made.revision), description=_told(made.plan))
    return made


async def roll_back(change: Change, ground: Ground, number: int, asked: Asked, activity: Activity) -> Made:
    """Apply the document of a revision (the text of `asked` is not read). Raises Problem."""
    text = await revisions.document(change.connection, number)
    asked = Asked(text=text, values=asked.values, expect=asked.expect, back_to=number)
    made = await _apply(change, ground, asked, activity, f"rolled back to {number}")
    if made.revision is not None:
        told = f"to revision {number}: {_told(made.plan)}"
        await change.audit("yard.rolled_back", str(made.revision), description=told)
    return made


async def plan_back(connection: AsyncConnection, ground: Ground, number: int, asked: Asked) -> Made:
    """What rolling back to a revision would do. Raises Problem."""
    text = await revisions.document(connection, number)
    return await plan(connection, ground, Asked(text=text, values=asked.values, back_to=number))


async def _apply(change: Change, ground: Ground, asked: Asked, activity: Activity, message: str) -> Made:
    content = await _content(asked)
    state = await read_state(change.connection, ground)
    owners = await _owners_then(change.connection, asked, state)
    made, asked_for = await asyncio.to_thread(_planned, content, state, ground, asked, owners)
    if asked.expect is not None and asked.expect != made.id:
        raise Problem(Kind.CONFLICT, "Something has changed since this plan was made; look at the plan again.")
    if not made.plan.steps:
        return made
    before = await revisions.keep(change, await _text(state), state.owners, f"before: {message}")
    run = applying.Applying(
        change=change,
        ground=ground,
        ids=state.ids,
        tokens=asked_for.objects.tokens,
        activity=activity,
        batch_id=applying.new_batch(),
        owners=owners,
    )
    await run.take(made.plan)
    reached = await read_state(change.connection, ground)
    after = await revisions.keep(change, await _text(reached), reached.owners, message)
    return Made(plan=made.plan, id=made.id, revision=after, before=before)


async def _owners_then(connection: AsyncConnection, asked: Asked, state: State) -> Mapping[str, str] | None:
    """The owners of a revision for whom its document has no name; None for a document that people wrote.

    A revision that has not noted them: models keep what they have, and what is made again has no owner. It would be wrong
    to guess the command line, whose presets open their bases.
    """
    if asked.back_to is None:
        return None
    found = await revisions.owners(connection, asked.back_to)
    return state.owners if found is None else found


async def _text(state: State) -> str:
    return await asyncio.to_thread(lambda: written(document_of(state.objects)))


async def _content(asked: Asked) -> Any:
    try:
        return await asyncio.to_thread(reading.parsed, asked.text, asked.longest)
    except reading.Unreadable as error:
        raise Problem(Kind.MALFORMED, f"The document cannot be read: {error}") from None


def _wanted(content: Any, state: State, ground: Ground, asked: Asked) -> Wanted:
    try:
        known = lookup_for(content, state.objects, asked.values)
        yard = reading.validated(reading.resolved(content, known))
    except reading.Unreadable as error:
        raise Problem(Kind.MALFORMED, f"The document cannot be applied: {error}") from None
    return wanted(yard, state.objects, ground, keep=asked.keep)


def _planned(
    content: Any, state: State, ground: Ground, asked: Asked, owners: Mapping[str, str] | None
) -> tuple[Made, Wanted]:
    """Everything of a plan that is not input or output; for a thread, because there may be thousands of models."""
    asked_for = _wanted(content, state, ground, asked)
    if owners is None:
        steps = tuple(planning.make(state.objects, asked_for.objects, keep=asked.keep))
    else:
        now, then = with_owners(state.objects, state.owners), with_owners(asked_for.objects, owners)
        steps = tuple(planning.make(now, then, leaves_owners=False))
    if asked.back_to is None:
        _check_ids(steps)
    check_names(steps, ground.offers)
    _keep_an_administrator(state.objects, asked_for.objects, ground, keep=asked.keep)
    notes = [*asked_for.notes, *_notes(steps, state, asked_for, ground)]
    made = Plan(steps=steps, notes=tuple(notes))
    return Made(plan=made, id=ground.seal.digest(made.text()).hex()[:32]), asked_for


def new_presets(steps: Iterable[planning.Step]) -> list[str]:
    """The ids of the presets that these steps make, of nothing or of an override."""
    return [
        step.path[0]
        for step in steps
        if step.noun == MODEL
        and (step.new or {}).get("base_model_id") is not None
        and (step.old or {}).get("base_model_id") is None
    ]


def _check_ids(steps: Iterable[planning.Step]) -> None:
    """Raises Problem MALFORMED for a new preset with an id that none may be given any more."""
    for model_id in new_presets(steps):
        if not is_preset_id(model_id):
            raise Problem(Kind.MALFORMED, f"model {model_id}: {PRESET_ID}", param="id")


def check_names(steps: Iterable[planning.Step], offers: Callable[[str], bool]) -> None:
    """Raises Problem CONFLICT for a new preset that would take a base model's name."""
    for model_id in new_presets(steps):
        try:
            check_name(model_id, offers)
        except Problem as problem:
            raise Problem(problem.kind, f"model {model_id}: {problem.message}", param=problem.param) from None


def _keep_an_administrator(current: Objects, asked_for: Objects, ground: Ground, *, keep: bool) -> None:
    """A fresh installation has none yet and may stay so: the setup link makes the first one."""
    if "users" not in asked_for.sections or any(user.role == ADMIN for user in ground.declared.users):
        return
    before = {path for path, fields in current.of[USER].items() if fields["role"] == ADMIN}
    after = {path for path, fields in asked_for.of[USER].items() if fields["role"] == ADMIN}
    if keep:
        after |= before - asked_for.of[USER].keys()
    if before and not after:
        raise Problem(Kind.MALFORMED, "The document leaves no administrator: give one of its users `role: admin`.")


def _notes(steps: tuple[planning.Step, ...], state: State, asked_for: Wanted, ground: Ground) -> list[str]:
    notes = []
    for step in steps:
        if step.noun == USER and step.action == CREATE and (step.new or {}).get("kind") == "person":
            notes.append(f"{step.name} has no password yet: set one with `modelyard users password {step.name}`.")
        if step.noun == KEY and step.action == CREATE and step.path not in asked_for.objects.tokens:
            notes.append(f"The key {step.name} has no secret yet: rotate it to get one.")
    for path, token in asked_for.objects.tokens.items():
        digest = state.digests.get(path)
        if digest is not None and digest != ground.seal.digest(token):
            notes.append(f"The key {path[1]} of {path[0]} keeps its secret: rotate it for a new one.")
    return notes


def _told(made: Plan) -> str:
    counts = made.counts()
    return f"{counts['create']} created, {counts['update']} updated, {counts['delete']} deleted"


def shown(made: Made) -> dict[str, Any]:
    """A plan as plain JSON values, secrets masked."""
    steps = [
        {
            "noun": step.noun,
            "name": step.name,
            "action": step.action,
            "fields": {name: {"old": old, "new": new} for name, (old, new) in step.changes().items()},
        }
        for step in made.plan.steps
    ]
    return {"id": made.id, "steps": steps, "notes": list(made.plan.notes)}
