"""The words in which cases ask and look at answers, whatever the SDK. `callers` put them into each SDK's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPENAI = "openai"
ANTHROPIC = "anthropic"
OLLAMA = "ollama"
DIALECTS = (OPENAI, ANTHROPIC, OLLAMA)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG, by its bytes or its address."""

    data: bytes | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """A PDF by its bytes, or a plain text."""

    data: bytes | None = None
    text: str | None = None
    name: str = "report.pdf"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A WAV."""

    data: bytes


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A text with a prompt-cache marker behind it."""

    text: str


Part = str | Picture | Document | Recording | Marked


@dataclass(frozen=True, kw_only=True)
class User:
    """The user speaks."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Called:
    """A tool call. Ollama's SDK shows no id."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """An earlier answer of the model."""

    text: str = ""
    calls: tuple[Called, ...] = ()


@dataclass(frozen=True, kw_only=True)
class System:
    """The operator speaks in mid-conversation."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a tool answered."""

    call: Called
    text: str
    is_error: bool = False
    picture: Picture | None = None


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool on offer."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens as the SDK shows them. None: this SDK has no field for it."""

    input: int
    output: int
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None


@dataclass(kw_only=True)
class Answer:
    """An answer as the SDK shows it. `stop` is the SDK's own word; `turn` is what its user would send back.

    `pieces` are the texts of a stream's deltas, `raw` is the SDK's own object.
    """

    text: str
    stop: str | None
    raw: Any
    turn: Any
    usage: Usage | None = None
    thinking: str = ""
    signature: str | None = None
    redacted: tuple[str, ...] = ()
    refusal: str | None = None
    calls: tuple[Called, ...] = ()
    stop_sequence: str | None = None
    logprobs: tuple[tuple[str, float], ...] = ()
    pieces: tuple[str, ...] = ()


Message = User | System | Assistant | Result | Answer


@dataclass(kw_only=True)
class Ask:
    """One request. `params` are by the hub's names; `choice` is auto, none, required or a tool's name.

    `schema` is "json" for any object, or a JSON schema. `effort` asks for thinking (low, medium, high).
    """

    messages: tuple[Message, ...]
    system: str | tuple[Part, ...] | None = None
    tools: tuple[ToolSpec, ...] = ()
    choice: str | None = None
    parallel: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    schema: str | Mapping[str, Any] | None = None
    effort: str | None = None
    user: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class NotSayable(Exception):
    """The SDK has no way to say this: the cell must be declared as not applicable."""


def user(*parts: Part) -> User:
    """The user's words and what they show."""
    return User(parts=parts)


WEATHER = ToolSpec(
    name="get_weather",
    description="Weather of a city",
    schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
TIME = ToolSpec(
    name="get_time",
    description="Time in a city",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
