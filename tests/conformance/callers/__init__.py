"""The callers: each says what a case asks with the official SDK of its dialect, and shows the answer as that SDK does."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI, Answer, Ask
from tests.conformance.callers.anthropic_caller import AnthropicCaller
from tests.conformance.callers.ollama_caller import OllamaCaller
from tests.conformance.callers.openai_caller import OpenAICaller


class Caller(Protocol):
    """`heads` are the headers of the answers so far; `errors` what this SDK raises; `client` is the SDK's own.

    `validates` holds what comes to the SDK's types to the letter, which the SDKs themselves do not: for answers that
    Modelyard wrote.
    """

    name: str
    heads: list[Mapping[str, str]]
    client: Any
    validates: bool

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def whole(self, model: str, ask: Ask) -> Answer: ...

    def stream(self, model: str, ask: Ask) -> Answer: ...

    def raised(self, error: Exception) -> tuple[int | None, str]:
        """(HTTP status, None for an error within a stream; the error's words)."""

    def close(self) -> None: ...


CALLERS: Mapping[str, Callable[[str, str], Caller]] = {
    OPENAI: OpenAICaller,
    ANTHROPIC: AnthropicCaller,
    OLLAMA: OllamaCaller,
}
