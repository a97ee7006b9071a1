"""Lists of the catalogue against a plain account of what they should hold, on both databases."""

import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from modelyard.canonical.records import FILE, Declared, GrantRow, ModelRow, UserRow
from modelyard.canonical.snapshot import EMPTY, Principal, Published
from modelyard.control.catalogue import listing, reading, whole
from modelyard.control.catalogue.indexing import search_text, sort_name, tags_of
from modelyard.control.catalogue.listing_query import Wanted
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url
from modelyard.db.schema import grants, model_tags, models, users
from tests.postgres import OWNER, Postgres, run_postgres

LETTERS = "aAbBzZ%_'\"\\[]*?^-éÉßẞΣσςИи模😀 .:/"
OWNER_LETTERS = "aAbBzZ%_'[]*?^-éÉΣσςИи模 "  # no letter that folds to two
TAGS = ("Coding", "CODING", "Ünï", "翻译", "тег", "100%", 'say "hi"', "ẞ")
USERS = [
    {"id": f"u{number}", "role": "user", "kind": "person", "created_at": 1, "updated_at": 1} for number in range(6)
]
GROUPS = ("g1", "g2", "g3")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as running:
        yield running


def in_english(postgres: Postgres) -> str:
    """The URL of a database that orders text as English dictionaries do, unless a statement says otherwise."""
    name = f"english_{uuid.uuid4().hex[:12]}"
    place = ("-h", str(postgres.folder), "-p", str(postgres.port), "-U", OWNER)
    postgres.run("createdb", *place, "-T", "template0", "--locale-provider=icu", "--icu-locale=en-US", name)
    return f"postgresql://{OWNER}@127.0.0.1:{postgres.port}/{name}"


