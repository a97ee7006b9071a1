"""Losses as they are told: names of the caller's own fields, so they may be anything."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.core.errors import Kind
from modelyard.gateway.losses import LONGEST_NAME, LOSSY, MOST_NAMES, header_of, record_of, refused_loss
from tests.unit.make import target

names = st.lists(st.text(max_size=200), max_size=80)


@given(names)
def test_any_name_becomes_a_header_that_cannot_break_its_line(losses: list[str]) -> None:
    header = header_of(losses)
    assert all(0x20 < byte < 0x7F for byte in header)
    assert len(header.split(b",")) <= MOST_NAMES
    assert len(header) <= MOST_NAMES * (LONGEST_NAME * 12 + 1)
    assert record_of(losses) == header.decode()


def test_each_name_once_in_order() -> None:
    assert header_of(["seed", "n", "seed", "a,b", "\r\nx"]) == b"seed,n,a%2Cb,%0D%0Ax"
    assert record_of([]) == ""


def test_a_strict_caller_is_told_the_field_and_the_backend() -> None:
    problem = refused_loss(["seed", "n"], target("box"))
    assert (problem.kind, problem.param, problem.code) == (Kind.INVALID_REQUEST, "seed", LOSSY)
    assert "`seed`, `n`" in problem.message
    assert "`box`" in problem.message
