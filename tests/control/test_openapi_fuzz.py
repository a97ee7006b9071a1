"""Every operation of the OpenAPI document is called with values made from its schema, good and bad (schemathesis).

No answer is a fault of ours, and each has a status, a type and a shape that the document names.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from modelyard.api.management import build
from modelyard.canonical.endpoint import Timeouts
from tests.servers import Scripted, free_port
from tests.yard import ADMIN_KEY, Yard, run_yard

# Nothing but this machine is ever called: whatever address a value is for becomes one where nobody listens.
ADDRESSES = ("base_url", "url", "OPENAI_API_BASE_URLS", "OLLAMA_BASE_URLS")


@pytest.fixture(scope="module")
def fuzzed(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "OPENAI_API_KEY": "sk-upstream-of-the-fuzzer"}
    with run_yard(tmp_path_factory.mktemp("fuzzed") / "data", environment) as running:
        yield running


document = schemathesis.openapi.from_dict(build(Timeouts()).openapi())
# What is no number there is the name of a model, and answered in that dialect's form.
schema = document.exclude(path="/openai/models/{index}")
NOWHERE = f"http://127.0.0.1:{free_port()}"


def at_home(value: Any) -> Any:
    """The value with every address in it replaced."""
    if isinstance(value, list):
        return [at_home(item) for item in value]
    if isinstance(value, dict):
        return {
            name: ([NOWHERE] if isinstance(item, list) else NOWHERE) if name in ADDRESSES and item else at_home(item)
            for name, item in value.items()
        }
    return value


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_no_operation_fails_or_answers_what_it_does_not_promise(fuzzed: Yard, case: schemathesis.Case) -> None:
    if isinstance(case.body, dict | list):
        case.body = at_home(case.body)
    answer = case.call(base_url=fuzzed.url, headers={"authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)
    assert answer.status_code < 500 or answer.status_code in (502, 503), answer.text
    case.validate_response(
        answer, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
    )


def test_the_server_lives_after_all_of_it(fuzzed: Yard) -> None:
    """Runs last in this file."""
    assert fuzzed.admin.get("/health").status_code == 200
    assert fuzzed.admin.get("/api/v1/models/list").status_code == 200
    assert "Traceback" not in fuzzed.output()
    assert "a management request failed" not in fuzzed.output()
