"""A large catalogue with people and grants, always the same: what the catalogue is measured and tested with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from modelyard.control.catalogue.indexing import search_text, sort_name, tags_of
from modelyard.db.engine import Database
from modelyard.db.schema import grants, groups, memberships, model_tags, models, users

MODELS = 10_000
USERS = 1_000
GROUPS = 200
GRANTS = 50_000
GROUPS_OF_A_USER = 5
# In a thousand: overrides of base models, rows that everyone may read, rows with a picture.
OVERRIDES = 50
PUBLIC = 100
PICTURES = 100
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" + "A" * 20_001
BEGAN = 1_700_000_000

WORDS = (
    "amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo", "juniper", "kelp", "lagoon",
    "meadow", "nectar", "onyx", "pebble", "quartz", "river", "sierra", "tundra", "umber", "violet", "willow", "yarrow",
    "zephyr", "größe", "模型", "модель",
)  # fmt: skip
TAGS = (
    "Coding",
    "Writing",
    "Übersetzung",
    "翻译",
    "Рисование",
    "math",
    "100%",
    "a_b",
    *(f"team-{n}" for n in range(42)),
)


@dataclass(frozen=True, slots=True)
class Large:
    """The rows as they were written, each table a list of columns to values. `group_ids` are those of each user."""

    models: Sequence[dict[str, Any]]
    tags: Sequence[dict[str, Any]]
    grants: Sequence[dict[str, Any]]
    users: Sequence[dict[str, Any]]
    group_ids: dict[str, frozenset[str]]


def made(seed: int = 4, *, scale: float = 1.0) -> Large:
    """The data set, or a part of its size."""
    draw = random.Random(seed)
    people = [_user(draw, number) for number in range(round(USERS * scale))]
    group_names = [f"group-{number}" for number in range(round(GROUPS * scale))]
    rows = [_model(draw, number, people) for number in range(round(MODELS * scale))]
    return Large(
        models=rows,
        tags=[
            {"model_id": row["id"], "tag": tag, "name": name}
            for row in rows
            for tag, name in tags_of(row["meta"]).items()
        ],
        grants=_grants(draw, rows, people, group_names, round(GRANTS * scale)),
        users=people,
        group_ids={user["id"]: frozenset(draw.sample(group_names, GROUPS_OF_A_USER)) for user in people},
    )


async def write(database: Database, large: Large) -> None:
    """Put it into an empty database."""
    names = sorted({group_id for group_ids in large.group_ids.values() for group_id in group_ids})
    group_rows = [
        {"id": name, "name": name, "description": "", "permissions": {}, "share": True, "created_at": BEGAN,
         "updated_at": BEGAN} for name in names
    ]  # fmt: skip
    joined = [
        {"group_id": group_id, "user_id": user_id, "created_at": BEGAN}
        for user_id, group_ids in large.group_ids.items()
        for group_id in sorted(group_ids)
    ]
    async with database.write() as connection:
        for table, rows in (
            (users, large.users), (groups, group_rows), (memberships, joined), (models, large.models),
            (model_tags, large.tags), (grants, large.grants),
        ):  # fmt: skip
            if rows:
                await connection.execute(insert(table), list(rows))


def _user(draw: random.Random, number: int) -> dict[str, Any]:
    name = f"{draw.choice(WORDS).title()} {draw.choice(WORDS).title()}"
    return {
        "id": f"user-{number}", "email": f"user-{number}@example.com", "name": name, "role": "user", "kind": "person",
        "created_at": BEGAN + number, "updated_at": BEGAN + number,
    }  # fmt: skip


def _model(draw: random.Random, number: int, people: Sequence[dict[str, Any]]) -> dict[str, Any]:
    words = draw.choices(WORDS, k=3)
    model_id = f"{words[0]}/{words[1]}:{number}"
    base = None if draw.randrange(1000) < OVERRIDES else f"base-{draw.randrange(200)}"
    name = " ".join(words).title()
    meta = {
        "description": " ".join(draw.choices(WORDS, k=25)),
        "tags": [{"name": tag} for tag in draw.sample(TAGS, 2)],
        "capabilities": {"vision": True, "usage": False},
    }
    created = BEGAN + draw.randrange(5_000)  # several rows in one second
    return {
        "id": model_id,
        "user_id": draw.choice(people)["id"],
        "base_model_id": base,
        "name": name,
        "params": {"system": " ".join(draw.choices(WORDS, k=200)), "temperature": 0.5},
        "meta": meta,
        "profile_image": PICTURE if draw.randrange(1000) < PICTURES else None,
        "is_active": draw.random() < 0.9,
        "sort_name": sort_name(name),
        "search_text": search_text(model_id, name, base, meta),
        "created_at": created,
        "updated_at": created + draw.randrange(5_000),
    }


def _grants(
    draw: random.Random,
    rows: Sequence[dict[str, Any]],
    people: Sequence[dict[str, Any]],
    group_names: Sequence[str],
    count: int,
) -> list[dict[str, Any]]:
    found = {(row["id"], "user", "*", "read"): None for row in rows if draw.randrange(1000) < PUBLIC}
    while len(found) < count:
        to_user = draw.random() < 0.4
        principal = draw.choice(people)["id"] if to_user else draw.choice(group_names)
        permission = "read" if draw.random() < 0.8 else "write"
        found[(draw.choice(rows)["id"], "user" if to_user else "group", principal, permission)] = None
    return [
        {
            "id": f"grant-{number}", "resource_type": "model", "resource_id": resource, "principal_type": principal_type,
            "principal_id": principal, "permission": permission, "created_at": BEGAN,
        }
        for number, (resource, principal_type, principal, permission) in enumerate(found)
    ]  # fmt: skip
