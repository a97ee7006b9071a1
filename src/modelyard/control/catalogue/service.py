"""Catalogue rows: made, changed, removed, restored, within one transaction. Who may do it is asked in `sharing`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import queries
from modelyard.control.catalogue.grants import MODEL, access_control_of
from modelyard.control.catalogue.images import KEEP, Keep, take_image
from modelyard.control.catalogue.indexing import MAX_TAG_LENGTH, MAX_TAGS, tags_of
from modelyard.control.catalogue.meta import tidied, without_null_tags
from modelyard.control.catalogue.queries import Stored
from modelyard.control.catalogue.shown import Granted
from modelyard.control.transaction import Change, difference
from modelyard.control.trash import service as trash
from modelyard.control.versions import service as versions
from modelyard.core import ids, raw
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.policy.presets import BadParameter, read_preset

MAX_PARAMS_BYTES = 256 * 1024
MAX_META_BYTES = 512 * 1024
MAX_DEPTH = 50

# A version holds neither activity nor grants, nor this of `meta`: going back to an old text reveals nothing anew.
UNVERSIONED_META = ("hidden",)


def unversioned(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What of `meta` belongs to no version."""
    return {name: meta[name] for name in UNVERSIONED_META if name in meta}


def checked_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, when every one can be sent. Raises Problem MALFORMED."""
    _check_size("params", params, MAX_PARAMS_BYTES)
    try:
        read_preset(params)
    except BadParameter as error:
        raise Problem(Kind.MALFORMED, f"{error}.", param="params") from None
    return params


PRESET_ID = "The id of a preset holds no white space: write letters, digits and signs, such as my-model."


def is_preset_id(model_id: str) -> bool:
    """True when a new preset may have this id: people write it into commands. An override has that of its base model."""
    return not any(character.isspace() for character in model_id)


def check_new_id(model_id: str, base_model_id: str | None) -> None:
    """Raises Problem MALFORMED for the id of a preset that is new. What there was before may come back with any id."""
    if base_model_id is not None and not is_preset_id(model_id):
        raise Problem(Kind.MALFORMED, PRESET_ID, param="id")


def _taken_meta(given: Mapping[str, Any]) -> tuple[dict[str, Any], str | Keep | None]:
    """`meta` to store (`meta.tidied`), and the picture to store beside it. Raises Problem MALFORMED."""
    meta, image = take_image(given)
    _check_size("meta", meta, MAX_META_BYTES)
    meta = tidied(meta)
    found = tags_of(meta)
    if len(found) > MAX_TAGS or any(len(tag) > MAX_TAG_LENGTH for name in found.items() for tag in name):
        raise Problem(
            Kind.MALFORMED, f"A model can have {MAX_TAGS} tags of {MAX_TAG_LENGTH} characters.", param="meta.tags"
        )
    return meta, image


def _check_size(field: str, value: object, most: int) -> None:
    try:
        _check_plain(value, MAX_DEPTH)
        size = len(raw.encode(value))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Problem(
            Kind.MALFORMED,
            f"{field} holds text or a number that cannot be kept, or is nested deeper than {MAX_DEPTH} levels.",
            param=field,
        ) from None
    if size > most:
        raise Problem(Kind.MALFORMED, f"{field} is larger than {most // 1024} KiB.", param=field)


def _check_plain(value: object, depth: int) -> None:
    """Raises ValueError for what not every database, client and backend can read: NaN, huge integers, deep nesting."""
    if isinstance(value, Mapping | list):
        if depth == 0:
            raise ValueError
        for inner in value.values() if isinstance(value, Mapping) else value:
            _check_plain(inner, depth - 1)
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and not -(2**63) <= value < 2**64
    ):
        raise ValueError


def _check_base(model_id: str, base_model_id: str | None) -> None:
    if base_model_id == model_id:
        raise Problem(
            Kind.MALFORMED,
            "A model cannot stand on itself: leave base_model_id out to override the base model of that name.",
            param="base_model_id",
        )


def taken(model_id: str) -> Problem:
    return Problem(Kind.CONFLICT, f"There is a model with the id {model_id!r} already.", param="id")


class Batch:
    """Rows made, changed, removed and restored by one act. They are in the tables after `write`, in few statements.

    Whether an id is free is the caller's to know, and no id is named twice between two writes.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self._rows = queries.Rows()
        self._versions: list[versions.Version] = []
        self._deleted: list[trash.Deleted] = []
        self._restored: list[RowMapping] = []

    async def write(self) -> None:
        """Write what was collected."""
        change = self._change
        if self._restored:
            await trash.take(change, MODEL, self._restored)
        await self._rows.write(change.connection)
        if self._versions:
            await versions.keep(change, MODEL, self._versions)
        if self._deleted:
            await trash.put(change, MODEL, self._deleted)
        for collected in (self._restored, self._versions, self._deleted):
            collected.clear()

    async def create(
        self,
        given: Mapping[str, Any],
        rights: Sequence[GrantRow],
        *,
        owner_id: str,
        message: str | None = None,
        created_at: int | None = None,
    ) -> Stored:
        """Add a row. `given` has id, name, base_model_id, params, meta, is_active. Raises Problem MALFORMED."""
        moment = now()
        _check_base(given["id"], given.get("base_model_id"))
        meta, image = _taken_meta(given.get("meta") or {})
        row = ModelRow(
            id=given["id"],
            user_id=owner_id,
            name=given["name"],
            base_model_id=given.get("base_model_id"),
            params=checked_params(given.get("params") or {}),
            meta=meta,
            is_active=given.get("is_active", True),
            created_at=created_at or moment,
            updated_at=moment,
        )
        granted = queries.granted_now((), rights, moment)
        return await self._add(row, granted, image if isinstance(image, str) else None, message, "model.created")

    async def _add(
        self, row: ModelRow, granted: Sequence[Granted], image: str | None, message: str | None, action: str
    ) -> Stored:
        if row.version_id is None:
            row = replace(row, version_id=self._keep(row, image, parent_id=None, message=message))
        self._rows.add(row, image, granted)
        made = Stored(row=row, grants=granted, image=image)
        await self._change.audit(action, row.id, changes=difference({}, _noted(row, made.rights, image)))
        self._change.publish(MODEL, row.id)
        return made

    def _keep(self, row: ModelRow, image: str | None, *, parent_id: str | None, message: str | None) -> str:
        """Keep what a row holds as a version of it: its id."""
        version = versions.Version(
            id=ids.row_id(),
            entity_id=row.id,
            content=_content(row),
            parent_id=parent_id,
            message=message,
            picture=image,
        )
        self._versions.append(version)
        return version.id

    async def update(
        self,
        stored: Stored,
        given: Mapping[str, Any],
        rights: Sequence[GrantRow] | None = None,
        *,
        message: str | None = None,
        parent_id: str | None = None,
    ) -> Stored:
        """Change a row: only the given fields (name, base_model_id, params, meta, is_active, user_id). `rights` None: as
        they were.

        A new version is kept when what versions hold has changed. Raises Problem MALFORMED.
        """
        old, image = stored.row, stored.image
        fields = {name: given[name] for name in ("name", "base_model_id", "is_active", "user_id") if name in given}
        if "params" in given:
            fields["params"] = checked_params(given["params"])
        if "meta" in given:
            fields["meta"], taken_image = _taken_meta(given["meta"])
            image = image if taken_image is KEEP else taken_image
        row = replace(old, **fields, updated_at=now())
        _check_base(row.id, row.base_model_id)
        if image != stored.image or _content(row) != _content(old):
            # A row that is older than its history: what it was comes first.
            parent = parent_id or old.version_id or self._keep(old, stored.image, parent_id=None, message=None)
            row = replace(row, version_id=self._keep(row, image, parent_id=parent, message=message))
        return await self._replace(stored, row, image, rights)

    async def _replace(
        self, stored: Stored, row: ModelRow, image: str | None, rights: Sequence[GrantRow] | None
    ) -> Stored:
        granted = stored.grants if rights is None else queries.granted_now(stored.grants, rights, row.updated_at)
        made = Stored(row=row, grants=granted, image=image)
        differs = difference(_noted(stored.row, stored.rights, stored.image), _noted(row, made.rights, image))
        if not differs and row.version_id == stored.row.version_id:
            return stored
        self._rows.replace(row, image, stored.grants, granted)
        await self._change.audit(_verb_of(differs, row), row.id, changes=differs)
        self._change.publish(MODEL, row.id)
        return made

    async def put_in_force(
        self, stored: Stored, version_id: str, content: Mapping[str, Any], image: str | None
    ) -> Stored:
        """What a version holds, and its picture, becomes what the row holds. Activity, access and hiding stay."""
        row = replace(
            stored.row,
            name=content["name"],
            base_model_id=content["base_model_id"],
            params=content["params"],
            meta={**without_null_tags(content["meta"]), **unversioned(stored.row.meta)},
            version_id=version_id,
            updated_at=now(),
        )
        return await self._replace(stored, row, image, None)

    async def remove(self, stored: Stored, *, batch_id: str, by_administrator: bool = True) -> None:
        """Delete a row: it can be restored until its time in the trash is over; what was removed `by_administrator` is theirs
        to restore."""
        row = stored.row
        content = {
            **_content(row),
            "profile_image": stored.image,
            "meta": dict(row.meta),
            "by_administrator": by_administrator,
            "is_active": row.is_active,
            "version_id": row.version_id,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "grants": [
                [found.grant.principal_type, found.grant.principal_id, found.grant.permission, found.id,
                 found.created_at]
                for found in stored.grants
            ],
        }  # fmt: skip
        self._deleted.append(
            trash.Deleted(
                entity_id=row.id, content=content, name=row.name, owner_id=row.user_id or "", batch_id=batch_id
            )
        )
        self._rows.remove(row.id)
        noted = _noted(row, stored.rights, stored.image)
        await self._change.audit("model.deleted", row.id, changes=difference(noted, dict.fromkeys(noted)))
        self._change.publish(MODEL, row.id)

    async def restore(self, found: RowMapping, comes_back: Callable[[GrantRow], bool]) -> Stored:
        """Put a deleted row back as it was, with those of its grants that `comes_back` says. Its owner is the trash's."""
        model_id, content = found["entity_id"], found["content"]
        granted = [one for one in _granted_of(model_id, content) if comes_back(one.grant)]
        row = ModelRow(
            id=model_id,
            user_id=found["owner_id"],
            name=content["name"],
            base_model_id=content["base_model_id"],
            params=content["params"],
            meta=without_null_tags(content["meta"]),
            is_active=content["is_active"],
            version_id=content["version_id"],
            created_at=content["created_at"],
            updated_at=content["updated_at"],
        )
        self._restored.append(found)
        return await self._add(row, granted, content.get("profile_image"), None, "model.restored")


