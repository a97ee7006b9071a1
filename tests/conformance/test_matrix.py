"""Every cell of the conformance matrix, as a test: docs/conformance.md has them as a table."""

from collections.abc import Iterator

import pytest

from tests.conformance.cases import CASES
from tests.conformance.lab import Lab, run_lab
from tests.conformance.matrix import ABSENT, PAIRS, Absent, Case, Loss, Pair, run

CELLS = [(case, pair) for case in CASES for pair in PAIRS if case.expected(pair) != ABSENT]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with run_lab(tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.mark.parametrize(("case", "pair"), CELLS, ids=[f"{case.name}-{pair}" for case, pair in CELLS])
def test_cell(lab: Lab, case: Case, pair: Pair) -> None:
    run(case, pair, lab)


def test_nothing_failed_inside_the_server(lab: Lab) -> None:
    """Runs after the cells: whatever was asked of it and answered to it, the server logged no fault of its own."""
    told = lab.yard.output()
    assert "inside the gateway" not in told
    assert "Traceback" not in told


def test_rows_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_what_is_declared_is_used_and_says_why() -> None:
    for case in CASES:
        for one in case.declared:
            assert one.reason.endswith("."), f"{case.name}: write {one.reason!r} as a sentence"
            assert any(_explains(case, pair, one) for pair in PAIRS), f"{case.name}: {one} is about no cell"


def _explains(case: Case, pair: Pair, declared: Loss | Absent) -> bool:
    if isinstance(declared, Absent):
        return case.absence(pair) == declared.reason
    return case.absence(pair) is None and case.loss(pair) is declared


def test_within_one_dialect_only_what_is_foreign_to_the_backend_is_lost() -> None:
    lossy = [case.name for case in CASES for pair in PAIRS if pair.caller == pair.target and case.loss(pair)]
    assert lossy == ["foreign_thoughts", "at_openai", "foreign_parameter"]
