"""A database or a disk that refuses for a while stops no call and costs no record."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.canonical.record import OK, CallRecord
from modelyard.core import ids
from modelyard.gateway.flusher import Flusher
from modelyard.gateway.journal import Journal
from tests.operations.tools import ASK, ASK_INPUT, ASK_OUTPUT, ledger, locked, wait, wait_for_rows
from tests.yard import run_yard

# Mounting needs root, which CI is; elsewhere these are not collected rather than skipped.
needs_mount = pytest.mark.parametrize("size", ["3m"] if os.geteuid() == 0 else [])


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own at this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room there is."""
    file = folder / "other-peoples-data"
    with file.open("wb", buffering=0) as output:
        for size in (65536, 1024, 1):
            try:
                while output.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return file


def calls(yard, count: int) -> set[str]:
    """So many calls, one after the other; their ids."""
    found = set()
    for _ in range(count):
        answer = yard.admin.post("/v1/chat/completions", json=ASK)
        assert answer.status_code == 200, answer.text
        found.add(answer.headers["x-request-id"])
    return found


def exact(rows, expected: set[str]) -> None:
    assert {row["id"] for row in rows} == expected
    assert len(rows) == len(expected)
    assert {(row["status"], row["input"], row["output"], row["estimated"]) for row in rows} == {
        ("ok", ASK_INPUT, ASK_OUTPUT, 0)
    }


def test_calls_go_on_while_the_ledger_is_locked_and_are_all_in_it_afterwards(upstream, data_dir):
    with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}) as yard:
        made = calls(yard, 3)
        wait_for_rows(data_dir, 3)
        with locked(data_dir / "ledger.db"):
            end = time.monotonic() + 15  # longer than SQLite waits for a lock
            while time.monotonic() < end:
                made |= calls(yard, 5)
                time.sleep(0.2)
            assert yard.admin.get("/health").status_code == 200
        exact(wait_for_rows(data_dir, len(made)), made)
        assert yard.terminate() == 0


def test_calls_survive_a_sigterm_while_the_ledger_is_locked(upstream, data_dir):
    with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}) as yard:
        made = calls(yard, 3)
        wait_for_rows(data_dir, 3)
        with locked(data_dir / "ledger.db"):
            made |= calls(yard, 20)
            assert yard.terminate(120) == 0
    with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}):
        exact(wait_for_rows(data_dir, len(made)), made)


def test_known_keys_work_while_the_main_database_is_locked(upstream, data_dir):
    with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url, "MODELS_CACHE_TTL": "1"}) as yard:
        with yard.client(yard.make_key()) as client, locked(data_dir / "modelyard.db"):
            end = time.monotonic() + 3
            while time.monotonic() < end:
                assert client.get("/v1/models").status_code == 200
                answer = client.post("/v1/chat/completions", json=ASK)
                assert answer.status_code == 200
                time.sleep(0.1)
        assert yard.make_key(), "and afterwards changes are possible again"


@needs_mount
def test_calls_go_on_with_the_journal_on_a_full_disk_and_the_ledger_is_exact_afterwards(upstream, data_dir, size):
    with small_disk(data_dir / "journal", f"size={size}"):
        with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}) as yard:
            made = calls(yard, 5)
            taken = fill(data_dir / "journal")
            made |= calls(yard, 5)
            taken_again = fill(data_dir / "journal").with_name("more")  # also the spare's room
            taken_again.touch()
            _fill_more(taken_again)
            for _ in range(5):
                made |= calls(yard, 40)
                _fill_more(taken_again)
            wait(lambda: "modelyard_journal_degraded 1.0" in yard.admin.get("/metrics").text, "it is reported")
            taken.unlink()
            taken_again.unlink()
            made |= calls(yard, 5)
            exact(wait_for_rows(data_dir, len(made)), made)
            assert "modelyard_journal_degraded 0.0" in yard.admin.get("/metrics").text
            assert yard.terminate() == 0
        with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}):
            exact(ledger(data_dir), made)


def _fill_more(file: Path) -> None:
    with file.open("ab", buffering=0) as output:
        for chunk in (4096, 1):
            try:
                while output.write(b"x" * chunk):
                    pass
            except OSError:
                continue


@needs_mount
def test_a_sigterm_with_the_journal_on_a_full_disk_still_brings_the_calls_into_the_ledger(upstream, data_dir, size):
    """The ledger itself can be written: what waits in memory must not be lost at the end."""
    with small_disk(data_dir / "journal", f"size={size}"):
        with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}) as yard:
            made = calls(yard, 5)
            wait_for_rows(data_dir, 5)
            more = data_dir / "journal" / "more"
            more.touch()
            for _ in range(4):
                _fill_more(more)
                made |= calls(yard, 20)
            _fill_more(more)
            wait(lambda: "modelyard_journal_degraded 1.0" in yard.admin.get("/metrics").text, "it is full")
            made |= calls(yard, 20)
            assert yard.terminate() == 0
        more.unlink()
        with run_yard(data_dir, {"OPENAI_API_BASE_URL": upstream.base_url}):
            exact(wait_for_rows(data_dir, len(made)), made)


def record() -> CallRecord:
    return CallRecord(
        id=ids.call_id(), started_at=1, user_id="u", key_id="k", dialect="openai", operation="chat", model="m", stream=False,
        input=1, status=OK,
    )  # fmt: skip


@contextmanager
def no_new_files() -> Iterator[None]:
    """This process may open no more files (EMFILE), as under too many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_journal_that_cannot_open_its_next_file_keeps_working(tmp_path):
    """`rotate` meets a process without free descriptors: the calls after it must still be taken and written."""
    inserted: list[bytes] = []

    async def insert(lines) -> None:
        inserted.extend(lines)

    journal = Journal(tmp_path / "journal")
    flusher = Flusher(journal, tmp_path / "journal", insert)
    try:
        first = record()
        journal.settle(first, journal.intent(first))
        with no_new_files():
            try:
                journal.rotate()
            except OSError:
                pass  # it may say so; it may not break
        await flusher.drain()
        second = record()
        journal.settle(second, journal.intent(second))
        await flusher.drain()
        assert [first.id.encode() in inserted[0], second.id.encode() in inserted[1]] == [True, True]
    finally:
        journal.close()


def test_a_segment_is_nobodys_prey_while_it_is_born(tmp_path):
    """A worker opens new segments while another one, just started, looks for segments of the dead."""
    births = """
import sys, time
from pathlib import Path
from modelyard.gateway.journal import Segment
folder, end = Path(sys.argv[1]), time.monotonic() + 3
number = 0
while time.monotonic() < end:
    number += 1
    segment = Segment(folder / f"{number:06d}.jsonl")
    assert segment.path.exists(), "it was deleted under its writer"
    segment.delete()
"""
    looks = """
import sys, time
from pathlib import Path
from modelyard.gateway.replay import left_behind
folder, end = Path(sys.argv[1]), time.monotonic() + 3
while time.monotonic() < end:
    with left_behind(folder) as segments:
        for path in segments:
            path.unlink(missing_ok=True)
"""
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for program in (births, looks, looks)
    ]
    outputs = [racer.communicate(timeout=60)[1] for racer in racers]
    assert [output[-300:] for output in outputs if output] == []
