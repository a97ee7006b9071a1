"""Many streams of all pairs at the same time: each caller gets its own words, and nobody else's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.asking import DIALECTS
from tests.conformance.callers import CALLERS, Caller
from tests.conformance.lab import PREFIXES, connect_scripted
from tests.conformance.matrix import PAIRS, Pair, ask_of
from tests.servers import Scripted
from tests.yard import Yard, run_yard

ROUNDS = 4


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_yard(tmp_path_factory.mktemp("together") / "data", {"MODELS_CACHE_TTL": "0"}) as running:
        connect_scripted(running, upstream)
        yield running


def test_streams_of_all_pairs_at_once(yard: Yard) -> None:
    key = yard.make_key()
    callers: dict[str, Caller] = {dialect: CALLERS[dialect](yard.url, key) for dialect in DIALECTS}
    jobs = [
        (pair, f"{pair} round {number} " + " ".join(map(str, range(40)))) for number in range(ROUNDS) for pair in PAIRS
    ]

    def stream(job: tuple[Pair, str]) -> str:
        pair, text = job
        return callers[pair.caller].stream(f"{PREFIXES[pair.target]}.echo", ask_of((text,), {})).text

    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            assert list(pool.map(stream, jobs)) == [text for _, text in jobs]
    finally:
        for caller in callers.values():
            caller.close()
