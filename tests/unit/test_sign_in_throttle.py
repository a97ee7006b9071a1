"""How often may be guessed before guessing is slowed down, with one worker and with several."""

import pytest

from modelyard.control.people import throttle
from modelyard.control.people.throttle import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, SignInThrottle
from modelyard.core.errors import Kind, Problem


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time as the throttle sees it."""
    moment = [1000.0]
    monkeypatch.setattr(throttle.time, "monotonic", lambda: moment[0])
    return moment


def passing(one: SignInThrottle) -> int:
    """How many attempts come through at once."""
    for count in range(100):
        try:
            one.attempt("somebody")
        except Problem:
            return count
    raise AssertionError("nothing slows it down")


@pytest.mark.parametrize(("workers", "each"), [(1, 5), (2, 3), (3, 2), (4, 2), (5, 1), (64, 1)])
def test_each_worker_gives_out_its_part_of_the_free_attempts(clock: list[float], workers: int, each: int) -> None:
    assert passing(SignInThrottle(workers)) == each


@pytest.mark.parametrize("workers", [1, 4])
def test_waits_begin_where_the_free_attempts_end_and_double(clock: list[float], workers: int) -> None:
    one = SignInThrottle(workers)
    passing(one)
    for number in range(12):
        with pytest.raises(Problem) as refused:
            one.attempt("somebody")
        assert refused.value.kind is Kind.RATE_LIMITED
        assert refused.value.retry_after == min(FIRST_WAIT_SECONDS * 2**number, LONGEST_WAIT_SECONDS)
        clock[0] += refused.value.retry_after
        one.attempt("somebody")
    one.succeeded("somebody")
    assert passing(one) == -(-5 // workers)
