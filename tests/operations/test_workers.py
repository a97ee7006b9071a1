"""Several workers are one server: same keys, same limits, one end, complete books."""

import asyncio
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from tests.operations.tools import (
    ASK,
    alive,
    ask,
    children_of,
    clean_environment,
    every_worker,
    reserved_port,
    session_of,
    wait,
    wait_for_rows,
    worker_of,
)
from tests.yard import ADMIN_KEY, Yard, run_yard, wait_until_ready

TWO = ("--workers", "2")
# A limit of calls a minute looks back 60 s: what is counted has to be asked for well within them.
WITHIN_A_WINDOW = 40


def environment_of(upstream) -> dict[str, str]:
    return {"OPENAI_API_BASE_URL": upstream.base_url}


async def _spread(yard, key: str = ADMIN_KEY) -> list[tuple[int, str, dict]]:
    """Calls on fresh connections until both workers have served some: who gets one is up to the system."""
    answers: list[tuple[int, str, dict]] = []
    end = time.monotonic() + WITHIN_A_WINDOW
    async with session_of(key, fresh=True) as session:
        while time.monotonic() < end:
            answers += await asyncio.gather(*(ask(session, yard.url) for _ in range(20)))
            if len({worker_of(call_id) for _, call_id, _ in answers}) >= 2:
                return answers
    raise AssertionError("one worker served everything")


