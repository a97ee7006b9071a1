# ruff: noqa: ASYNC240, C901, PLR0912, PTH115 - files are what is tested, and a model of them has many cases
import asyncio
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from modelyard.canonical.record import CUT, ERROR, LEFT, OK, CallRecord
from modelyard.gateway import flusher as flusher_module
from modelyard.gateway import journal as journal_module
from modelyard.gateway.flusher import Flusher
from modelyard.gateway.journal import Journal, settlement, settlements
from modelyard.gateway.replay import Line, left_behind, replay


@pytest.fixture(autouse=True)
def small_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SPARE_BYTES", 1024)


class Ledger:
    """An insert that ignores ids it has, as the real one does, and can be broken for a while."""

    def __init__(self) -> None:
        self.rows: dict[str, CallRecord] = {}
        self.fail_times = 0
        self.batches: list[int] = []

    async def insert(self, lines: Sequence[bytes]) -> None:
        if self.fail_times:
            self.fail_times -= 1
            raise OSError("the database is away")
        self.batches.append(len(lines))
        for line in lines:
            record = read(line).s
            assert record is not None
            self.rows.setdefault(record.id, record)


def read(line: bytes) -> Line:
    return msgspec.json.decode(line, type=Line)


def record(call_id: str, **more: Any) -> CallRecord:
    given = {
        "user_id": "u",
        "key_id": "k",
        "dialect": "openai",
        "operation": "chat",
        "model": "é\n",
        "stream": True,
        "input": 3,
    }
    return CallRecord(id=call_id, started_at=1000, **{**given, **more})


def settled(call_id: str, **more: Any) -> CallRecord:
    return record(call_id, status=more.pop("status", OK), ended_at=2000, output=7, **more)


def lines_on_disk(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().split(b"\n") if line]


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_an_intent_is_on_disk_when_the_call_may_leave_and_the_rest_a_turn_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    segment = journal.intent(record("a"))
    await journal.written()
    assert len(lines_on_disk(tmp_path)) == 1
    assert journal.running == 1
    journal.progress("a", 5)
    journal.settle(settled("a"), segment)
    assert len(lines_on_disk(tmp_path)) == 1
    await turn()
    data = segment.path.read_bytes()
    assert data.count(b"\n") == 3
    assert settlements(data) == [settlement(settled("a"))]
    assert read(settlements(data)[0]).s == settled("a")
    assert journal.running == 0
    assert journal.ended == {OK: 1, ERROR: 0, LEFT: 0, CUT: 0}
    journal.close()


async def test_everything_arrives_once_and_spent_segments_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 2000)
    monkeypatch.setattr(flusher_module, "BATCH_BYTES", 300)
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    open_ = []
    for number in range(100):
        open_.append((f"c{number}", journal.intent(record(f"c{number}"))))
        await journal.written()
    assert len(journal.segments) > 3
    await flusher.drain()
    assert ledger.rows == {}
    for call_id, segment in open_:
        journal.progress(call_id, 2)
        journal.settle(settled(call_id), segment)
    await flusher.drain()
    assert ledger.rows == {call_id: settled(call_id) for call_id, _ in open_}
    assert sum(ledger.batches) == 100
    journal.rotate()
    await flusher.drain()
    assert len(journal.segments) == 1
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    journal.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_line_longer_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher_module, "BATCH_BYTES", 64)
    journal, ledger = Journal(tmp_path), Ledger()
    segment = journal.intent(record("long", error="x" * 5000))
    journal.settle(settled("long", error="x" * 5000), segment)
    await Flusher(journal, tmp_path, ledger.insert).drain()
    assert ledger.rows["long"].error == "x" * 5000
    journal.close()


async def test_rotation_while_calls_are_open(tmp_path: Path) -> None:
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    old = journal.intent(record("a"))
    journal.rotate()
    await flusher.drain()
    assert old.path.exists(), "its call is still open"
    journal.settle(settled("a"), old)
    await flusher.drain()
    assert not old.path.exists()
    assert ledger.rows == {"a": settled("a")}
    journal.rotate()
    journal.rotate()
    assert len(journal.segments) == 2, "an empty segment is not rotated"
    journal.close()


