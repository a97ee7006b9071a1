from pathlib import Path

import pytest

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ENVIRONMENT, ConnectionRow
from modelyard.control.connections.service import build
from modelyard.core.errors import Problem
from modelyard.core.seal import Seal, mask
from modelyard.declared import BUILT_IN_ADMINISTRATOR, from_environment
from modelyard.settings import Settings, SettingsError, load, read_environment, switched_off, unknown_names

SEAL = Seal("s" * 32)

WRONG = {
    "MODELYARD_PORT": ["x", "-1", "65536", "1.5"],
    "MODELYARD_WORKERS": ["0", "65", "x", "two"],
    "MODELYARD_SECRET_KEY": ["short-hunter2"],
    "MODELYARD_LOG_LEVEL": ["INFO!", "verbose"],
    "MODELYARD_ADMIN_PASSWORD": ["hunter2"],
    "MODELYARD_ADMIN_EMAIL": ["nonsense", "@example.com"],
    "MODELYARD_ADMIN_API_KEY": ["short-hunter2", "hunter2" * 8 + "ü", "hunter2" * 8 + " ", "hunter2" * 80],
    "MODELYARD_SETUP_LINK": ["maybe"],
    "MODELYARD_SESSION_HOURS": ["0", "-1", "x", "nan", "inf"],
    "MODELYARD_TRUSTED_PROXIES": ["x", "10.0.0.0/33", "10.0.0.1,nonsense"],
    "MODELYARD_BASE_PATH": ["x", "x/"],
    "MODELYARD_MAX_BODY_BYTES": ["0", "1023", "32MB"],
    "MODELYARD_DRAIN_SECONDS": ["-1", "3601", "x"],
    "MODELYARD_CONNECT_TIMEOUT": ["0", "-1", "x", "inf", "nan", "86401"],
    "REQUEST_TIMEOUT": ["0", "x", "inf"],
    "MODELYARD_IDLE_TIMEOUT": ["0", "x"],
    "MODELYARD_JOURNAL_SYNC_SECONDS": ["0", "-1", "x", "nan"],
    "MODELS_CACHE_TTL": ["-1", "x", "nan"],
    "MAX_CONCURRENT_REQUESTS": ["0", "x"],
    "BYPASS_MODEL_ACCESS_CONTROL": ["maybe"],
    "MODELYARD_PRESET_WINS": ["2"],
    "ENABLE_METRICS": ["perhaps"],
    "ENABLE_OLLAMA": ["perhaps"],
    "ENABLE_OPENAI": ["perhaps"],
    "ENABLE_ANTHROPIC": ["perhaps"],
    "ENABLE_LOCALAI": ["perhaps"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_told_with_name_fault_and_example(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert f"Example: {name}=" in message
    assert not message.rstrip().endswith("="), "the example is empty"
    assert len(message.split("Example:", maxsplit=1)[0]) > len(name) + 8
    assert "\n" not in message
    if "hunter2" in value:
        assert "hunter2" not in message
    else:
        assert value in message


def test_every_fault_has_a_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {"MODELYARD_PORT": "x", "MODELYARD_WORKERS": "0", "MODELYARD_SECRET_KEY": "hunter2"})
    assert sorted(line.split(":")[0] for line in str(caught.value).splitlines()) == [
        "MODELYARD_PORT", "MODELYARD_SECRET_KEY", "MODELYARD_WORKERS",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["MODELYARD_ADMIN_EMAIL", "MODELYARD_ADMIN_PASSWORD"])
def test_half_an_administrator_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="together"):
        load({}, {name: "you@example.com"})


def test_each_part_of_a_rotated_secret_must_be_long_enough() -> None:
    """`new,old` with a `new` of one letter is 32 characters and no secret."""
    with pytest.raises(SettingsError):
        load({}, {"MODELYARD_SECRET_KEY": "a," + "o" * 32})


def test_examples_and_defaults_are_valid() -> None:
    assert load({}, {}) == Settings()
    for field in Settings.model_fields.values():
        assert field.alias
        assert field.description
        assert field.examples, f"{field.alias} has no example"


def test_lists_and_numbered_keys() -> None:
    settings = load(
        {},
        {
            "OLLAMA_BASE_URLS": "http://a ; http://b",
            "MODELYARD_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "OPENAI_API_KEY_10": "ten",
            "OPENAI_API_KEY_2": "two",
            "OPENAI_API_KEY_1": "one",
            "OPENAI_API_KEY_0": "no",
            "OPENAI_API_KEY_01": "no",
            "OPENAI_API_KEY_X": "no",
        },
    )
    assert settings.ollama_base_urls == ["http://a", "http://b"]
    assert settings.trusted_proxies == ["10.0.0.0/8", "::1"]
    assert settings.openai_numbered_keys == ["one", "two", "ten"]


def test_options_win_and_unset_ones_do_not() -> None:
    settings = load({"port": 1, "host": None}, {"MODELYARD_PORT": "2", "MODELYARD_HOST": "h"})
    assert (settings.port, settings.host) == (1, "h")


def test_empty_is_unset_and_the_process_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MODELYARD_PORT=1\nMODELYARD_HOST=file\nOPENAI_API_KEY=\nBARE\n")
    monkeypatch.setenv("MODELYARD_PORT", "2")
    monkeypatch.setenv("OLLAMA_BASE_URL", "")
    found = read_environment(tmp_path)
    assert (found["MODELYARD_PORT"], found["MODELYARD_HOST"]) == ("2", "file")
    assert not {"OPENAI_API_KEY", "BARE", "OLLAMA_BASE_URL"} & found.keys()


def test_a_worker_is_handed_what_was_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_BASE_PATH", "")
    monkeypatch.setenv("MODELYARD_PORT", "2")
    found = switched_off()
    assert found["MODELYARD_BASE_PATH"] == ""
    assert "MODELYARD_PORT" not in found


def test_typos_are_named() -> None:
    assert unknown_names({"MODELYARD_PROT": "1", "MODELYARD_PORT": "1", "PATH": "x", "OTHER_MODELYARD_X": "1"}) == [
        "MODELYARD_PROT"
    ]


def test_secrets_are_not_in_the_representation() -> None:
    settings = load(
        {},
        {
            "MODELYARD_SECRET_KEY": "hunter2" * 5,
            "MODELYARD_ADMIN_EMAIL": "you@example.com",
            "MODELYARD_ADMIN_PASSWORD": "hunter2" * 2,
            "MODELYARD_ADMIN_API_KEY": "hunter2" * 5,
            "OPENAI_API_KEY": "hunter2",
            "OPENAI_API_KEYS": "hunter2;x",
            "OPENAI_API_KEY_1": "hunter2",
            "ANTHROPIC_API_KEY": "hunter2",
            "DATABASE_URL": "postgresql://u:hunter2@h/d",
        },
    )
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)]
)
def test_loopback(host: str, expected: bool) -> None:
    assert load({"host": host}, {}).is_loopback is expected