async def test_both_workers_serve_and_a_key_is_known_and_forgotten_by_both(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        await every_worker(yard, 2, lambda names: "echo" in names, "models are offered")
        assert {status for status, _, _ in await _spread(yard)} == {200}
        key = yard.make_key()
        key_id = next(
            row["id"] for row in yard.admin.get("/api/v1/keys").json()["items"] if row["source"] == "database"
        )
        await every_worker(yard, 2, lambda names: "echo" in names, "a new key is known", key)
        assert yard.admin.delete(f"/api/v1/keys/{key_id}").status_code == 200
        await every_worker(yard, 2, lambda names: names == [], "a revoked key is refused", key)
        assert {status for status, _, _ in await _spread(yard, key)} == {401}


async def test_a_connection_made_through_one_worker_is_offered_by_the_other(upstream, data_dir):
    with run_yard(data_dir, {}, TWO) as yard:
        await every_worker(yard, 2, lambda names: names == [], "both serve")
        yard.connect("late", upstream.base_url)
        await every_worker(yard, 2, lambda names: "echo" in names, "its models are offered")


async def test_a_connection_switched_off_through_one_worker_leaves_the_other(upstream, data_dir):
    with run_yard(data_dir, {"MODELS_CACHE_TTL": "1"}, TWO) as yard:
        made = yard.connect("soon-off", upstream.base_url)
        await every_worker(yard, 2, lambda names: "echo" in names, "its models are offered")
        assert yard.admin.patch(f"/api/v1/connections/{made['id']}", json={"enable": False}).status_code == 200
        await every_worker(yard, 2, lambda names: names == [], "its models are gone")


def test_killing_the_main_process_leaves_no_worker_behind(upstream, data_dir):
    with reserved_port() as port, run_yard(data_dir, environment_of(upstream), TWO, port=port) as yard:
        wait(lambda: len(children_of(yard.process.pid)) == 2, "two workers")
        workers = children_of(yard.process.pid)
        yard.kill()
        wait(lambda: not any(alive(worker) for worker in workers), "the workers end with their parent")
        # and the port is free for the next start
        with run_yard(data_dir, environment_of(upstream), port=port) as again:
            assert again.admin.get("/v1/models").status_code == 200


async def test_a_killed_worker_is_started_again_and_no_call_is_lost(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        before = await every_worker(yard, 2, lambda names: "echo" in names, "models are offered")
        first = await _spread(yard)
        workers = children_of(yard.process.pid)
        os.kill(min(workers), signal.SIGKILL)
        wait(lambda: len(children_of(yard.process.pid) - {min(workers)}) == 2, "a new worker")
        after = await every_worker(yard, 2, lambda names: "echo" in names, "both offer models again")
        assert len(after - before) == 1, "one of the two is new"
        second = await _spread(yard)
        ids = {call_id for _, call_id, _ in first + second}
        assert {row["id"] for row in wait_for_rows(data_dir, len(ids))} == ids
        usage = await asyncio.to_thread(yard.wait_for_calls, len(ids))
        assert {status: row["calls"] for status, row in usage.items()} == {"ok": len(ids)}
        assert yard.terminate() == 0


async def test_sigterm_ends_the_main_process_and_its_workers_with_exit_code_0(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        await every_worker(yard, 2, lambda names: "echo" in names, "models are offered")
        answers = await _spread(yard)
        workers = children_of(yard.process.pid)
        assert await asyncio.to_thread(yard.terminate) == 0
        assert not any(alive(worker) for worker in workers)
        assert "Traceback" not in yard.output()
    assert {row["id"] for row in wait_for_rows(data_dir, len(answers))} == {call_id for _, call_id, _ in answers}


def test_sigterm_at_any_moment_of_a_start_ends_it(upstream, data_dir):
    """A worker that is being started while the signal comes must not be forgotten."""
    for moment in range(6):
        with run_yard(data_dir, environment_of(upstream), TWO, wait=False) as yard:
            wait(lambda: children_of(yard.process.pid) or yard.process.poll() is not None, "the first worker")
            time.sleep(moment * 0.1)
            workers = children_of(yard.process.pid)
            assert yard.terminate(60) == 0, yard.output()[-2000:]
            _all_end(workers)


def _all_end(workers: set[int]) -> None:
    wait(lambda: not any(alive(worker) for worker in workers), "no worker stays")


async def test_the_calls_a_minute_of_a_key_hold_over_both_workers(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        key = yard.make_key(limits={"rpm": 11})
        await every_worker(yard, 2, lambda names: True, "both serve")
        await every_worker(yard, 2, lambda names: names != [], "the key is known", key)
        answers = []
        async with session_of(key, fresh=True) as session:
            end = time.monotonic() + WITHIN_A_WINDOW
            while time.monotonic() < end:  # until both workers have given out their part
                answers += await asyncio.gather(*(ask(session, yard.url) for _ in range(20)))
                if len({worker_of(call_id) for status, call_id, _ in answers if status == 429}) == 2:
                    break
        assert len({worker_of(call_id) for _, call_id, _ in answers}) == 2
        served = [call_id for status, call_id, _ in answers if status == 200]
        assert len(served) == 11, "all that the limit gives, and no more"
        refused = [content["error"]["message"] for status, _, content in answers if status == 429]
        assert len(refused) == len(answers) - 11
        assert all("11 calls a minute" in message for message in refused), "the key's limit, not a worker's part of it"


async def test_a_limit_below_the_number_of_workers_is_told_truly(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        key = yard.make_key(limits={"rpm": 1})
        await every_worker(yard, 2, lambda names: True, "both serve")
        await every_worker(yard, 2, lambda names: names != [], "the key is known", key)
        answers = await _spread(yard, key)
        assert [status for status, _, _ in answers].count(200) <= 1
        refused = [content["error"]["message"] for status, _, content in answers if status == 429]
        assert not [message for message in refused if "max_tokens" in message], "tokens have nothing to do with it"


def test_an_empty_variable_switches_off_one_of_the_env_file_in_every_worker(upstream, data_dir):
    """Empty means unset, in the main process and in its workers alike."""
    data_dir.mkdir()
    (data_dir / ".env").write_text("MODELYARD_BASE_PATH=/elsewhere\nMODELYARD_ALLOWED_HOSTS=models.example.com\n")
    log = data_dir.with_name("data.log")
    environment = {"MODELYARD_ADMIN_API_KEY": ADMIN_KEY, "MODELYARD_BASE_PATH": "", "MODELYARD_ALLOWED_HOSTS": ""}
    command = [sys.executable, "-m", "modelyard", "serve", "--data-dir", str(data_dir), *TWO]
    with reserved_port() as port:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, "--port", str(port)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=data_dir,
                env=clean_environment(environment),
            )  # fmt: skip
        yard = Yard(process, f"http://127.0.0.1:{port}", data_dir, log)
        try:
            wait_until_ready(yard)
            elsewhere = {"host": "other.example.com"}
            answers = [yard.admin.get("/v1/models", headers=elsewhere).status_code for _ in range(20)]
            assert set(answers) == {421}
            home = yard.admin.get("/").text
            assert "/elsewhere" not in home
            assert yard.admin.get("/elsewhere/health").status_code != 200, "the base path was switched off"
        finally:
            yard.admin.close()
            process.terminate()
            process.wait(60)


def test_the_books_are_not_disturbed_by_two_processes_that_replay_the_same_journal(data_dir):
    """Two workers start at the same moment after a crash: each dead segment is brought in by one of them."""
    program = """
import sys
from pathlib import Path
from modelyard.gateway.replay import left_behind, replay
folder = Path(sys.argv[1])
print("ready", flush=True)
while not (folder / "go").exists():
    pass
for _ in range(40):
    with left_behind(folder) as segments:
        replay(segments.values())
        for path in segments:
            path.unlink(missing_ok=True)
"""
    data_dir.mkdir()
    for number in range(3000):
        (data_dir / f"{number:06d}.jsonl").write_bytes(b"")
    command = [sys.executable, "-c", program, str(data_dir)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    (data_dir / "go").touch()
    outputs = [racer.communicate(timeout=120)[1] for racer in racers]
    assert [output[-300:] for output in outputs if output] == []


def test_the_first_answer_of_a_two_worker_start_is_usable(upstream, data_dir):
    with run_yard(data_dir, environment_of(upstream), TWO) as yard:
        answer = yard.admin.post("/v1/chat/completions", json=ASK)
        assert answer.status_code in (200, 404), answer.text  # 404 until the backends have answered


async def test_guesses_are_counted_by_all_workers_together_and_over_a_restart(upstream, data_dir):
    """Many at once, on connections of their own: five come through, and one more for each wait that is over meanwhile."""
    wrong = {"email": "guessed@example.com", "password": "a wrong password"}

    async def guess(session, yard) -> int:
        async with session.post(f"{yard.url}/api/v1/auths/signin", json=wrong) as answer:
            return answer.status

    with run_yard(data_dir, environment_of(upstream), ("--workers", "4")) as yard:
        await every_worker(yard, 4, lambda names: "echo" in names, "models are offered")
        began = time.monotonic()
        async with session_of(ADMIN_KEY, fresh=True) as session:
            found = await asyncio.gather(*(guess(session, yard) for _ in range(60)))
        waits = int(math.log2((time.monotonic() - began) / 2 + 1))  # 2, 4, 8 ... seconds
        assert set(found) == {401, 429}
        assert 5 <= found.count(401) <= 5 + waits
        with closing(sqlite3.connect(data_dir / "modelyard.db", timeout=60)) as database, database:
            database.execute("UPDATE sign_in_attempts SET count = 50")
            database.execute("INSERT INTO sign_in_attempts (subject, count, last_at) VALUES (x'00', 50, 0)")
        yard.terminate()
    with run_yard(data_dir, environment_of(upstream)) as yard:
        answer = yard.admin.post("/api/v1/auths/signin", json=wrong)
        # 300 s from the last one, less what the restart took; without those before it, it would be seconds.
        assert (answer.status_code, 30 < int(answer.headers["retry-after"]) <= 300) == (429, True)

        def forgotten() -> bool:
            with closing(sqlite3.connect(data_dir / "modelyard.db", timeout=60)) as database:
                return database.execute("SELECT min(last_at) > 0 FROM sign_in_attempts").fetchone() == (1,)

        wait(forgotten, "what is older than an hour is removed", 60)
