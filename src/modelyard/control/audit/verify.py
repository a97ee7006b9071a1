"""Checks the whole audit log against its chain, and names the first fault."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.audit import queries
from modelyard.control.audit.chain import digest_of, end_of
from modelyard.core.errors import Kind, Problem
from modelyard.db.engine import Database

_MARK = re.compile("([0-9]{1,18}):([0-9a-f]{64})")

# Rows that are read and checked at once: the event loop is held for some milliseconds at most.
SLICE = 200

ALTERED = "altered"
MISSING = "missing"
INSERTED = "inserted"
MOVED = "moved"
CUT_OFF = "cut off at the end"
HEAD_ALTERED = "head altered"
NO_CHAIN = "no chain"

_SENTENCES: Mapping[str, str] = {
    ALTERED: "The entry at position {position} was altered after it was written.",
    MISSING: "The entry at position {position} was removed.",
    INSERTED: "The entry at position {position} was inserted afterwards.",
    MOVED: "The entry at position {position} was put there from another place.",
    CUT_OFF: "The log was cut off: the entry at position {position} and what came after it are missing.",
    NO_CHAIN: "The log has no chain, although the first start begins one: its digests were taken away, or all of it was.",
    HEAD_ALTERED: "The end of the chain (audit_head) was altered, or entries behind position {position} were cut off.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong. `id` is the entry's, None when there is none at that position."""

    position: int
    id: str | None
    what: str

    @property
    def sentence(self) -> str:
        return _SENTENCES[self.what].format(position=self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of it. `checked` entries fit the chain, `older` ones were written before there was one.

    `mark` is `position:digest` of the last good entry: kept elsewhere, it proves later that nothing up to it has changed.
    """

    checked: int
    older: int
    fault: Fault | None
    mark: str | None

    @property
    def sentence(self) -> str:
        """The verdict for a person."""
        if self.fault is not None:
            return f"{self.fault.sentence} {self.checked} entries before it are as they were written."
        older = f" {self.older} entries are older than the chain and cannot be checked." if self.older else ""
        return f"The audit log is unbroken: {self.checked} entries checked.{older}"

    def shown(self) -> dict[str, Any]:
        """As the API and `--json` show it."""
        fault = self.fault
        return {
            "ok": fault is None,
            "checked": self.checked,
            "older": self.older,
            "fault": None if fault is None else {"position": fault.position, "id": fault.id, "what": fault.what},
            "mark": self.mark,
            "message": self.sentence,
        }


def mark_of(text: str | None) -> tuple[int, str] | None:
    """(position, digest in hex) of a verdict's mark. Raises Problem MALFORMED."""
    if text is None:
        return None
    found = _MARK.fullmatch(text)
    if found is None:
        raise Problem(Kind.MALFORMED, "mark must be the `mark` of an earlier verdict: POSITION:DIGEST.", param="mark")
    return int(found[1]), found[2]


class _Checker:
    """Follows the chain row by row. Which key wrote it may change only from an older to a newer one."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self._newest = len(keys) - 1  # index of the key in use; 0 is the newest
        self.end: bytes | None = None
        self.last = 0
        self.last_digest: bytes | None = None
        self.checked = 0
        self.older = 0

    def key_of(self, row: Mapping[str, Any], end: bytes | None) -> int | None:
        """The index of the key under which this row follows a chain with that end; None: it does not."""
        if row["digest"] is None:
            return None
        for index in range(self._newest, -1, -1):
            try:
                if digest_of(self._keys[index], end, row) == row["digest"]:
                    return index
            except (ValueError, TypeError, RecursionError):
                return None  # values that we never write
        return None

    def follows(self, row: Mapping[str, Any]) -> bool:
        """Take the next row. False when it is not what was written there."""
        if row["digest"] is None and self.last_digest is None:
            self.older += 1
        else:
            index = self.key_of(row, self.end)
            if index is None:
                return False
            self._newest = index
            self.last_digest = row["digest"]
            self.end = end_of(self._keys[index], row["digest"])
            self.checked += 1
        self.last = row["position"]
        return True

    def what_of(self, row: Mapping[str, Any], after: Mapping[str, Any] | None) -> str:
        """What was done to a row that does not follow, told by the one after it."""
        if after is None or after["digest"] is None:
            return ALTERED
        here, there = row["position"], after["position"]
        index = self.key_of({**after, "position": here}, self.end)
        if index is not None:  # the one after it belongs here
            end = end_of(self._keys[index], after["digest"])
            return MOVED if self.key_of({**row, "position": there}, end) is not None else INSERTED
        ends = [end_of(key, row["digest"]) for key in self._keys] if row["digest"] is not None else []
        if any(self.key_of({**after, "position": there + 1}, end) is not None for end in ends):
            return MISSING  # and what came after it was moved up
        return ALTERED


async def verify(database: Database, keys: Sequence[bytes], mark: tuple[int, str] | None = None) -> Verdict:
    """Check every entry. `keys` are `Seal.chain_keys`; `mark` is (position, digest in hex) of an earlier verdict."""
    async with database.read() as connection:
        if not database.is_sqlite:  # one state of the log for all slices; SQLite's transactions are so by themselves
            await connection.execution_options(isolation_level="REPEATABLE READ")
        checker = _Checker(keys)
        fault = await _first_fault(connection, checker, mark)
    at = f"{checker.last}:{checker.last_digest.hex()}" if checker.last_digest is not None else None
    return Verdict(checked=checker.checked, older=checker.older, fault=fault, mark=at)


async def _first_fault(connection: AsyncConnection, checker: _Checker, mark: tuple[int, str] | None) -> Fault | None:
    head = await queries.head(connection)
    if head is None:
        return Fault(position=checker.last, id=None, what=HEAD_ALTERED)
    if head["digest"] is None:
        return Fault(position=checker.last, id=None, what=NO_CHAIN)
    rows = await queries.first(connection, SLICE)
    while rows:
        for row in rows:
            fault = await _fault_at(connection, checker, row, head["position"], mark)
            if fault is not None:
                return fault
        rows = await queries.after(connection, checker.last, SLICE)
    if checker.last < max(head["position"], mark[0] if mark is not None else 0):
        return Fault(position=checker.last + 1, id=None, what=CUT_OFF)
    if checker.last > head["position"] or checker.end != head["digest"]:
        return Fault(position=checker.last, id=None, what=HEAD_ALTERED)
    return None


async def _fault_at(
    connection: AsyncConnection, checker: _Checker, row: Mapping[str, Any], head: int, mark: tuple[int, str] | None
) -> Fault | None:
    position, row_id = row["position"], row["id"]
    if not isinstance(position, int) or position < 1:  # SQLite takes anything for a number
        return Fault(position=checker.last + 1, id=row_id, what=INSERTED)
    if position > checker.last + 1:
        return Fault(position=checker.last + 1, id=None, what=MISSING)
    if not checker.follows(row):
        after = await queries.after(connection, position, 1)
        what = INSERTED if position > head else checker.what_of(row, after[0] if after else None)
        return Fault(position=position, id=row_id, what=what)
    if mark is not None and mark[0] == position and mark[1] != (row["digest"] or b"").hex():
        return Fault(position=position, id=row_id, what=ALTERED)
    return None
