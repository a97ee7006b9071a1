"""kill -9 loses no call and counts none twice."""

import asyncio

from tests.operations.tools import ASK_INPUT, ASK_OUTPUT, Stream, ask, connect_paced, ledger, session_of, until
from tests.yard import run_yard

STREAMS = 200
FINISHED = 60
PACE_MS = 200
# The journal notes progress every 250 ms: what had come so many deltas before the end is in the books.
NOTED_DELTAS = 8
# What was on its way to the caller and died with the server.
LOST_DELTAS = 40


async def test_kill_9_in_the_middle_of_200_streams_loses_no_call_twice_in_a_row(upstream, data_dir):
    environment = {"OPENAI_API_BASE_URL": upstream.base_url}
    finished: set[str] = set()
    cut: dict[str, tuple[Stream, int]] = {}
    model = ""
    for round_number in (1, 2):
        with run_yard(data_dir, environment) as yard:
            if not model:
                model = connect_paced(yard, upstream.base_url, delay_ms=PACE_MS, events=2000)
            else:
                await _in_the_books(yard, finished, cut)
            body = {"model": model, "messages": [{"role": "user", "content": "go"}]}
            async with session_of() as session:
                streams = [Stream() for _ in range(STREAMS)]
                tasks = [asyncio.create_task(stream.run(session, yard.url, body)) for stream in streams]
                await _flow(streams, [1] * STREAMS)
                noted = [stream.deltas for stream in streams]
                await _flow(streams, [count + NOTED_DELTAS for count in noted])
                answers = await asyncio.gather(*(ask(session, yard.url) for _ in range(FINISHED)))
                yard.kill()
                await asyncio.gather(*tasks)
            assert {status for status, _, _ in answers} == {200}
            finished |= {call_id for _, call_id, _ in answers}
            cut |= {stream.call_id: (stream, count) for stream, count in zip(streams, noted, strict=True)}
            assert not any(stream.done for stream in streams), "it was killed in the middle"
            assert len(cut) == STREAMS * round_number
    with run_yard(data_dir, environment) as yard:
        await _in_the_books(yard, finished, cut)
        assert not [path for path in (data_dir / "journal").glob("*.jsonl") if path.stat().st_size], "all is replayed"
    with run_yard(data_dir, environment) as yard:  # and a start without a crash adds nothing
        await _in_the_books(yard, finished, cut)


async def _flow(streams: list[Stream], counts: list[int]) -> None:
    """Until each stream has had so many deltas."""
    flow = list(zip(streams, counts, strict=True))
    await until(lambda: all(stream.deltas >= count for stream, count in flow), "every stream flows", 120)


async def _in_the_books(yard, finished: set[str], cut: dict[str, tuple[Stream, int]]) -> None:
    count = len(finished) + len(cut)
    usage = await asyncio.to_thread(yard.wait_for_calls, count)
    assert {status: item["calls"] for status, item in usage.items()} == {"ok": len(finished), "cut": len(cut)}
    assert usage["ok"]["input_tokens"] == ASK_INPUT * len(finished)
    assert usage["ok"]["output_tokens"] == ASK_OUTPUT * len(finished)
    assert usage["cut"]["errors"] == len(cut)
    rows = {row["id"]: row for row in ledger(yard.data_dir)}
    assert set(rows) == finished | set(cut)
    for call_id in finished:
        row = rows[call_id]
        assert (row["status"], row["input"], row["output"], row["estimated"]) == ("ok", ASK_INPUT, ASK_OUTPUT, 0)
    for call_id, (stream, noted) in cut.items():
        row = rows[call_id]
        assert (row["status"], row["estimated"], row["stream"]) == ("cut", 1, 1)
        assert row["input"] > 0
        assert 0 < noted <= row["output"] <= stream.deltas + LOST_DELTAS, (row, noted, stream.deltas)