async def test_a_ledger_that_is_away_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher_module, "FLUSH_SECONDS", 0.001)
    monkeypatch.setattr(flusher_module, "RETRY_SECONDS", 0.001)
    journal, ledger = Journal(tmp_path), Ledger()
    ledger.fail_times = 5
    running = asyncio.create_task(Flusher(journal, tmp_path, ledger.insert).run())
    for number in range(50):
        segment = journal.intent(record(f"c{number}"))
        journal.settle(settled(f"c{number}"), segment)
        await asyncio.sleep(0.0005)
    async with asyncio.timeout(60):
        while len(ledger.rows) < 50:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sum(ledger.batches) == 50, "no record was sent again after it had been taken"
    assert ledger.rows == {f"c{number}": settled(f"c{number}") for number in range(50)}
    journal.close()


async def test_close_leaves_what_is_not_in_the_ledger(tmp_path: Path) -> None:
    journal, ledger = Journal(tmp_path), Ledger()
    journal.intent(record("open"))
    segment = journal.intent(record("done"))
    journal.settle(settled("done"), segment)
    journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    second = Journal(tmp_path)
    assert await Flusher(second, tmp_path, ledger.insert).replay() == 2
    assert ledger.rows["done"] == settled("done")
    assert (ledger.rows["open"].status, ledger.rows["open"].estimated) == (CUT, True)
    second.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_live_segment_is_not_replayed(tmp_path: Path) -> None:
    mine, theirs, ledger = Journal(tmp_path), Journal(tmp_path), Ledger()
    segment = theirs.intent(record("theirs"))
    await theirs.written()
    assert await Flusher(mine, tmp_path, ledger.insert).replay() == 0
    assert ledger.rows == {}
    assert segment.path.exists()
    for journal in (mine, theirs):
        journal.close()


async def test_a_replay_that_the_ledger_refuses_keeps_the_files(tmp_path: Path) -> None:
    journal, ledger = Journal(tmp_path), Ledger()
    journal.intent(record("a"))
    await journal.written()
    journal.close()
    second = Journal(tmp_path)
    ledger.fail_times = 1
    with pytest.raises(OSError, match="away"):
        await Flusher(second, tmp_path, ledger.insert).replay()
    assert await Flusher(second, tmp_path, ledger.insert).replay() == 1
    assert await Flusher(second, tmp_path, ledger.insert).replay() == 0
    second.close()


def test_replay_joins_what_is_spread_over_segments() -> None:
    encode = msgspec.json.encode
    first = encode({"i": record("a")}) + b"\n" + encode({"i": record("b")}) + b"\n" + encode({"p": ["b", 4]}) + b"\n"
    second = settlement(settled("a")) + b"\n" + encode({"p": ["a", 99]}) + b"\n" + encode({"p": ["b", 6]}) + b"\n"
    for segments in ([first, second], [first, second, second, first]):
        found = {one.id: one for one in replay(segments)}
        assert found["a"] == settled("a")
        assert (found["b"].status, found["b"].output, found["b"].input) == (CUT, 6 if len(segments) == 2 else 4, 3)
    assert [one.id for one in replay([second])] == ["a"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 4096,
        settlement(settled("x")).replace(b"openai", b"open\xff\xff"),
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b'{"s":5}',
        b'{"i":{"id":5}}',
        b"[" * 100_000,
        b'{"p":["a"]}',
    ],
)
def test_replay_passes_over_what_a_power_cut_left(garbage: bytes) -> None:
    """A start must not fail for ever because of one line."""
    good = settlement(settled("a"))
    assert replay([garbage + b"\n" + good + b"\n" + garbage]) == [settled("a")]


operations = st.lists(
    st.tuples(
        st.sampled_from(["intent", "intent", "progress", "settle", "settle", "rotate", "drain", "turn"]),
        st.integers(0, 20),
    ),
    max_size=30,
)