async def create(
    change: Change,
    given: Mapping[str, Any],
    rights: Sequence[GrantRow],
    *,
    owner_id: str,
    message: str | None = None,
    created_at: int | None = None,
) -> Stored:
    """`Batch.create` of one row, written. Raises Problem CONFLICT when the id is taken, or MALFORMED."""
    if await queries.one(change.connection, given["id"]) is not None:
        raise taken(given["id"])
    batch = Batch(change)
    made = await batch.create(given, rights, owner_id=owner_id, message=message, created_at=created_at)
    await batch.write()
    return made


async def update(
    change: Change,
    stored: Stored,
    given: Mapping[str, Any],
    rights: Sequence[GrantRow] | None = None,
    *,
    message: str | None = None,
    parent_id: str | None = None,
) -> Stored:
    """`Batch.update` of one row, written. Raises Problem MALFORMED."""
    batch = Batch(change)
    made = await batch.update(stored, given, rights, message=message, parent_id=parent_id)
    await batch.write()
    return made


async def remove(change: Change, stored: Stored, *, batch_id: str) -> None:
    """`Batch.remove` of one row, written."""
    batch = Batch(change)
    await batch.remove(stored, batch_id=batch_id)
    await batch.write()


def _verb_of(differs: Mapping[str, Any], row: ModelRow) -> str:
    if differs.keys() == {"is_active"}:
        return "model.enabled" if row.is_active else "model.disabled"
    return "model.access_updated" if differs.keys() == {"access_control"} else "model.updated"


