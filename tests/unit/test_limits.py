import copy
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.snapshot import Limits
from modelyard.gateway import limits as limits_module
from modelyard.gateway.limits import WINDOW_SECONDS, Item, Limiter, Refusal, Reservation, share
from modelyard.gateway.pipeline import _refused

LIMITS = {
    "both": Limits(rpm=3, tpm=100),
    "calls": Limits(rpm=2),
    "tokens": Limits(tpm=50),
    "few": Limits(concurrency=2, rpm=5),
    "none": Limits(),
}


@dataclass
class Event:
    """One admitted call of one subject, as the reference remembers it: all of them, for ever."""

    subject: str
    at: float
    tokens: int
    running: bool = True


class Reference:
    """The rules by brute force over the list of everything that ever happened."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def window(self, subject: str, now: float) -> list[Event]:
        return [event for event in self.events if event.subject == subject and event.at > now - WINDOW_SECONDS]

    def refused(self, subject: str, tokens: int, now: float) -> str | None:
        limits, window = LIMITS[subject], self.window(subject, now)
        running = sum(event.running for event in self.events if event.subject == subject)
        if limits.concurrency is not None and running >= limits.concurrency:
            return "concurrency"
        if limits.rpm is not None and len(window) >= limits.rpm:
            return "rpm"
        if limits.tpm is not None and sum(event.tokens for event in window) + tokens > limits.tpm:
            return "tpm"
        return None


# Times in eighths of a second: sums of them are exact, so `exactly that long` means what it says.
steps = st.integers(0, 200).map(lambda eighths: eighths / 8) | st.sampled_from([0.0, 59.875, 60.0, 60.125])
subjects = st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, max_size=3, unique=True)
reserve = st.tuples(st.just("reserve"), steps, subjects, st.integers(0, 60))
settle = st.tuples(st.just("settle"), steps, st.integers(0, 50), st.integers(0, 70))


@given(st.lists(reserve | reserve | settle, max_size=40))
def test_the_limiter_against_a_list_of_everything(operations: list[tuple[Any, ...]]) -> None:
    limiter, reference, now = Limiter(), Reference(), 1000.0
    open_: list[tuple[list[Reservation], list[Event]]] = []
    for name, step, what, tokens in operations:
        now += step
        if name == "settle":
            if open_:
                held, events = open_.pop(what % len(open_))
                limiter.settle(held, tokens)
                for event in events:
                    event.tokens, event.running = tokens, False
            continue
        items = [Item(subject, LIMITS[subject], tokens) for subject in what]
        before = {subject: (len(reference.window(subject, now))) for subject in what}
        expected = next(((s, why) for s in what if (why := reference.refused(s, tokens, now)) is not None), None)
        result = limiter.reserve(items, now)
        if expected is None:
            assert isinstance(result, list), (result, before)
            events = [Event(subject, now, tokens) for subject in what]
            reference.events += events
            open_.append((result, events))
            continue
        assert isinstance(result, Refusal)
        subject, why = expected
        assert (result.subject, result.which) == (subject, why)
        assert result.limit == getattr(LIMITS[subject], why)
        check_retry_after(limiter, reference, result, Item(subject, LIMITS[subject], tokens), now)
    for held, _ in open_:
        limiter.settle(held, 0)
        assert held == []


def check_retry_after(limiter: Limiter, reference: Reference, refusal: Refusal, item: Item, now: float) -> None:
    """Waiting exactly that long is enough, and an eighth of a second less is not, if nothing else happens."""
    wait = refusal.retry_after
    if refusal.which == "concurrency":
        assert wait is not None
        assert wait > 0
        return
    if wait is None:
        assert refusal.which == "tpm"
        assert item.tokens > refusal.limit
        return
    assert 0 < wait <= WINDOW_SECONDS
    earlier = reference.refused(item.subject, item.tokens, now + wait - 0.125)
    assert earlier == refusal.which
    later = copy.deepcopy(limiter).reserve([item], now + wait)
    if refusal.which == "rpm" and reference.refused(item.subject, item.tokens, now + wait) == "tpm":
        assert isinstance(later, Refusal)
        assert later.which == "tpm"
    else:
        assert isinstance(later, list)


def test_never_more_than_rpm_in_any_window() -> None:
    limiter, limits = Limiter(), Limits(rpm=5)
    admitted = [t / 8 for t in range(3000) if isinstance(limiter.reserve([Item("k", limits, 0)], t / 8), list)]
    for start in admitted:
        assert sum(start <= other < start + WINDOW_SECONDS for other in admitted) <= 5
    assert len(admitted) == 5 * 7


@given(st.lists(st.sampled_from([0, 0, 1, 1, 1, 2, 100, 3840]), min_size=20, max_size=120), st.integers(3, 12))
def test_calls_that_share_an_entry_are_never_too_many_and_hardly_late(gaps: list[int], rpm: int) -> None:
    """Past EXACT_ENTRIES calls within 10 ms are kept as one: strict as ever, and at most those 10 ms stricter."""
    with mock.patch.object(limits_module, "EXACT_ENTRIES", 2):
        limiter, limits, now = Limiter(), Limits(rpm=rpm, tpm=10 * rpm), 0.0
        admitted: list[float] = []
        for gap in gaps:
            now += gap / 128  # 7.8 ms
            result = limiter.reserve([Item("k", limits, 10)], now)
            if isinstance(result, list):
                admitted.append(now)
                assert sum(now - WINDOW_SECONDS < at for at in admitted) <= rpm
            else:
                assert sum(now - WINDOW_SECONDS - limits_module.SHARED_SECONDS < at for at in admitted) >= rpm
                assert result.retry_after is not None
                assert isinstance(
                    copy.deepcopy(limiter).reserve([Item("k", limits, 10)], now + result.retry_after), list
                )


def test_all_or_nothing_over_several_items() -> None:
    limiter = Limiter()
    tight = [Item("key", Limits(rpm=1), 0), Item("system", Limits(concurrency=1), 0)]
    held = limiter.reserve(tight, 0.0)
    assert isinstance(held, list)
    other = [Item("other", Limits(rpm=1, tpm=10, concurrency=1), 10), Item("system", Limits(concurrency=1), 0)]
    for _ in range(3):
        assert limiter.reserve(other, 1.0) == Refusal("concurrency", 1, 1.0, "system")
    limiter.settle(held, 0)
    assert isinstance(limiter.reserve(other, 1.0), list)  # the refused tries took nothing of `other`


def test_settling_after_the_window_has_moved_changes_nothing_in_it() -> None:
    limiter, limits = Limiter(), Limits(tpm=100)
    old = limiter.reserve([Item("k", limits, 100)], 0.0)
    assert isinstance(old, list)
    new = limiter.reserve([Item("k", limits, 60)], 60.0)
    assert isinstance(new, list)
    limiter.settle(old, 1)
    assert limiter.reserve([Item("k", limits, 41)], 61.0) == Refusal("tpm", 100, 59.0, "k")
    assert isinstance(limiter.reserve([Item("k", limits, 40)], 61.0), list)
    limiter.settle(new, 0)
    assert isinstance(limiter.reserve([Item("k", limits, 100)], 300.0), list)


def test_sweeping_quiet_subjects_does_not_lose_the_call_that_is_being_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """reserve() finds the log of its first item, then adds the second one: that sweep must not drop the first."""
    monkeypatch.setattr(Limiter, "SWEEP_AT", 1)
    limiter = Limiter()
    items = [Item("key", Limits(concurrency=1), 0), Item("system", Limits(concurrency=100), 0)]
    held = limiter.reserve(items, 0.0)
    assert isinstance(held, list)
    assert limiter.reserve(items, 0.0) == Refusal("concurrency", 1, 1.0, "key")


def test_sweeping_drops_the_quiet_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "SWEEP_AT", 4)
    limiter = Limiter()
    busy = limiter.reserve([Item("busy", Limits(concurrency=1), 0)], 0.0)
    assert isinstance(busy, list)
    for number in range(50):
        held = limiter.reserve([Item(f"quiet-{number}", Limits(concurrency=1), 0)], number * 100.0)
        assert isinstance(held, list)
        limiter.settle(held, 0)
    assert len(limiter._logs) <= 5
    assert isinstance(limiter.reserve([Item("busy", Limits(concurrency=1), 0)], 9000.0), Refusal)


amounts = st.none() | st.integers(0, 50)


@given(st.builds(Limits, rpm=amounts, tpm=amounts, concurrency=amounts), st.integers(1, 12))
def test_shares_add_up_to_the_limit(limits: Limits, workers: int) -> None:
    shares = [share(limits, worker, workers) for worker in range(workers)]
    for name in ("rpm", "tpm", "concurrency"):
        whole, parts = getattr(limits, name), [getattr(part, name) for part in shares]
        if whole is None:
            assert parts == [None] * workers
        else:
            assert sum(parts) == whole
            assert max(parts) - min(parts) <= 1


def test_a_worker_whose_share_is_nothing_says_so() -> None:
    """`rpm: 1` over two workers leaves one with 0 calls: its callers must not be told to lower max_tokens."""
    limits = share(Limits(rpm=1), 1, 2)
    refusal = Limiter().reserve([Item("k", limits, 0)], 0.0)
    assert isinstance(refusal, Refusal)
    assert "max_tokens" not in _refused(refusal).message
