"""Catalogue rows and grants."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import indexing
from modelyard.control.catalogue.grants import MODEL
from modelyard.control.catalogue.meta import without_null_tags
from modelyard.control.catalogue.shown import Granted
from modelyard.core import ids
from modelyard.db.schema import grants, groups, model_tags, models
from modelyard.db.slices import slices

# Everything but an uploaded image and what only searches read.
COLUMNS = (
    models.c.id, models.c.user_id, models.c.name, models.c.base_model_id, models.c.params, models.c.meta,
    models.c.is_active, models.c.version_id, models.c.created_at, models.c.updated_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One row of the catalogue with all that belongs to it. `image` is an uploaded profile image, a data URI."""

    row: ModelRow
    grants: Sequence[Granted]
    image: str | None

    @property
    def rights(self) -> list[GrantRow]:
        return [granted.grant for granted in self.grants]


def row_of(found: RowMapping) -> ModelRow:
    """A stored row as a record."""
    return ModelRow(
        **{**{column.name: found[column.name] for column in COLUMNS}, "meta": without_null_tags(found["meta"])}
    )


async def every(connection: AsyncConnection) -> list[ModelRow]:
    """All rows, oldest first."""
    found = await connection.execute(select(*COLUMNS).order_by(models.c.created_at, models.c.id))
    return [row_of(row) for row in found.mappings()]


async def grants_of_models(connection: AsyncConnection) -> list[GrantRow]:
    """All grants on models."""
    columns = (
        grants.c.resource_type,
        grants.c.resource_id,
        grants.c.principal_type,
        grants.c.principal_id,
        grants.c.permission,
    )
    found = await connection.execute(select(*columns).where(grants.c.resource_type == MODEL))
    return [GrantRow(**row) for row in found.mappings()]


async def one(connection: AsyncConnection, model_id: str) -> ModelRow | None:
    found = (await connection.execute(select(*COLUMNS).where(models.c.id == model_id))).mappings().first()
    return None if found is None else row_of(found)


async def stored(connection: AsyncConnection, model_id: str) -> Stored | None:
    """A row with its grants and its image."""
    return (await stored_by_id(connection, [model_id]))[model_id]


async def stored_by_id(connection: AsyncConnection, model_ids: Collection[str]) -> dict[str, Stored | None]:
    """Rows with their grants and images; None for an id without a row. For as many ids as one statement takes."""
    query = select(*COLUMNS, models.c.profile_image).where(models.c.id.in_(model_ids))
    rows = (await connection.execute(query)).mappings().all()
    granted: dict[str, list[Granted]] = {row["id"]: [] for row in rows}
    if rows:
        found = await connection.execute(
            select(grants)
            .where(grants.c.resource_type == MODEL, grants.c.resource_id.in_(list(granted)))
            .order_by(grants.c.permission, grants.c.principal_type, grants.c.principal_id)
        )
        for row in found.mappings():
            granted[row["resource_id"]].append(_grant_of(row))
    known: dict[str, Stored | None] = dict.fromkeys(model_ids)
    for row in rows:
        known[row["id"]] = Stored(row=row_of(row), grants=granted[row["id"]], image=row["profile_image"])
    return known


def _grant_of(found: RowMapping) -> Granted:
    return Granted(
        id=found["id"],
        grant=GrantRow(
            resource_type=found["resource_type"],
            resource_id=found["resource_id"],
            principal_type=found["principal_type"],
            principal_id=found["principal_id"],
            permission=found["permission"],
        ),
        created_at=found["created_at"],
    )


async def sharing_of_groups(connection: AsyncConnection) -> dict[str, bool]:
    """Group id to whether anybody may choose it when they share something."""
    found = await connection.execute(select(groups.c.id, groups.c.share))
    return {row.id: row.share for row in found}


async def ids_of_all(connection: AsyncConnection) -> list[str]:
    """The ids of all rows, in order."""
    return list((await connection.execute(select(models.c.id).order_by(models.c.id))).scalars())


