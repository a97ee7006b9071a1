import re

import pytest

from modelyard.db.engine import parse_url


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://h/d", "mysql"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite://data/modelyard.db", "sqlite:///path"),
        ("postgresql://u@h/d?channel_binding=require", "channel_binding"),
        ("postgresql://u@h/d?sslmode=require&keepalives=1", "keepalives"),
        ("postgresql://u@h/d?sslrootcert=/ca.pem", "PGSSLROOTCERT"),
        ("postgresql://u@h/d?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u@h/d?connect_timeout=0", "connect_timeout"),
    ],
)
def test_what_cannot_be_used_is_told(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        parse_url(text)


@pytest.mark.parametrize(
    ("query", "ours"),
    [
        ("sslmode=require", {"ssl": "require"}),
        ("ssl=require", {"ssl": "require"}),
        ("sslmode=require&channel_binding=prefer", {"ssl": "require"}),
        ("connect_timeout=5&application_name=yard", {"timeout": "5", "application_name": "yard"}),
        ("host=/run/postgresql", {"host": "/run/postgresql"}),
    ],
)
def test_parameters_of_postgres_are_put_into_the_drivers_words(query: str, ours: dict[str, str]) -> None:
    url = parse_url(f"postgres://u:p@/d?{query}")
    assert url.drivername == "postgresql+asyncpg"
    assert dict(url.query) == ours


def test_a_file() -> None:
    assert parse_url("sqlite:////var/lib/yard.db").database == "/var/lib/yard.db"
