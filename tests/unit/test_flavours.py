import re
from urllib.parse import urlsplit

import pytest

from modelyard.dialects.dialect import CHAT, EMBEDDINGS
from modelyard.dialects.flavours import FLAVOURS, KINDS, Flavour, accent_for, flavour_at, without_ending

ROWS = sorted(FLAVOURS)
OPENAI_ROWS = [name for name in ROWS if FLAVOURS[name].kind == "openai"]


def accents(flavour: Flavour) -> list:
    return [flavour.accent, *(accent for _, accent in flavour.accents)]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_whole(name: str) -> None:
    flavour = FLAVOURS[name]
    assert flavour.kind in KINDS
    assert flavour.connection_type in ("local", "external")
    assert flavour.models_path.startswith("/")
    assert "{key}" in flavour.credential[1]
    assert flavour.credential[0] == flavour.credential[0].lower()
    for accent in accents(flavour):
        assert accent.dialect == flavour.kind
        assert all(path.startswith("/") for path in accent.paths.values())
        assert set(accent.translate.values()) <= {*accent.paths, *KINDS_WITHOUT_EMBEDDINGS.get(name, ())}
        assert not accent.refuses & {"model", "messages", "prompt", "input", "stream", "tools"}
        # a field is refused by its name, renamed, or taken: never two of these
        assert not accent.refuses & (accent.renames.keys() | set(accent.renames.values()))
        assert not accent.renames.keys() & set(accent.renames.values())
        assert not accent.roles.keys() & set(accent.roles.values())


KINDS_WITHOUT_EMBEDDINGS = {name: ["openai.embeddings"] for name in ("deepseek", "groq", "xai")}


@pytest.mark.parametrize("name", OPENAI_ROWS)
def test_servers_of_the_openai_dialect(name: str) -> None:
    accent = FLAVOURS[name].accent
    assert accent.translate == {CHAT: "openai.chat", EMBEDDINGS: "openai.embeddings"}
    assert accent.paths["openai.chat"].endswith("/chat/completions")
    if name not in KINDS_WITHOUT_EMBEDDINGS:
        assert "openai.embeddings" in accent.paths


@pytest.mark.parametrize("name", ROWS)
def test_the_default_address_may_be_written_with_or_without_its_end(name: str) -> None:
    """Every spelling of the address gives the same path, to which the row's own paths are added."""
    flavour = FLAVOURS[name]
    path = urlsplit(flavour.default_url).path
    assert without_ending(path, flavour) == ""
    assert without_ending("", flavour) == ""
    for ending in flavour.endings:
        assert without_ending("/proxy" + ending, flavour) == "/proxy"
    root = flavour.endings[0]
    if name not in ("deepseek", "ollama", "anthropic"):
        assert all(served.startswith(root + "/") for served in flavour.accent.paths.values())
        assert flavour.models_path == root + "/models"


@pytest.mark.parametrize("name", ROWS)
def test_a_service_is_known_by_its_host(name: str) -> None:
    flavour = FLAVOURS[name]
    if flavour.connection_type == "external" and name != "compatible":
        assert flavour_at(flavour.kind, flavour.default_url) == name
        assert flavour_at("ollama", flavour.default_url) == "ollama"
    else:
        assert not flavour.hosts


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://API.Groq.com:443/openai/v1", "groq"), ("https://me.openai.azure.com", "azure"),
        ("https://x.services.ai.azure.com/openai/v1", "azure"), ("https://api.together.xyz", "together"),
        ("https://api.openai.com.evil.example/v1", "compatible"), ("https://evil-api.groq.com.example", "compatible"),
        ("http://127.0.0.1:8000", "compatible"), ("http://[::1]:8000", "compatible"), ("", "compatible"),
        ("https://openai.azure.com.example", "compatible"), ("https://notopenrouter.ai/api", "compatible"),
    ],
)  # fmt: skip
def test_the_flavour_at_an_address(url: str, name: str) -> None:
    assert flavour_at("openai", url) == name


def test_a_server_that_is_only_like_openai_is_left_its_fields() -> None:
    for model in ("gpt-4o", "o3"):
        assert not accent_for(FLAVOURS["compatible"], model).refuses


THINK = ["o1", "o1-2024-12-17", "o3-mini", "o4-mini", "o10", "gpt-5", "gpt-5-mini", "gpt-5-2025-08-07",
         "openai/o3", "openai.gpt-5", "ft:o4-mini:org::id", "ft:gpt-5:org"]  # fmt: skip
THINK_IF_TOLD = ["gpt-5.1", "gpt-5.2", "gpt-5-chat-latest", "gpt-5-chat", "gpt-6", "gpt-10-mini"]
DO_NOT = ["gpt-4o", "gpt-4.1", "gpt-3.5-turbo", "gpt-oss-20b", "omni-moderation", "o200k", "olmo", "gpt-50000", "chatgpt-4o",
          "my-o3", "text-embedding-3-small", "gpt-4-o1"]  # fmt: skip


@pytest.mark.parametrize("name", ["openai", "azure"])
def test_models_that_think(name: str) -> None:
    flavour = FLAVOURS[name]
    for model in THINK:
        accent = accent_for(flavour, model)
        assert accent.renames == {"max_tokens": "max_completion_tokens"}, model
        assert {"temperature", "top_k"} <= accent.refuses, model
    for model in THINK_IF_TOLD:
        accent = accent_for(flavour, model)
        assert accent.renames == {"max_tokens": "max_completion_tokens"}, model
        assert "temperature" not in accent.refuses, model
    for model in DO_NOT:
        assert accent_for(flavour, model) is flavour.accent, model
    for model in ("gpt-5-codex", "gpt-5.2-codex", "gpt-5-pro", "o1-pro", "o3-pro-2025-06-10", "codex-mini-latest"):
        accent = accent_for(flavour, model)
        assert list(accent.paths) == ["openai.responses"], model
        assert accent.translate == {CHAT: "openai.responses"}, model


def test_claude_models_that_take_no_budget() -> None:
    flavour = FLAVOURS["anthropic"]
    for model in (
        "claude-opus-4-7",
        "claude-opus-4.8",
        "claude-sonnet-5",
        "claude-haiku-5-20260901",
        "anthropic/claude-opus-4-7",
    ):
        accent = accent_for(flavour, model)
        assert accent.reasoning == "adaptive", model
        assert "temperature" in accent.refuses, model
    for model in ("claude-opus-4-6", "claude-sonnet-4-6-20260201"):
        accent = accent_for(flavour, model)
        assert accent.reasoning == "adaptive", model
        assert not accent.refuses, model
    for model in ("claude-opus-4-20250514", "claude-sonnet-4-5", "claude-3-7-sonnet-latest", "claude-haiku-4-5", "m"):
        assert accent_for(flavour, model) is flavour.accent, model


def test_no_row_holds_an_address_that_anybody_could_register() -> None:
    for flavour in FLAVOURS.values():
        for host in flavour.hosts:
            assert re.fullmatch(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)+", host)
