"""Many rows at once, out of another installation's export: checked one by one, written in one transaction or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from modelyard.control.catalogue import images, queries
from modelyard.control.catalogue.editing import Edit
from modelyard.control.catalogue.schemas import MAX_ID_LENGTH, ModelForm, ModelUpdate
from modelyard.control.catalogue.sharing import may_write
from modelyard.control.snapshot.pace import Pace
from modelyard.core.errors import Kind, Problem
from modelyard.db.slices import slices

MAX_ITEMS = 20_000

# What an export holds beside what may be set.
NOT_TAKEN = ("user_id", "created_at", "updated_at", "version_id", "write_access", "source", "user")

Status = Literal["created", "updated", "unchanged", "failed", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one item. `place` counts from 0; `detail` says why one failed."""

    place: int
    id: str | None
    status: Status
    detail: str | None = None


def items_of(content: object) -> list[Any]:
    """The items of an import: a bare list, or `{"models": [...]}`. Raises Problem MALFORMED."""
    items = content.get("models") if isinstance(content, Mapping) else content
    if not isinstance(items, list):
        raise Problem(Kind.MALFORMED, 'Send a list of models, or {"models": [...]}.', param="models")
    if len(items) > MAX_ITEMS:
        raise Problem(Kind.TOO_LARGE, f"An import can have at most {MAX_ITEMS} models.", param="models")
    return items


async def take_all(edit: Edit, items: Sequence[Any], *, whole: bool = False) -> list[Result]:
    """Write every item within one transaction. One that fails is told and changes nothing; the caller decides on the rest.

    A known row takes the item's `meta` key by key, or as a `whole`.
    """
    results: list[Result] = []
    seen: set[str] = set()
    pace = Pace()
    for part in slices(items):
        plain = [_plain(item) for item in part]
        ids = [_id_of(item) for item in plain]
        await edit.load_named([model_id for model_id in ids if model_id is not None])
        for item, model_id in zip(plain, ids, strict=True):
            status, detail = await _outcome(edit, item, model_id in seen, whole)
            results.append(Result(place=len(results), id=model_id, status=status, detail=detail))
            if model_id is not None:
                seen.add(model_id)
            if pace.is_due:
                await pace.rest()
    return results


async def _outcome(edit: Edit, item: dict[str, Any] | None, is_twin: bool, whole: bool) -> tuple[Status, str | None]:
    try:
        if item is None:
            raise Problem(Kind.MALFORMED, "It must be an object.")
        if is_twin:
            raise Problem(Kind.MALFORMED, "This id is there more than once.")
        return await _take(edit, item, whole)
    except Problem as problem:
        return "failed", problem.message
    except ValidationError as error:
        return "failed", _told(error)


def _id_of(item: Mapping[str, Any] | None) -> str | None:
    """The item's id when it can be one."""
    found = None if item is None else item.get("id")
    return found if isinstance(found, str) and len(found) <= MAX_ID_LENGTH and found.isprintable() else None


def _plain(item: Any) -> dict[str, Any] | None:
    """An item of any export: a row, or an entry of the merged list that holds its row as `info`. None if it is neither."""
    if not isinstance(item, Mapping):
        return None
    info = item.get("info")
    found = info if isinstance(info, Mapping) and "meta" not in item else item
    return {name: value for name, value in {**item, **found}.items() if name not in NOT_TAKEN}


async def _take(edit: Edit, item: dict[str, Any], whole: bool) -> tuple[Status, str | None]:
    """One item: made, or laid over the row that is there."""
    form = ModelForm.model_validate(item)
    if edit.context.principal.manages and edit.is_declared(form.id):
        return "unchanged", "It is declared in yard.yaml and stays as it is there."
    stored = await edit.find(form.id)
    if stored is None:
        await edit.create(form.model_dump(exclude_unset=True))
        return "created", None
    if not may_write(edit.context.principal, stored.row, stored.rights):
        raise Problem(Kind.FORBIDDEN, "There is a model with this id that is not yours.")
    update = ModelUpdate.model_validate(item).model_dump(exclude_unset=True)
    if update.get("meta") is not None:
        kept = {} if whole else dict(stored.row.meta)
        if images.FIELD not in update["meta"] and stored.image is not None and not whole:
            kept[images.FIELD] = stored.image
        update["meta"] = {**kept, **update["meta"]}
    changed = await edit.update(stored, update)
    return ("unchanged" if changed is stored else "updated"), None


def _told(error: ValidationError) -> str:
    return " ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}." for fault in error.errors()[:5])


async def remove_all(edit: Edit, model_ids: Sequence[str], batch_id: str) -> None:
    """Delete these rows."""
    pace = Pace()
    for part in slices(model_ids):
        for stored in await edit.load(part):
            await edit.remove(stored, batch_id)
            if pace.is_due:
                await pace.rest()


async def remove_others(edit: Edit, kept: set[str], batch_id: str) -> None:
    """Delete every row that is not among the kept ones."""
    await edit.write()
    others = [name for name in await queries.ids_of_all(edit.change.connection) if name not in kept]
    await remove_all(edit, others, batch_id)
