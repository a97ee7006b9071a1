"""Usage and audit reports: dimensions, spans of time, pages, and nobody sees what is not theirs."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.control.conftest import OTHER_KEY, USER_KEY
from tests.operations.tools import reserved_port
from tests.yard import run_yard

ASK = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
DIMENSIONS = ("model", "user", "key", "connection", "upstream_model", "operation", "dialect", "status", "day", "hour")


@pytest.fixture(scope="module")
def busy(peopled):
    """Three calls of one user, two of another, one embedding, one that failed."""
    with peopled.client(USER_KEY) as user, peopled.client(OTHER_KEY) as other:
        for client, model in ((user, "echo"), (user, "echo"), (user, "echo"), (other, "echo"), (other, "lorem")):
            assert client.post("/v1/chat/completions", json={**ASK, "model": model}).status_code == 200
    assert peopled.admin.post("/v1/embeddings", json={"model": "echo", "input": "a b"}).status_code == 200
    assert peopled.admin.post("/v1/chat/completions", json={**ASK, "model": "error-500"}).status_code >= 500
    peopled.wait_for_calls(7)
    return peopled


def get(yard, **query):
    return yard.admin.get("/api/v1/usage", params=query)


def test_every_dimension_adds_up(busy):
    for dimension in DIMENSIONS:
        rows = get(busy, group_by=dimension).json()["items"]
        assert sum(row["calls"] for row in rows) == 7, dimension
        assert all(
            set(row) >= {dimension, "calls", "tokens", "input_tokens", "output_tokens", "errors", "last_at", "cost"}
            for row in rows
        )
    assert busy.usage("user")["file-user@example.com"]["calls"] == 3
    assert busy.usage("operation")["embeddings"]["calls"] == 1
    assert busy.usage("model")["error-500"]["errors"] == 1
    assert busy.usage("user")["file-user@example.com"]["output_tokens"] == 9
    assert all(isinstance(key, int) and key % 86_400 == 0 for key in busy.usage("day"))


def test_each_item_tells_when_its_latest_call_began(busy):
    user = "file-user@example.com"
    with closing(sqlite3.connect(busy.data_dir / "ledger.db", isolation_level=None, timeout=60)) as ledger:
        found = "SELECT id, started_at FROM ledger WHERE user_id = ? ORDER BY started_at, id LIMIT 1"
        [(first, began)] = ledger.execute(found, (user,))
        moved = began + 3_600_000  # the first becomes the latest of all, however slowly they were made
        ledger.execute("UPDATE ledger SET started_at = ? WHERE id = ?", (moved, first))
        try:
            rows = busy.usage("user")
        finally:
            ledger.execute("UPDATE ledger SET started_at = ? WHERE id = ?", (began, first))
    assert rows.pop(user)["last_at"] == moved // 1000
    assert rows
    assert all(began // 1000 <= row["last_at"] < moved // 1000 for row in rows.values())


@pytest.mark.parametrize("group_by", ["id", "started_at", "model; DROP TABLE ledger", "", "MODEL", "model,user"])
def test_only_known_dimensions(busy, group_by):
    assert get(busy, group_by=group_by).status_code == 422


def test_from_and_to_are_dates_times_or_seconds(busy):
    now = datetime.now(UTC)
    for start in (
        f"{now:%Y-%m-%d}",
        "2020-01-01",
        (now - timedelta(hours=30)).isoformat(),
        "0",
        str(int(time.time()) - 600),
    ):
        found = get(busy, group_by="status", **{"from": start}).json()["items"]
        assert sum(row["calls"] for row in found) == 7, start
    for span in ({"to": "2020-01-01"}, {"from": (now + timedelta(days=2)).isoformat()}, {"from": "2999-01-01"}):
        assert get(busy, group_by="status", **span).json()["items"] == [], span


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "-5", "1e9", "\u00b2", "9" * 40, "nan", "0000-00-00"])
def test_a_malformed_moment_is_told(busy, moment):
    for name in ("from", "to"):
        assert get(busy, **{name: moment}).status_code in (200, 422), moment
        if moment != "9" * 40:
            assert get(busy, **{name: moment}).status_code == 422


@pytest.mark.parametrize(("group_by", "after"), [("day", "\u00b2"), ("hour", "9" * 40), ("day", "x"), ("day", "-1")])
def test_a_malformed_page_is_told(busy, group_by, after):
    assert get(busy, group_by=group_by, after=after).status_code == 422


@pytest.mark.parametrize("group_by", ["model", "user", "hour"])
def test_pages_make_the_whole(busy, group_by):
    whole = get(busy, group_by=group_by).json()
    assert whole["next"] is None
    pieces, after = [], None
    for _ in range(20):
        query = {"limit": 1, "group_by": group_by} | ({"after": after} if after else {})
        page = get(busy, **query).json()
        assert len(page["items"]) <= 1
        pieces += page["items"]
        after = page["next"]
        if after is None:
            break
    assert pieces == whole["items"]
    assert get(busy, limit=0).status_code == 422
    assert get(busy, limit=1001).status_code == 422


def test_a_user_sees_only_their_own(busy):
    with busy.client(USER_KEY) as user:
        for dimension in DIMENSIONS:
            rows = user.get("/api/v1/usage", params={"group_by": dimension}).json()["items"]
            assert sum(row["calls"] for row in rows) == 3, dimension
        assert [row["user"] for row in user.get("/api/v1/usage", params={"group_by": "user"}).json()["items"]] == [
            "file-user@example.com"
        ]


def test_the_audit_log_has_filters_and_pages(busy):
    for number in range(5):
        busy.make_key(name=f"page {number}")
    everything = busy.admin.get("/api/v1/audit", params={"action": "key.created"}).json()
    assert len(everything["items"]) >= 5
    first = busy.admin.get("/api/v1/audit", params={"action": "key.created", "limit": 2}).json()
    second = busy.admin.get(
        "/api/v1/audit", params={"action": "key.created", "limit": 2, "offset": first["next"]}
    ).json()
    assert first["items"] + second["items"] == everything["items"][:4]
    assert {entry["entity_type"] for entry in everything["items"]} == {"key"}
    assert busy.admin.get("/api/v1/audit", params={"user_id": "nobody"}).json() == {"items": [], "next": None}
    assert busy.admin.get("/api/v1/audit", params={"offset": -1}).status_code == 422


def test_the_metrics_have_a_port_of_their_own(upstream, tmp_path):
    environment = {"OPENAI_API_BASE_URL": upstream.base_url}
    with reserved_port() as port, run_yard(tmp_path / "data", {**environment, "METRICS_PORT": str(port)}) as yard:
        with yard.client(None) as client:
            text = client.get(f"http://127.0.0.1:{port}/metrics").text
        assert "modelyard_models" in text
        assert yard.terminate() == 0