@contextlib.asynccontextmanager
async def opened(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if kind == "sqlite":
        database = Database(sqlite_url(tmp_path / "main.db"))
    else:
        database = Database(parse_url(in_english(request.getfixturevalue("postgres"))))
    try:
        await migrate.upgrade(database, migrate.MAIN, tmp_path / "backups")
        yield database
    finally:
        await database.close()


class Yard:
    """A random catalogue: some rows stored, some declared by a file, one id both."""

    def __init__(self, draw: random.Random) -> None:
        self.users = [
            {**user, "name": text(draw, OWNER_LETTERS, 8), "email": f"{user['id']}@{text(draw, 'abz', 3)}.example"}
            for user in USERS
        ]
        self.file_user = UserRow(
            id="file-user", email="file@example.com", name=text(draw, OWNER_LETTERS, 6), source=FILE
        )
        self.rows = [row(draw, f"{text(draw, LETTERS.strip(), 3)}-{number}") for number in range(70)]
        self.declared = [replace(row(draw, f"declared-{number}"), source=FILE) for number in range(4)]
        self.declared.append(replace(row(draw, self.rows[0].id), source=FILE))
        self.grants = [grant for found in self.rows for grant in granted(draw, found.id)]
        self.declared_grants = [grant for found in self.declared for grant in granted(draw, found.id)]

    async def write(self, database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(insert(users), self.users)
            await connection.execute(insert(models), [stored(found) for found in self.rows])
            tags = [
                {"model_id": found.id, "tag": tag, "name": name}
                for found in self.rows
                for tag, name in tags_of(found.meta).items()
            ]
            await connection.execute(insert(model_tags), tags)
            values = [
                {
                    "id": f"grant-{number}", "resource_type": grant.resource_type, "resource_id": grant.resource_id,
                    "principal_type": grant.principal_type, "principal_id": grant.principal_id,
                    "permission": grant.permission, "created_at": number,
                } for number, grant in enumerate(self.grants)
            ]  # fmt: skip
            await connection.execute(insert(grants), values)

    def context(self, database: Database, principal: Principal, *, open_catalogue: bool = False) -> Any:
        declared = Declared(users=[self.file_user], models=self.declared, grants=self.declared_grants)
        published = Published(replace(EMPTY, open_catalogue=open_catalogue))
        return SimpleNamespace(
            control=SimpleNamespace(
                database=database, declared=declared, published=published, is_offered=lambda _: False
            ),
            principal=principal,
        )

    def all_rows(self) -> list[tuple[ModelRow, list[GrantRow]]]:
        hidden = {found.id for found in self.declared}
        return [
            *((found, [g for g in self.declared_grants if g.resource_id == found.id]) for found in self.declared),
            *(
                (found, [g for g in self.grants if g.resource_id == found.id])
                for found in self.rows
                if found.id not in hidden
            ),
        ]

    def owner(self, user_id: str | None) -> dict[str, str] | None:
        people = {
            **{user["id"]: {name: user[name] for name in ("id", "name", "role", "email")} for user in self.users},
            self.file_user.id: {
                "id": self.file_user.id, "name": self.file_user.name, "role": "user", "email": self.file_user.email,
            },
        }  # fmt: skip
        return people.get(user_id or "")


def text(draw: random.Random, letters: str, most: int) -> str:
    return "".join(draw.choices(letters, k=draw.randint(1, most)))


def row(draw: random.Random, model_id: str) -> ModelRow:
    meta: dict[str, Any] = {"tags": [{"name": tag} for tag in draw.sample(TAGS, draw.randrange(3))], "kept": {"a": 1}}
    if draw.random() < 0.5:
        meta["description"] = text(draw, LETTERS, 12)
    return ModelRow(
        id=model_id,
        user_id=draw.choice([*(user["id"] for user in USERS), "file-user", "gone"]),
        name=text(draw, LETTERS, 4),
        base_model_id=None if draw.random() < 0.2 else f"base{text(draw, LETTERS, 2)}",
        params={"system": "secret"},
        meta=meta,
        is_active=draw.random() < 0.7,
        created_at=draw.randrange(5),
        updated_at=draw.randrange(5),
    )


def granted(draw: random.Random, model_id: str) -> list[GrantRow]:
    found = {}
    for _ in range(draw.randrange(4)):
        kind, principal = draw.choice(
            [("user", "*"), ("user", draw.choice(USERS)["id"]), ("group", draw.choice(GROUPS)), ("group", "u1")]
        )
        permission = "read" if principal == "*" else draw.choice(["read", "write"])
        found[(kind, principal, permission)] = GrantRow(
            resource_type="model", resource_id=model_id, principal_type=kind, principal_id=principal,
            permission=permission,
        )  # fmt: skip
    # The same words on another kind of object grant nothing here.
    if draw.random() < 0.3:
        found[("other",)] = GrantRow(
            resource_type="knowledge", resource_id=model_id, principal_type="user", principal_id="*", permission="read"
        )
    return list(found.values())


def stored(found: ModelRow) -> dict[str, Any]:
    return {
        "id": found.id, "user_id": found.user_id, "base_model_id": found.base_model_id, "name": found.name,
        "params": found.params, "meta": found.meta, "is_active": found.is_active, "created_at": found.created_at,
        "updated_at": found.updated_at, "sort_name": sort_name(found.name),
        "search_text": search_text(found.id, found.name, found.base_model_id, found.meta),
    }  # fmt: skip


def has(principal: Principal, found: ModelRow, rights: list[GrantRow], *permissions: str) -> bool:
    if found.user_id == principal.user_id and found.base_model_id is not None:  # overrides have no owner
        return True
    for grant in rights:
        if grant.resource_type != "model" or grant.permission not in permissions:
            continue
        if grant.principal_type == "user" and grant.principal_id in ("*", principal.user_id):
            return True
        if grant.principal_type == "group" and grant.principal_id in principal.group_ids:
            return True
    return False


def expected(
    yard: Yard, principal: Principal, wanted: Wanted, open_catalogue: bool
) -> tuple[list[str], dict[str, int]]:
    """The ids of all pages, and the counts."""
    found = []
    for model, rights in yard.all_rows():
        if model.base_model_id is None:
            continue
        if not (principal.sees_all or open_catalogue or has(principal, model, rights, "read", "write")):
            continue
        if principal.models is not None and model.id not in principal.models:
            continue
        if wanted.tag and wanted.tag.casefold() not in {tag["name"].casefold() for tag in model.meta["tags"]}:
            continue
        owner = yard.owner(model.user_id) or {"name": "", "email": ""}
        about = [
            model.name, model.id, model.base_model_id, model.meta.get("description", ""), owner["name"], owner["email"],
        ]  # fmt: skip
        if not any(wanted.query.casefold() in part.casefold() for part in about):
            continue
        found.append(model)
    own = sum(model.user_id == principal.user_id for model in found)
    counts = {"all": len(found), "created": own, "shared": len(found) - own}
    if wanted.view:
        found = [m for m in found if (m.user_id == principal.user_id) == (wanted.view == "created")]
    found.sort(key=lambda model: model.id)
    keys = {
        "name": lambda m: m.name.casefold(),
        "created_at": lambda m: m.created_at,
        "updated_at": lambda m: m.updated_at,
    }
    found.sort(key=keys[wanted.order_by], reverse=wanted.descending)
    return [model.id for model in found], counts


ADMINISTRATOR = Principal(user_id="root", name="", email="", role="admin", sees_all=True)
PRINCIPALS = (
    Principal(user_id="u1", name="", email="", role="user", group_ids=frozenset({"g1"})),
    Principal(user_id="u2", name="", email="", role="user"),
    Principal(user_id="nobody", name="", email="", role="user", group_ids=frozenset(f"g{n}" for n in range(2, 502))),
    Principal(user_id="file-user", name="", email="", role="user", group_ids=frozenset(GROUPS)),
    ADMINISTRATOR,
    Principal(user_id="u3", name="", email="", role="admin"),
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("seed", range(4))
async def test_every_page_holds_what_a_plain_account_says_by_one_statement(seed, kind, tmp_path, request):
    draw = random.Random(seed)
    yard = Yard(draw)
    async with opened(kind, tmp_path, request) as database:
        await yard.write(database)
        statements: list[str] = []
        event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
        for _ in range(150):
            principal = draw.choice(PRINCIPALS)
            if draw.random() < 0.1:
                scope = [found.id for found, _ in draw.sample(yard.all_rows(), 10)]
                principal = replace(principal, models=frozenset(scope))
            open_catalogue = draw.random() < 0.1
            some, _ = draw.choice(yard.all_rows())
            query = draw.choice(["", some.name, some.name.swapcase(), text(draw, OWNER_LETTERS, 2), "u1@", "FILE@"])
            if any(letter in query for letter in "ßẞsS") and draw.random() < 0.5:
                query = query.casefold()
            wanted = Wanted(
                query=query,
                tag=draw.choice(["", "", *TAGS, "ÜNÏ", "ss", "cod", "%"]),
                view=draw.choice(["", "created", "shared"]),
                order_by=draw.choice(["name", "created_at", "updated_at"]),
                descending=draw.random() < 0.5,
                offset=draw.choice([0, 1, 3, 7, 30, 1000]),
                limit=draw.choice([1, 3, 30, 100]),
            )
            context = yard.context(database, principal, open_catalogue=open_catalogue)
            del statements[:]
            page = await listing.page(context, wanted)
            assert len([one for one in statements if not one.startswith("BEGIN")]) == 1, "one statement for a page"
            ids, counts = expected(yard, principal, wanted, open_catalogue)
            assert [item.id for item in page.items] == ids[wanted.offset :][: wanted.limit], wanted
            assert page.total == len(ids)
            assert page.counts.model_dump() == counts
            check_rows(yard, principal, page.items)


def check_rows(yard: Yard, principal: Principal, items: list[Any]) -> None:
    rows = {found.id: (found, rights) for found, rights in yard.all_rows()}
    for item in items:
        found, rights = rows[item.id]
        confined = principal.models is not None
        write = not confined and (principal.role == "admin" or has(principal, found, rights, "write"))
        assert item.write_access is write
        assert item.params == (found.params if write else {})
        assert item.source == found.source
        assert (item.user and item.user.model_dump()) == yard.owner(found.user_id)
        told = {(grant.principal_type, grant.principal_id, grant.permission) for grant in item.access_grants}
        of_models = [grant for grant in rights if grant.resource_type == "model"]
        assert told == {(grant.principal_type, grant.principal_id, grant.permission) for grant in of_models}
        assert len({grant.id for grant in item.access_grants}) == len(of_models)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_tags_single_rows_and_export_keep_to_the_same_rights(kind, tmp_path, request):
    draw = random.Random(99)
    yard = Yard(draw)
    async with opened(kind, tmp_path, request) as database:
        await yard.write(database)
        for principal in PRINCIPALS:
            context = yard.context(database, principal)
            readable, writable = [], []
            for found, rights in yard.all_rows():
                if principal.sees_all or has(principal, found, rights, "read", "write"):
                    readable.append(found)
                    if principal.role == "admin" or has(principal, found, rights, "write"):
                        writable.append(found)
            tags = {tag["name"] for found in readable if found.base_model_id for tag in found.meta["tags"]}
            # Of two spellings in one row the first counts.
            assert set(await reading.tags(context)) <= tags
            assert {tag.casefold() for tag in await reading.tags(context)} == {tag.casefold() for tag in tags}
            told = await told_whole(await whole.exported(context, []))
            assert sorted(one["id"] for one in told) == sorted(m.id for m in writable if m.base_model_id)
            assert all(one["params"] == {"system": "secret"} for one in told)
            for found, _ in yard.all_rows():
                if found in readable or found in writable:
                    assert (await reading.one(context, found.id)).id == found.id
                else:
                    with pytest.raises(Problem):
                        await reading.one(context, found.id)
            chosen = [found.id for found in writable if found.base_model_id][:2]
            if chosen:
                told = await told_whole(await whole.exported(context, chosen))
                assert sorted(one["id"] for one in told) == sorted(chosen)
            with pytest.raises(Problem):
                await whole.exported(context, [*chosen, "nowhere"])
        admin = yard.context(database, ADMINISTRATOR)
        every = await told_whole(whole.everything(admin))
        assert sorted(one["id"] for one in every) == sorted(found.id for found, _ in yard.all_rows())
        bases = await told_whole(whole.overrides(admin, "ÜNÏ"))
        assert sorted(one["id"] for one in bases) == sorted(
            found.id
            for found, _ in yard.all_rows()
            if found.base_model_id is None and any(tag["name"] == "Ünï" for tag in found.meta["tags"])
        )


async def told_whole(pieces: AsyncIterator[bytes]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = raw.value_of(raw.Raw(b"".join([piece async for piece in pieces])))
    return told


# Query, name of the owner, whether the one finds the other.
NAMES = (
    ("müller", "MÜLLER, Eva", True),
    ("ΝΊΚΟΣ", "Νίκος", True),
    ("и", "Ирина", True),
    ("Groß", "Anna GROẞ", True),
    ("gross", "Anna Groß", False),  # what letter_case says of itself
    ("a*b", "axb", False),
    ("a?b", "axb", False),
    ("[ab]", "a", False),
    ("[ab]", "x[AB]y", True),
    ("a.b", "axb", False),
    ("a_b", "axb", False),
    ("%", "axb", False),
    ("^a", "a", False),
    (r"\d", "1", False),
    (r"\d", r"\D", True),
    ("(a|b)", "a", False),
    ("{2}$", "x{2}$", True),
    ("-]", "a-]", True),
    ("'; --", "x'; --", True),
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_an_owner_is_found_in_any_case_and_nothing_in_a_query_is_a_wildcard(kind, tmp_path, request):
    async with opened(kind, tmp_path, request) as database:
        async with database.write() as connection:
            found = ModelRow(id="0", user_id="u0", name="0", base_model_id="0")
            await connection.execute(insert(models), [stored(found)])
            await connection.execute(insert(users), [{**USERS[0], "name": "", "email": "none"}])
        control = SimpleNamespace(database=database, declared=Declared(), published=Published())
        context: Any = SimpleNamespace(control=control, principal=ADMINISTRATOR)
        for query, name, is_found in NAMES:
            async with database.write() as connection:
                await connection.execute(update(users).values(name=name))
            assert (await listing.page(context, Wanted(query=query))).total == int(is_found), (query, name)