async def number_owned(connection: AsyncConnection, user_id: str) -> int:
    """How many rows somebody owns."""
    query = select(func.count()).select_from(models).where(models.c.user_id == user_id)
    return int((await connection.execute(query)).scalar_one())


class Rows:
    """Rows on their way into the tables: many are written by few statements. Between two writes an id is named once."""

    def __init__(self) -> None:
        self._added: list[dict[str, Any]] = []
        self._replaced: list[dict[str, Any]] = []
        self._removed: list[str] = []
        self._tags: list[dict[str, Any]] = []
        self._granted: list[dict[str, Any]] = []
        self._revoked: list[str] = []

    def add(self, row: ModelRow, image: str | None, granted: Iterable[Granted]) -> None:
        """A new row with its grants."""
        self._added.append({**_values(row), "profile_image": image})
        self._write_tags(row)
        self._granted += [_values_of_grant(found) for found in granted]

    def replace(self, row: ModelRow, image: str | None, old: Sequence[Granted], new: Sequence[Granted]) -> None:
        """A row as it is now, and its grants as they were and are."""
        self._replaced.append({**_values(row), "profile_image": image, "at": row.id})
        self._write_tags(row)
        known, kept = {found.id for found in old}, {found.id for found in new}
        self._revoked += known - kept
        self._granted += [_values_of_grant(found) for found in new if found.id not in known]

    def remove(self, model_id: str) -> None:
        """A row goes, with its tags and its grants."""
        self._removed.append(model_id)

    async def write(self, connection: AsyncConnection) -> None:
        """Write what was collected."""
        on_models, of_tags = grants.c.resource_type == MODEL, model_tags.c.model_id
        for names in slices([*self._removed, *(row["id"] for row in self._added)]):
            await connection.execute(delete(grants).where(on_models, grants.c.resource_id.in_(names)))
        for row_ids in slices(self._revoked):
            await connection.execute(delete(grants).where(grants.c.id.in_(row_ids)))
        for names in slices([*self._removed, *(row["id"] for row in self._replaced)]):
            await connection.execute(delete(model_tags).where(of_tags.in_(names)))
        for names in slices(self._removed):
            await connection.execute(delete(models).where(models.c.id.in_(names)))
        for rows in slices(self._replaced):
            await connection.execute(update(models).where(models.c.id == bindparam("at")), rows)
        for table, values in ((models, self._added), (model_tags, self._tags), (grants, self._granted)):
            for rows in slices(values):
                await connection.execute(insert(table), rows)
        for collected in (
            self._added, self._replaced, self._removed, self._tags, self._granted, self._revoked
        ):  # fmt: skip
            collected.clear()

    def _write_tags(self, row: ModelRow) -> None:
        tags = indexing.tags_of(row.meta)
        self._tags += [{"model_id": row.id, "tag": tag, "name": name} for tag, name in tags.items()]


def granted_now(old: Iterable[Granted], rights: Iterable[GrantRow], moment: int) -> list[Granted]:
    """These rights as they are stored, in order. One that was there already keeps its id and its time."""
    known = {found.grant: found for found in old}
    granted = [known.get(grant) or Granted(grant, ids.row_id(), moment) for grant in dict.fromkeys(rights)]
    return sorted(granted, key=lambda one: (one.grant.permission, one.grant.principal_type, one.grant.principal_id))


def _values_of_grant(found: Granted) -> dict[str, Any]:
    grant = found.grant
    return {
        "id": found.id,
        "resource_type": grant.resource_type,
        "resource_id": grant.resource_id,
        "principal_type": grant.principal_type,
        "principal_id": grant.principal_id,
        "permission": grant.permission,
        "created_at": found.created_at,
    }


def _values(row: ModelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "user_id": row.user_id or "",
        "base_model_id": row.base_model_id,
        "name": row.name,
        "params": dict(row.params),
        "meta": dict(row.meta),
        "is_active": row.is_active,
        "version_id": row.version_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "sort_name": indexing.sort_name(row.name),
        "search_text": indexing.search_text(row.id, row.name, row.base_model_id, row.meta),
    }
