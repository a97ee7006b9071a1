"""SIGTERM lets what runs end, takes nothing new, and leaves complete books."""

import asyncio
import socket

from tests.operations.held import MODEL, run_held
from tests.operations.tools import PATIENCE, Stream, every_worker, ledger, session_of, until
from tests.yard import run_yard


def refused(url: str) -> bool:
    """True when nobody listens there any more."""
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PATIENCE):
            return False
    except ConnectionRefusedError:
        return True


def refusals(streams: list[Stream]) -> list[bytes]:
    """What was said to those that did not get a stream."""
    return [stream.text for stream in streams if stream.status not in (0, 200)]


async def _begin(session, yard, count: int):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "go"}]}
    streams = [Stream() for _ in range(count)]
    tasks = [asyncio.create_task(stream.run(session, yard.url, body)) for stream in streams]
    await until(lambda: all(stream.deltas >= 3 or stream.fault for stream in streams) or refusals(streams), "they flow")
    assert refusals(streams) == []
    return streams, tasks


async def _sigterm_lets_streams_end(data_dir, workers: int) -> None:
    environment = {"MODELYARD_DRAIN_SECONDS": "300", "MODELS_CACHE_TTL": "1"}
    with run_held(80) as backend, run_yard(data_dir, environment, ("--workers", str(workers))) as yard:
        yard.connect("held", backend.base_url)
        await every_worker(yard, workers, lambda names: MODEL in names, "the model is offered")
        async with session_of(fresh=True) as session:
            streams, tasks = await _begin(session, yard, 50)
            yard.process.terminate()
            await until(lambda: refused(yard.url), "new connections are refused while streams run")
            await asyncio.sleep(3)  # what would end them early gets its time
            assert not any(task.done() for task in tasks), "all are still running"
            backend.go_on.set()
            await asyncio.gather(*tasks)
        assert [stream.fault for stream in streams if stream.fault] == []
        assert all(stream.done and stream.deltas == 80 for stream in streams)
        assert await asyncio.to_thread(yard.process.wait, PATIENCE) == 0
        assert "Traceback" not in yard.output()
    rows = {row["id"]: row for row in ledger(data_dir)}
    assert {stream.call_id for stream in streams} <= set(rows)
    for stream in streams:
        row = rows[stream.call_id]
        assert (row["status"], row["output"], row["estimated"]) == ("ok", 80, 0)


async def test_sigterm_in_the_middle_of_50_streams_lets_them_end(data_dir):
    await _sigterm_lets_streams_end(data_dir, 1)


async def test_sigterm_in_the_middle_of_50_streams_lets_them_end_with_two_workers(data_dir):
    await _sigterm_lets_streams_end(data_dir, 2)


async def test_a_stream_that_outlasts_the_drain_is_cut_and_in_the_books(data_dir):
    with run_held(80) as backend, run_yard(data_dir, {"MODELYARD_DRAIN_SECONDS": "1"}) as yard:
        yard.connect("held", backend.base_url)
        async with session_of() as session:
            streams, tasks = await _begin(session, yard, 20)
            yard.process.terminate()
            assert await asyncio.to_thread(yard.process.wait, PATIENCE) == 0
            await asyncio.gather(*tasks)
        assert not any(stream.done for stream in streams)
        assert "Traceback" not in yard.output()
    with run_yard(data_dir) as yard:
        usage = await asyncio.to_thread(yard.wait_for_calls, 20)
    rows = {row["id"]: row for row in ledger(data_dir)}
    assert set(rows) == {stream.call_id for stream in streams}
    assert all(row["estimated"] and row["output"] > 0 for row in rows.values())
    # canonical.record: `left` means that the caller went away, `cut` that the server ended in mid-call.
    assert set(usage) == {"cut"}
