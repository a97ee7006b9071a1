"""One PostgreSQL for a whole run of tests in a worker."""

from collections.abc import Iterator

import pytest

from tests.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster; each test takes a database of its own from it."""
    with run_postgres() as running:
        yield running
