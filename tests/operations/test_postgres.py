"""The same product on PostgreSQL."""

import json
import time

import pytest

from tests.operations.test_discovery import run_backend
from tests.operations.tools import (
    ASK,
    ASK_INPUT,
    ASK_OUTPUT,
    ask,
    every_worker,
    modelyard,
    refuses,
    reserved_port,
    session_of,
)
from tests.yard import run_yard, setup_token

PASSWORD = "correct horse battery staple"
DIMENSIONS = ("model", "user", "key", "connection", "upstream_model", "operation", "dialect", "status", "day", "hour")


def test_from_setup_to_the_report_and_through_a_restart(postgres, upstream, data_dir):
    url = postgres.new_database()
    environment = {"DATABASE_URL": url, "MODELYARD_ADMIN_API_KEY": ""}
    with run_yard(data_dir, environment) as yard:
        form = {"token": setup_token(yard), "email": "You@example.com", "password": PASSWORD}
        with yard.client(None) as stranger:
            made = stranger.post("/api/v1/setup", json=form)
            assert made.status_code == 200, made.text
            assert stranger.post("/api/v1/setup", json=form).status_code == 403
            signed_in = stranger.post(
                "/api/v1/auths/signin", json={"email": "you@example.com", "password": PASSWORD}
            ).json()
        yard.admin.headers["authorization"] = f"Bearer {made.json()['key']}"
        connection = yard.connect("scripted", upstream.base_url, api_keys=["sk-canary-of-postgres-0123"], tags=["a"])
        assert "echo" in connection["models"]
        key = yard.make_key(models=["echo"], limits={"rpm": 100, "tpm": 10**9})
        with yard.client(key) as caller:
            for _ in range(5):
                assert caller.post("/v1/chat/completions", json=ASK).status_code == 200
            assert caller.post("/v1/chat/completions", json={**ASK, "model": "lorem"}).status_code == 403
        found = yard.wait_for_calls(5)
        assert found["ok"]["calls"] == 5
        assert (found["ok"]["input_tokens"], found["ok"]["output_tokens"]) == (5 * ASK_INPUT, 5 * ASK_OUTPUT)
        for dimension in DIMENSIONS:
            assert sum(row["calls"] for row in yard.usage(dimension).values()) == 5, dimension
        changed = yard.admin.patch(f"/api/v1/connections/{connection['id']}", json={"priority": 5, "enable": False})
        assert changed.json()["priority"] == 5
        assert yard.admin.get("/api/v1/audit", params={"entity_type": "connection"}).json()["items"][0]["changes"]
        with yard.client(signed_in["token"]) as session:
            assert session.get("/api/v1/auths/").json()["role"] == "admin"
            assert session.post("/api/v1/auths/signout").status_code == 200
            assert session.get("/api/v1/auths/").status_code == 401
        assert yard.terminate() == 0
        admin_key = made.json()["key"]
    with run_yard(data_dir, environment) as yard:
        yard.admin.headers["authorization"] = f"Bearer {admin_key}"
        assert "/setup?token=" not in yard.output().rpartition("Modelyard serves on")[2], "it is set up already"
        assert yard.usage("status")["ok"]["calls"] == 5
        assert yard.admin.get("/api/v1/connections").json()["items"][0]["priority"] == 5
    rows = postgres.query(url, "SELECT count(*), count(DISTINCT id), sum(input), sum(output) FROM ledger")
    assert rows == [["5", "5", str(5 * ASK_INPUT), str(5 * ASK_OUTPUT)]]
    assert "canary" not in str(postgres.query(url, "SELECT * FROM connections"))