def _granted_of(model_id: str, content: Mapping[str, Any]) -> list[Granted]:
    """The grants of a deleted row."""
    return [
        Granted(
            GrantRow(
                resource_type=MODEL,
                resource_id=model_id,
                principal_type=principal_type,
                principal_id=principal_id,
                permission=permission,
            ),
            grant_id,
            created_at,
        )
        for principal_type, principal_id, permission, grant_id, created_at in content["grants"]
    ]


def _content(row: ModelRow) -> dict[str, Any]:
    """What a version of a row holds, but its picture."""
    meta = {name: value for name, value in row.meta.items() if name not in UNVERSIONED_META}
    return {
        "name": row.name,
        "base_model_id": row.base_model_id,
        "params": dict(row.params),
        "meta": meta,
    }


def _noted(row: ModelRow, rights: Iterable[GrantRow], image: str | None) -> dict[str, Any]:
    """What the audit log keeps of a row. Of an image only that there is one, and which."""
    return {
        "name": row.name,
        "base_model_id": row.base_model_id,
        "user_id": row.user_id,
        "params": dict(row.params),
        "meta": dict(row.meta),
        "profile_image": None if image is None else f"{len(image)} characters, ends with {image[-12:]}",
        "is_active": row.is_active,
        "access_control": access_control_of(rights),
    }