@examples(max_examples=60)
@given(operations, st.integers(0, 10**6), st.sampled_from([250, 1500, 10**9]))
def test_kill_at_any_byte(found: list[tuple[str, int]], mark: int, segment_bytes: int) -> None:
    """Copy the folder with its last segment cut anywhere after what was moved: each call that a whole line tells, once."""
    with tempfile.TemporaryDirectory() as base, mock.patch.object(journal_module, "SEGMENT_BYTES", segment_bytes):
        asyncio.run(kill(Path(base), found, mark))


async def kill(base: Path, found: list[tuple[str, int]], mark: int) -> None:
    live, ledger = base / "live", Ledger()
    journal = Journal(live)
    flusher = Flusher(journal, live, ledger.insert)
    open_: dict[str, Any] = {}
    truth: dict[str, CallRecord] = {}
    for count, (name, value) in enumerate(found):
        chosen = sorted(open_)[value % len(open_)] if open_ else None
        if name == "intent":
            open_[f"c{count}"] = journal.intent(record(f"c{count}"))
        elif name == "progress" and chosen:
            journal.progress(chosen, value)
        elif name == "settle" and chosen:
            truth[chosen] = settled(chosen, first_byte_ms=value)
            journal.settle(truth[chosen], open_.pop(chosen))
        elif name == "rotate":
            journal.rotate()
        elif name == "drain":
            await flusher.drain()
        elif name == "turn":
            await turn()
    await turn()
    last = journal.segments[-1]
    cut = last.flushed + mark % (last.size - last.flushed + 1)
    moved = dict(ledger.rows)
    dead = base / "dead"
    shutil.copytree(live, dead)
    os.truncate(dead / last.path.name, cut)
    intents, settlements_, progress = set(), set(), {}
    for line in lines_on_disk(dead):
        try:
            told = read(line)
        except msgspec.DecodeError:
            continue
        if told.i is not None:
            intents.add(told.i.id)
        elif told.s is not None:
            settlements_.add(told.s.id)
        elif told.p is not None:
            progress[told.p[0]] = told.p[1]
    successor = Journal(dead)
    assert await Flusher(successor, dead, ledger.insert).replay() == len(intents | settlements_)
    assert ledger.rows.keys() == moved.keys() | intents | settlements_
    for call_id, row in ledger.rows.items():
        if call_id in moved or call_id in settlements_:
            assert row == truth[call_id]
        else:
            assert row.status == CUT
            assert row.output == progress.get(call_id, 0)
    successor.close()
    assert list(dead.glob("*.jsonl")) == []
    journal.close()


class Disk:
    """Stands in for os.write: takes everything, takes only some bytes, or raises, for this journal's files."""

    def __init__(self) -> None:
        self.mode: int | str = "ok"
        self.real = os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        if self.mode == "ok" or not os.readlink(f"/proc/self/fd/{descriptor}").endswith(".jsonl"):
            return self.real(descriptor, data)
        if isinstance(self.mode, int):
            return self.real(descriptor, data[: min(self.mode, len(data) - 1)])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(journal_module.os, "write", disk)
    return disk


@pytest.mark.parametrize("mode", ["raise", 0, 1, 40, 10**6])
async def test_a_full_disk(tmp_path: Path, disk: Disk, mode: int | str) -> None:
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    first = journal.intent(record("before"))
    await journal.written()
    disk.mode = mode
    segments = []
    for number in range(10):
        segments.append(journal.intent(record(f"c{number}")))
        leaves = journal.written()
        await turn()
        assert leaves.done(), "a call goes on, though its intent is in memory only"
    assert journal.degraded
    journal.settle(settled("before"), first)
    await turn()
    await flusher.drain()
    for line in lines_on_disk(tmp_path):
        msgspec.json.decode(line)
    assert first.path.read_bytes().endswith(b"\n")
    assert ledger.rows == {}
    disk.mode = "ok"
    for number, segment in enumerate(segments):
        journal.settle(settled(f"c{number}"), segment)
    await turn()
    journal.write()  # what the flusher does: while the disk takes nothing, calls do not try it themselves
    assert not journal.degraded
    assert list(tmp_path.glob("spare-*")), "the spare is there again"
    lines = lines_on_disk(tmp_path)
    assert len(lines) == len(set(lines)) == 22
    await flusher.drain()
    assert ledger.rows.keys() == {"before", *(f"c{number}" for number in range(10))}
    assert sum(ledger.batches) == 11
    journal.close()


