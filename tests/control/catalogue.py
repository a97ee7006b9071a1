"""For tests of the catalogue: people with different permissions, rows, and what they leave in the audit log."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.conftest import UPSTREAM_SECRET
from tests.postgres import run_postgres
from tests.servers import Scripted
from tests.yard import Yard, run_yard

M = "/api/v1/models"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n and some pixels").decode()

# maker: makes models and shares them with nobody. sharer: with users and groups. publisher: with all. nousers and nogroups:
# may share, but not with these. open and closed are groups that they are not in.
MAKES = "workspace: {models: true, models_import: true, models_export: true}"
PEOPLE = f"""
groups:
  - {{name: makers, permissions: {{{MAKES}}}}}
  - {{name: sharers, permissions: {{{MAKES}, sharing: {{models: true}}}}, share: false}}
  - {{name: publishers, permissions: {{{MAKES}, sharing: {{models: true, public_models: true}}}}}}
  - {{name: open}}
  - {{name: closed, share: false}}
users:
  - {{email: maker@example.com, groups: [makers], keys: [{{name: main, key: "${{MAKER}}"}}]}}
  - {{email: sharer@example.com, groups: [sharers], keys: [{{name: main, key: "${{SHARER}}"}}]}}
  - {{email: publisher@example.com, groups: [publishers], keys: [{{name: main, key: "${{PUBLISHER}}"}}]}}
  - {{email: plain@example.com, keys: [{{name: main, key: "${{PLAIN}}"}}]}}
models:
  - {{id: echo, access_control: null}}
  - {{id: declared, base_model_id: echo, access_control: null}}
  - {{id: secret, base_model_id: echo}}
"""
KEYS = {name: f"key-of-{name.lower()}-0123456789abcdefghijklmnop" for name in ("MAKER", "SHARER", "PUBLISHER", "PLAIN")}


DATABASES = ("sqlite", "postgres")


@contextmanager
def run_catalogue(upstream: Scripted, folder: Path, *, database: str = "sqlite") -> Iterator[Yard]:
    """A server with these people in front of the scripted upstream, on one of the databases."""
    file = folder / "yard.yaml"
    file.write_text(PEOPLE)
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": UPSTREAM_SECRET, **KEYS}
    with ExitStack() as stack:
        if database == "postgres":
            environment["DATABASE_URL"] = stack.enter_context(run_postgres()).new_database()
        yield stack.enter_context(run_yard(folder / "data", environment, ("--config", str(file))))


def person(yard: Yard, name: str) -> httpx2.Client:
    """A client of one of the people. Close it."""
    return yard.client(KEYS[name.upper()])


def preset(model_id: str, **fields: Any) -> dict[str, Any]:
    """A form of a preset over `echo`."""
    return {"id": model_id, "name": model_id[:256], "base_model_id": "echo", "meta": {}, "params": {}, **fields}


def make(client: httpx2.Client, model_id: str, **fields: Any) -> dict[str, Any]:
    """A preset, made."""
    answer = client.post(f"{M}/create", json=preset(model_id, **fields))
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(client: httpx2.Client, model_id: str) -> dict[str, Any]:
    """A row as its reader sees it."""
    answer = client.get(f"{M}/model", params={"id": model_id})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def audited(yard: Yard, **query: str) -> list[dict[str, Any]]:
    """The audit log's entries about models, newest first."""
    answer = yard.admin.get("/api/v1/audit", params={"entity_type": "model", "limit": "100", **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def last_audit(yard: Yard) -> str | None:
    """The newest entry's id: the same before and after means that nothing was noted."""
    found = audited(yard, limit="1")
    return found[0]["id"] if found else None


def everything(yard: Yard) -> list[dict[str, Any]]:
    """Every row, whole, with its history, in the order of their ids."""
    rows = []
    for row in sorted(yard.admin.get(f"{M}/all").json(), key=lambda row: str(row["id"])):
        if row["source"] == "file":
            continue
        query = {"id": row["id"]}
        picture = yard.admin.get(f"{M}/model/profile/image", params=query).content
        history = yard.admin.get(f"{M}/model/history", params=query).json()
        rows.append({**read(yard.admin, row["id"]), "picture": picture.hex(), "history": history})
    return rows
