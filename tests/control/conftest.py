"""A server with people of every role, declared by a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import UPSTREAM_SECRET
from tests.servers import Scripted
from tests.yard import Yard, run_yard

USER_KEY = "key-of-an-ordinary-user-0123456789abcdef"
OTHER_KEY = "key-of-another-user-0123456789abcdefghij"
PENDING_KEY = "key-of-a-pending-user-0123456789abcdefgh"
CONFINED_ADMIN_KEY = "key-of-an-admin-for-echo-only-0123456789"
KEYS = {
    "USER_KEY": USER_KEY, "OTHER_KEY": OTHER_KEY, "PENDING_KEY": PENDING_KEY, "CONFINED_ADMIN_KEY": CONFINED_ADMIN_KEY,
}  # fmt: skip

PEOPLE = """
users:
  - {email: user@example.com, role: user, keys: [{name: main, key: "${USER_KEY}"}]}
  - {email: other@example.com, role: user, keys: [{name: main, key: "${OTHER_KEY}"}]}
  - {email: pending@example.com, role: pending, keys: [{name: main, key: "${PENDING_KEY}"}]}
  - {email: boss@example.com, role: admin, keys: [{name: confined, key: "${CONFINED_ADMIN_KEY}", models: [echo]}]}
models:
  - {id: echo, access_control: null}
  - {id: lorem, access_control: {read: {user_ids: [other@example.com]}}}
"""


@pytest.fixture(scope="module")
def peopled(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Users of every role in front of the scripted upstream. Tests of a module share it."""
    folder: Path = tmp_path_factory.mktemp("peopled")
    file = folder / "yard.yaml"
    file.write_text(PEOPLE)
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": UPSTREAM_SECRET,
        "USER_PERMISSIONS_FEATURES_API_KEYS": "true",
        **KEYS,
    }
    with run_yard(folder / "data", environment, ("--config", str(file))) as running:
        yield running