async def test_memory_is_bounded_while_the_disk_is_full(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MEMORY_LINES", 20)
    journal = Journal(tmp_path)
    disk.mode = "raise"
    for number in range(100):
        journal.intent(record(f"c{number}"))
        await journal.written()
        assert len(journal._lines) <= 20
    disk.mode = "ok"
    journal.write()
    kept = [told.i.id for line in lines_on_disk(tmp_path) if (told := read(line)).i is not None]
    assert kept == [f"c{number}" for number in range(80, 100)], "the newest ones are kept"
    journal.close()


async def test_a_settlement_that_waits_in_memory_does_not_cost_its_intent(tmp_path: Path, disk: Disk) -> None:
    """While the disk is full the settlement is not written; a drain must keep the segment with the intent, or a kill
    loses the call altogether."""
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    segment = journal.intent(record("a"))
    await journal.written()
    journal.rotate()
    disk.mode = "raise"
    journal.settle(settled("a"), segment)
    await turn()
    await flusher.drain()
    assert journal.degraded
    assert [one.id for one in replay(path.read_bytes() for path in tmp_path.glob("*.jsonl"))] == ["a"]


async def test_a_new_segment_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space or no descriptor for a new file: calls go on in the old segment, and none waits for ever to leave."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 300)
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    loop = asyncio.get_running_loop()
    faults: list[Any] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    hanging = 0
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "_new_segment", mock.Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
        for number in range(5):
            segment = journal.intent(record(f"c{number}"))
            leaves = journal.written()
            await turn()
            hanging += not leaves.done()
            journal.settle(settled(f"c{number}"), segment)
            await turn()
        await flusher.drain()
    assert journal.segments, "the current segment must not be deleted: the journal has none left"
    segment = journal.intent(record("after"))
    journal.settle(settled("after"), segment)
    await flusher.drain()
    assert ledger.rows.keys() == {"after", *(f"c{number}" for number in range(5))}
    assert (hanging, faults) == (0, []), "a call must not hang or fail because of the next segment"
    journal.close()


async def test_the_current_segment_survives_a_rotation_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same fault with no call open: `full` is set, so a drain deletes the only segment and every later call fails."""
    journal, ledger = Journal(tmp_path), Ledger()
    flusher = Flusher(journal, tmp_path, ledger.insert)
    segment = journal.intent(record("a"))
    journal.settle(settled("a"), segment)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "_new_segment", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        try:
            journal.rotate()
        except OSError:
            pass  # that it raises is told by the test above
        await flusher.drain()
    journal.intent(record("b"))


async def test_two_processes_that_replay_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one has unlinked the file between our open and our lock: nothing to do, and no reason not to start."""
    first = Journal(tmp_path)
    first.intent(record("a"))
    await first.written()
    first.close()
    [path] = tmp_path.glob("*.jsonl")
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        path.unlink(missing_ok=True)
        real(descriptor, operation)

    monkeypatch.setattr(journal_module.fcntl, "flock", flock)
    with left_behind(tmp_path) as found:
        assert len(replay(found.values())) <= 1


async def test_a_new_segment_cannot_be_taken_for_one_of_a_dead_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its lock another worker's replay may lock it, read it as empty and unlink it."""
    real, seen = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        with monkeypatch.context() as once:
            once.setattr(journal_module.fcntl, "flock", real)
            with left_behind(tmp_path) as found:
                seen.extend(found)
        real(descriptor, operation)

    monkeypatch.setattr(journal_module.fcntl, "flock", flock)
    journal = Journal(tmp_path)
    monkeypatch.undo()
    journal.close()
    assert seen == []