async def test_a_key_is_made_and_revoked_over_two_workers_and_crashes_lose_nothing(postgres, upstream, data_dir):
    url = postgres.new_database()
    environment = {"DATABASE_URL": url, "OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(data_dir, environment, ("--workers", "2")) as yard:
        await every_worker(yard, 2, lambda names: "echo" in names, "models are offered")
        key = yard.make_key()
        key_id = next(
            row["id"] for row in yard.admin.get("/api/v1/keys").json()["items"] if row["source"] == "database"
        )
        await every_worker(yard, 2, lambda names: "echo" in names, "a new key is known", key)
        async with session_of(key, fresh=True) as session:
            answers = [await ask(session, yard.url) for _ in range(50)]
        yard.admin.delete(f"/api/v1/keys/{key_id}")
        await every_worker(yard, 2, lambda names: names == [], "a revoked key is refused", key)
        yard.kill()
    with run_yard(data_dir, environment) as yard:
        assert yard.wait_for_calls(50)["ok"]["calls"] == 50
    rows = {row[0] for row in postgres.query(url, "SELECT id FROM ledger")}
    assert rows == {call_id for _, call_id, _ in answers}


def test_calls_go_on_while_postgres_is_down_and_are_in_the_ledger_afterwards(upstream, data_dir):
    from tests.postgres import run_postgres

    with run_postgres() as own:
        url = own.new_database()
        with run_yard(data_dir, {"DATABASE_URL": url, "OPENAI_API_BASE_URL": upstream.base_url}) as yard:
            yard.admin.post("/v1/chat/completions", json=ASK).raise_for_status()
            yard.wait_for_calls(1)
            own.stop()
            try:
                for _ in range(20):
                    assert yard.admin.post("/v1/chat/completions", json=ASK).status_code == 200
                answer = yard.admin.post("/api/v1/keys", json={"name": "no"})
                assert answer.status_code in (500, 503)
                assert answer.headers["content-type"].startswith("application/json"), answer.text
                assert json.loads(answer.text)["detail"]
            finally:
                own.start()
            assert yard.wait_for_calls(21)["ok"]["calls"] == 21
            assert yard.terminate() == 0


def test_text_that_postgres_cannot_hold_is_refused_and_not_a_fault_of_ours(postgres, data_dir):
    nul = "a\u0000b"
    with run_yard(data_dir, {"DATABASE_URL": postgres.new_database()}) as yard:
        tries = {
            "sign-in": yard.admin.post("/api/v1/auths/signin", json={"email": f"{nul}@x", "password": "x" * 10}),
            "setup": yard.admin.post("/api/v1/setup", json={"token": nul, "email": f"{nul}@x", "password": "x" * 10}),
            "key": yard.admin.post("/api/v1/keys", json={"name": nul}),
            "key models": yard.admin.post("/api/v1/keys", json={"name": "n", "models": [nul]}),
            "revoke": yard.admin.delete("/api/v1/keys/a%00b"),
            "connection": yard.admin.post(
                "/api/v1/connections", json={"name": nul, "kind": "openai", "base_url": "http://127.0.0.1:9"}
            ),
            "tags": yard.admin.post(
                "/api/v1/connections",
                json={"name": "tags", "kind": "openai", "base_url": "http://127.0.0.1:9", "tags": [nul]},
            ),
            "model": yard.admin.post("/api/v1/models/create", json={"id": nul, "name": nul}),
            "delete": yard.admin.delete("/api/v1/models/model/delete", params={"id": nul}),
            "audit": yard.admin.get("/api/v1/audit", params={"entity_id": nul}),
            "usage": yard.admin.get("/api/v1/usage", params={"group_by": "model", "after": nul}),
        }
        wrong = {name: answer.status_code for name, answer in tries.items() if answer.status_code >= 500}
        assert wrong == {}


@pytest.mark.parametrize("poison", ["nul", "large", "negative"])
def test_a_backend_cannot_poison_the_ledger(postgres, data_dir, poison):
    with run_backend() as backend, run_yard(data_dir, {"DATABASE_URL": postgres.new_database()}) as yard:
        name = "nul\u0000name" if poison == "nul" else "one"
        backend.models = [name, "good"]
        yard.connect("bad", backend.base_url)
        if poison == "large":
            backend.answer["usage"] = {"prompt_tokens": 2**63, "completion_tokens": 2**63}
        elif poison == "negative":
            backend.answer["usage"] = {"prompt_tokens": -5, "completion_tokens": -5}
        yard.admin.post("/v1/chat/completions", json={**ASK, "model": name})
        backend.answer["usage"] = {"prompt_tokens": 3, "completion_tokens": 3}
        assert yard.admin.post("/v1/chat/completions", json={**ASK, "model": "good"}).status_code == 200
        deadline = time.monotonic() + 90
        while "good" not in yard.usage() and "ledger cannot be written" not in yard.output():
            assert time.monotonic() < deadline, yard.usage()
            time.sleep(0.05)
        assert "ledger cannot be written" not in yard.output()
        assert yard.usage()["good"]["calls"] == 1


@pytest.mark.parametrize("fault", ["closed port", "no database", "no host"])
def test_a_database_that_cannot_be_reached_is_told_without_a_traceback(postgres, data_dir, fault):
    data_dir.mkdir()
    with reserved_port() as closed:
        url = {
            "closed port": f"postgresql://user:very-secret-word@127.0.0.1:{closed}/yard",
            "no database": f"postgresql://modelyard:very-secret-word@127.0.0.1:{postgres.port}/absent",
            "no host": "postgresql://user:very-secret-word@no-such-host.invalid/yard",
        }[fault]
        told = refuses("--data-dir", str(data_dir), cwd=data_dir, environment={"DATABASE_URL": url})
    assert "DATABASE_URL" in told
    assert "very-secret-word" not in told


@pytest.mark.parametrize(
    "query", ["sslmode=disable", "sslmode=prefer&channel_binding=prefer", "connect_timeout=5&application_name=yard"]
)
def test_the_usual_parameters_of_a_url_are_understood_or_told(postgres, data_dir, query):
    data_dir.mkdir()
    done = modelyard(
        "migrate", "--data-dir", str(data_dir), cwd=data_dir,
        environment={"DATABASE_URL": f"{postgres.new_database()}?{query}"},
    )  # fmt: skip
    assert "Traceback" not in done.stdout, done.stdout[-500:]
    assert done.returncode in (0, 2)
    if done.returncode == 2:
        assert "DATABASE_URL" in done.stdout
