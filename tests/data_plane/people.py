"""People, keys and the ledger, for tests of the data plane."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.servers import PATIENCE
from tests.yard import Yard

ANN = "file-ann@example.com"
BEN = "file-ben@example.com"
ADA = "file-ada@example.com"
PENNY = "file-penny@example.com"
PENNYS_KEY = "sk-my-penny-0123456789abcdefghijklmnopqrst"


def people_file(path: Path, **rest: Any) -> dict[str, str]:
    """The environment with a yard.yaml of Ann and Ben (users), Ada (administrator) and Penny (pending)."""
    users: list[dict[str, Any]] = [
        {"email": "ann@example.com", "name": "Ann", "role": "user"},
        {"email": "ben@example.com", "name": "Ben", "role": "user"},
        {"email": "ada@example.com", "name": "Ada", "role": "admin"},
        {"email": "penny@example.com", "role": "pending", "keys": [{"name": "k", "key": PENNYS_KEY}]},
    ]
    path.write_text(json.dumps({"users": users, **rest}))  # JSON is YAML
    return {"MODELYARD_CONFIG": str(path)}


def new_key(yard: Yard, user_id: str | None = None, **form: Any) -> dict[str, Any]:
    """A key as the API tells it: `id`, `key` and the rest."""
    owner = {} if user_id is None else {"user_id": user_id}
    answer = yard.admin.post("/api/v1/keys", json={"name": "test", **owner, **form})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def make_model(yard: Yard, model_id: str, base: str | None = None, **form: Any) -> dict[str, Any]:
    """A catalogue row; private unless `access_control` says otherwise."""
    answer = yard.admin.post(
        "/api/v1/models/create", json={"id": model_id, "name": model_id, "base_model_id": base, **form}
    )
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def until(what: Callable[[], Any]) -> Any:
    """What it returns once that is true; the last value after the deadline."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = what()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


def expire(yard: Yard, key: dict[str, Any]) -> None:
    """Let a key end in a moment, and wait for that. It works until its time, and not a moment longer."""
    ends = 0

    def told() -> bool:  # anew while the time was over before the server had read it
        nonlocal ends
        ends = int(time.time()) + 2
        return yard.admin.patch(f"/api/v1/keys/{key['id']}", json={"expires_at": ends}).status_code == 200

    assert until(told)
    with yard.client(key["key"]) as client:
        assert until(lambda: client.get("/v1/models").status_code == 401)
    assert time.time() >= ends, "it was refused too early"


def ledger(yard: Yard, key_id: str) -> list[dict[str, Any]]:
    """The calls of one key as they are in the ledger now."""
    with closing(sqlite3.connect(f"file:{yard.data_dir / 'ledger.db'}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("select * from ledger where key_id = ? order by id", (key_id,))]


def settled(yard: Yard, key_id: str, count: int = 1, linger: float = 0.0) -> list[dict[str, Any]]:
    """The calls of one key, once there are so many. `linger` lets one too many show itself."""
    until(lambda: len(ledger(yard, key_id)) >= count)
    time.sleep(linger)
    return ledger(yard, key_id)


def chat(model: str | None, stream: bool = False, text: str = "hello there", **fields: Any) -> dict[str, Any]:
    """A chat request."""
    named = {} if model is None else {"model": model}
    return {**named, "messages": [{"role": "user", "content": text}], **({"stream": True} if stream else {}), **fields}


CHAT = "/v1/chat/completions"


def assert_openai_error(answer: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The answer is an error in OpenAI's shape with that status. The error itself."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-request-id"]
    told: dict[str, Any] = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    assert told["message"]
    assert isinstance(told["message"], str)
    assert isinstance(told["type"], str)
    assert isinstance(told["code"], str)
    if code is not None:
        assert told["code"] == code
    return told
