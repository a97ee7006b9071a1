"""Whether the ledger has exactly the calls that were answered: not one lost, not one twice.

wrk cuts off what is under way when its time is up, so its count is a bound only. After it a known number of calls is
made and read to the end; the ledger must grow by exactly that number.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

CONNECTIONS = 16
CALLS_EACH = 100
FLUSHED_SECONDS = 30.0
# The ledger counts as flushed when it has not grown for so long; the gateway writes it five times a second.
STILL_SECONDS = 0.7

# By status: "ok", or what went wrong.
Ledger = Callable[[], Mapping[str, int]]


@dataclass(frozen=True)
class Governed:
    loaded: int  # what wrk saw answered
    cut: int  # how many calls of wrk's may have been under way when it ended
    in_ledger: int
    answered: int  # of the calls that were counted
    gained: int  # in the ledger by those, whatever their status
    gained_ok: int

    @property
    def exact(self) -> bool:
        whole = self.loaded <= self.in_ledger <= self.loaded + self.cut
        return whole and self.gained == self.gained_ok == self.answered


def check(ledger: Ledger, url: str, headers: Mapping[str, str], body: bytes, *, loaded: int, cut: int) -> Governed:
    """Compare the ledger with a load that has just ended, then with calls of our own."""
    before = _flushed(ledger, loaded)
    answered = _make_calls(url, headers, body)
    after = _flushed(ledger, before.get("ok", 0) + answered)
    gained = sum(after.values()) - sum(before.values())
    gained_ok = after.get("ok", 0) - before.get("ok", 0)
    return Governed(loaded, cut, before.get("ok", 0), answered, gained, gained_ok)


def _flushed(ledger: Ledger, at_least: int) -> Mapping[str, int]:
    """What the ledger has once it is still, or when the patience for it is at its end."""
    ends = time.monotonic() + FLUSHED_SECONDS
    seen = ledger()
    while time.monotonic() < ends:
        time.sleep(STILL_SECONDS)
        previous, seen = seen, ledger()
        if seen == previous and seen.get("ok", 0) >= at_least:
            break
    return seen


def _make_calls(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """How many of the calls were answered with 200 and read to the end."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return sum(threads.map(lambda _: _one_connection(url, headers, body), range(CONNECTIONS)))


def _one_connection(url: str, headers: Mapping[str, str], body: bytes) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    sent = {"content-type": "application/json", **headers}
    answered = 0
    try:
        for _ in range(CALLS_EACH):
            connection.request("POST", parts.path, body=body, headers=sent)
            answer = connection.getresponse()
            answer.read()
            answered += answer.status == 200
    except (OSError, HTTPException):
        pass  # What was answered until then is what counts.
    finally:
        connection.close()
    return answered
