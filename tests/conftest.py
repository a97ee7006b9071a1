"""Fixtures that are shared: one scripted upstream and one llama.cpp for a whole run of tests in a worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.servers import Scripted, run_engine, run_scripted
from tests.yard import Yard, run_yard

UPSTREAM_SECRET = "sk-upstream-secret-0123456789"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Scripted]:
    """The scripted upstream: each fault is a model name (modelyard.upstream.scripted.scripts)."""
    with run_scripted() as running:
        yield running


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A real llama.cpp server with a tiny random model, `tiny-llama`."""
    with run_engine() as running:
        yield running


@pytest.fixture(scope="module")
def yard(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A server in front of the scripted upstream, for tests that do not change what others rely on."""
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": UPSTREAM_SECRET}
    with run_yard(tmp_path_factory.mktemp("yard") / "data", environment) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "data"