# --- what the environment declares


def declared(**environment: str) -> list[ConnectionRow]:
    return list(from_environment(load({}, environment), SEAL).connections)


def summary(**environment: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(row.name, row.base_url, row.api_keys) for row in declared(**environment)]


def test_nothing_set_declares_nothing() -> None:
    found = from_environment(load({}, {}), SEAL)
    assert (list(found.connections), list(found.users), list(found.credentials)) == ([], [], [])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ENABLE_OLLAMA": "true"}, [("ollama", "http://127.0.0.1:11434", ())]),
        ({"ENABLE_OPENAI": "true"}, [("openai", "https://api.openai.com/v1", ())]),
        ({"ENABLE_ANTHROPIC": "true"}, [("anthropic", "https://api.anthropic.com", ())]),
        ({"ENABLE_LOCALAI": "true"}, [("localai", "http://127.0.0.1:8080", ())]),
        ({"OLLAMA_BASE_URL": "http://a/"}, [("ollama", "http://a", ())]),
        ({"OLLAMA_BASE_URL": "http://a", "ENABLE_OLLAMA": "false"}, []),
        ({"OLLAMA_BASE_URLS": "http://a;http://b;"}, [("ollama-1", "http://a", ()), ("ollama-2", "http://b", ())]),
        ({"OLLAMA_BASE_URLS": "http://a", "OLLAMA_BASE_URL": "http://b"}, [("ollama", "http://a", ())]),
        ({"OPENAI_API_KEY": "k"}, [("openai", "https://api.openai.com/v1", ("k",))]),
        ({"OPENAI_API_KEY": "k", "ENABLE_OPENAI": "false"}, []),
        ({"OPENAI_API_BASE_URL": "http://a/v1"}, [("openai", "http://a/v1", ())]),
        ({"OPENAI_API_BASE_URL": "http://a", "OPENAI_API_KEY": "k"}, [("openai", "http://a", ("k",))]),
        (
            {"OPENAI_API_BASE_URLS": "http://a;http://b;http://c", "OPENAI_API_KEYS": "ka;;kc"},
            [("openai-1", "http://a", ("ka",)), ("openai-2", "http://b", ()), ("openai-3", "http://c", ("kc",))],
        ),
        (
            {"OPENAI_API_BASE_URLS": "http://a;http://b", "OPENAI_API_KEY": "k"},
            [("openai-1", "http://a", ("k",)), ("openai-2", "http://b", ())],
        ),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_API_KEY_1": "a", "OPENAI_API_KEY_2": "b"},
            [("openai", "https://api.openai.com/v1", ("k", "a", "b"))],
        ),
        ({"OPENAI_API_KEY_2": "b", "OPENAI_API_KEY_1": "a"}, [("openai", "https://api.openai.com/v1", ("a", "b"))]),
        ({"ANTHROPIC_API_KEY": "k"}, [("anthropic", "https://api.anthropic.com", ("k",))]),
        ({"ANTHROPIC_API_KEY": "k", "ENABLE_ANTHROPIC": "false"}, []),
        ({"ANTHROPIC_BASE_URL": "http://a"}, [("anthropic", "http://a", ())]),
        ({"LOCALAI_BASE_URL": "http://a"}, [("localai", "http://a", ())]),
        ({"LOCALAI_BASE_URL": "http://a", "ENABLE_LOCALAI": "false"}, []),
        (
            {
                "ENABLE_OLLAMA": "false",
                "ENABLE_OPENAI": "false",
                "ENABLE_ANTHROPIC": "false",
                "ENABLE_LOCALAI": "false",
            },
            [],
        ),
    ],
)
def test_connections_of_the_environment(
    environment: dict[str, str], expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert summary(**environment) == expected
    assert all(row.source == ENVIRONMENT for row in declared(**environment))


def test_a_gap_in_the_addresses_does_not_move_keys_to_another_server() -> None:
    assert summary(OPENAI_API_BASE_URLS="http://a;;http://c", OPENAI_API_KEYS="ka;kb;kc") == [
        ("openai-1", "http://a", ("ka",)),
        ("openai-2", "http://c", ("kc",)),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "OLLAMA_BASE_URL",
        "OLLAMA_BASE_URLS",
        "OPENAI_API_BASE_URL",
        "OPENAI_API_BASE_URLS",
        "ANTHROPIC_BASE_URL",
        "LOCALAI_BASE_URL",
    ],
)
def test_a_wrong_address_is_told_with_its_variable(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        declared(**{name: "gpu1:11434"})
    assert str(caught.value).startswith(f"{name}: ")
    assert f"Example: {name}=http" in str(caught.value)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_API_KEYS", "OPENAI_API_KEY_1", "ANTHROPIC_API_KEY"])
def test_a_key_that_no_header_can_carry_is_told_with_its_own_variable(name: str) -> None:
    """Not as a fault of the base URL, and without the key."""
    with pytest.raises(SettingsError) as caught:
        declared(**{name: "hunter2\x07"})
    assert "hunter2" not in str(caught.value)
    assert "BASE_URL" not in str(caught.value)


def test_timeouts_of_the_environment() -> None:
    [one] = declared(
        ENABLE_OLLAMA="true", MODELYARD_CONNECT_TIMEOUT="2", REQUEST_TIMEOUT="3", MODELYARD_IDLE_TIMEOUT="4"
    )
    assert one.timeouts == Timeouts(connect=2, first_byte=3, idle=4)


def test_the_built_in_administrator() -> None:
    key = "k" * 40
    found = from_environment(load({}, {"MODELYARD_ADMIN_API_KEY": key}), SEAL)
    [user], [credential] = found.users, found.credentials
    assert (user.id, user.role, user.source) == (BUILT_IN_ADMINISTRATOR, "admin", ENVIRONMENT)
    assert credential.digest == SEAL.digest(key)
    assert key not in repr(found)


# --- a connection shown and sent back


def test_masked_keys_sent_back_are_the_same_keys() -> None:
    """Two short keys have one mask, and so have two long ones that end alike: none may be lost or doubled."""
    for keys in (("short-1", "short-2"), ("a" * 20 + "tail", "b" * 20 + "tail")):
        old = ConnectionRow(
            id="c", name="c", kind="openai", flavour="openai", base_url="http://h", api_keys=keys, created_at=1
        )
        again = build(old, {"api_keys": [mask(key) for key in keys]}, Timeouts())
        assert again.api_keys == keys


def test_a_mask_of_nothing_is_refused() -> None:
    old = ConnectionRow(id="c", name="c", kind="openai", flavour="openai", base_url="http://h", created_at=1)
    with pytest.raises(Problem):
        build(old, {"api_keys": ["********abcd"]}, Timeouts())
