"""The hub's vocabulary for a conversation: what every dialect's request is read into and written from.

Modelled on the richest dialect: a turn is a list of blocks. Values that no dialect interprets (a tool's schema, say)
keep their bytes as `msgspec.Raw`.
"""

from typing import Any

import msgspec

from modelyard.canonical.usage import NOTHING, Usage

Raw = msgspec.Raw

# A request's messages, their parts and its tools together: far above what anybody means, far below what hurts.
MAX_PARTS = 10_000

# Who may speak. A system turn stands where it stood in the conversation; the leading ones are `ChatRequest.system`.
USER = "user"
ASSISTANT = "assistant"
SYSTEM = "system"

IMAGE = "image"
DOCUMENT = "document"
AUDIO = "audio"


class Text(msgspec.Struct, kw_only=True, gc=False):
    """Plain text. `cache` is the lifetime of a prompt-cache marker behind it ("5m", "1h"), None without one."""

    text: str
    cache: str | None = None


class Media(msgspec.Struct, kw_only=True, gc=False):
    """An image, a document or a recording: exactly one of `data` (base64), `url`, `file_id` or `text` (a plain document).

    `media_type` is a MIME type where it is known; audio has its format there too (`audio/wav`).
    """

    kind: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: str | None = None


class ToolCall(msgspec.Struct, kw_only=True, gc=False):
    """The model asks for a tool. `arguments` is the text of a JSON object, "" for none."""

    id: str
    name: str
    arguments: str
    cache: str | None = None


class ToolResult(msgspec.Struct, kw_only=True):
    """What a tool answered. `name` is the tool's where the dialect tells it."""

    call_id: str
    content: "list[Text | Media]"
    name: str | None = None
    is_error: bool = False
    cache: str | None = None


class Thinking(msgspec.Struct, kw_only=True, gc=False):
    """Reasoning in words. `signature` lets the model that thought it read it again, and only that one.

    `origin` names the dialect whose models can read the signature: "anthropic", or "openai" (its `encrypted_content`).
    """

    text: str
    signature: str | None = None
    origin: str = ""


class Redacted(msgspec.Struct, kw_only=True, gc=False):
    """Reasoning that only its model can read (Anthropic's `redacted_thinking`)."""

    data: str


class Refusal(msgspec.Struct, kw_only=True, gc=False):
    """The model's words for why it does not answer."""

    text: str


Block = Text | Media | ToolCall | ToolResult | Thinking | Redacted | Refusal


class Turn(msgspec.Struct, kw_only=True):
    """One turn. Tool results stand in a user turn, before anything else that the user says in it."""

    role: str
    blocks: list[Block]
    name: str | None = None


class Tool(msgspec.Struct, kw_only=True):
    """A function that the model may call. `schema` is the JSON schema of its arguments."""

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    cache: str | None = None


AUTO = "auto"
NONE = "none"
REQUIRED = "required"
ONE = "tool"


class ToolChoice(msgspec.Struct, kw_only=True, gc=False):
    """`mode` is AUTO, NONE, REQUIRED (any tool) or ONE (the tool called `name`)."""

    mode: str
    name: str | None = None


class OutputFormat(msgspec.Struct, kw_only=True):
    """JSON as output: any object without `schema`, else what the schema says."""

    schema: Raw | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, kw_only=True, gc=False):
    """How much to think. `effort` is none, minimal, low, medium, high, xhigh or max; `budget` is in tokens.

    `enabled` alone says yes or no without a measure. `summary` is how the thoughts are to be shown (auto, concise,
    detailed, omitted), None when not said.
    """

    enabled: bool = True
    effort: str | None = None
    budget: int | None = None
    summary: str | None = None


class Controls(msgspec.Struct, kw_only=True):
    """What steers an answer, in one vocabulary: of a request, or of the preset that is laid under it.

    `params` maps a name of PARAMETERS to its value, already of the type that stands there. `extras` are a preset's own
    parameters outside every vocabulary: they go to the backend as they are.
    """

    params: dict[str, Any] = {}
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    extras: dict[str, Any] = {}


PARAMETERS: dict[str, type | tuple[type, ...]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "typical_p": float,
    "tfs_z": float,
    "max_tokens": int,
    "stop": list,  # of strings
    "seed": int,
    "n": int,
    "frequency_penalty": float,
    "presence_penalty": float,
    "repeat_penalty": float,
    "repeat_last_n": int,
    "logit_bias": dict,  # token id (text) to bias
    "logprobs": bool,
    "top_logprobs": int,
    "user": str,
    "service_tier": str,
    "verbosity": str,
    "metadata": dict,
    "store": bool,
    "prompt_cache_key": str,
    "suffix": str,  # what comes after the text to complete
    "mirostat": int,
    "mirostat_eta": float,
    "mirostat_tau": float,
    "num_ctx": int,
    "num_batch": int,
    "num_keep": int,
    "num_gpu": int,
    "main_gpu": int,
    "num_thread": int,
    "use_mmap": bool,
    "use_mlock": bool,
    "keep_alive": (str, int, float),
    "truncate": bool,  # cut a prompt that is too long instead of refusing it
}
"""Every parameter that the hub knows, with its type. Where it goes is each dialect's own table."""


class ChatRequest(msgspec.Struct, kw_only=True):
    """One request for the next turn of a conversation.

    `completion` is true when the caller sent a bare prompt (legacy completions, Ollama's generate): one user turn with
    the prompt. `unread` names fields of the caller's request that the hub cannot carry: they are losses whatever the
    target.
    """

    turns: list[Turn]
    system: list[Text] = []
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    controls: Controls
    stream: bool = False
    completion: bool = False
    unread: list[str] = []


STOP = "stop"
LENGTH = "length"
TOOL_CALLS = "tool_calls"
STOP_SEQUENCE = "stop_sequence"
REFUSED = "content_filter"
PAUSE = "pause"
"""Why an answer ended; ChatReply.finish and events.Finish.reason hold one of these six."""


class Timings(msgspec.Struct, kw_only=True, gc=False):
    """How long a local backend took, in nanoseconds."""

    total: int = 0
    load: int = 0
    prompt: int = 0
    output: int = 0


class ChatReply(msgspec.Struct, kw_only=True):
    """A whole answer. `logprobs` is a list of {token, logprob, bytes, top_logprobs} of the text's tokens."""

    blocks: list[Block]
    finish: str
    stop_sequence: str | None = None
    usage: Usage | None = None
    model: str = ""
    id: str = ""
    logprobs: list[Any] | None = None
    timings: Timings | None = None


# A signature is only of use to the models of its origin. Where a dialect can carry another's, it is written with this
# mark in front, so that it is not offered to a model that cannot read it.
_FOREIGN = "modelyard:"


def write_signature(signature: str | None, origin: str, dialect: str) -> str | None:
    """A signature as it is written for a caller of `dialect`."""
    return signature if signature is None or origin == dialect else f"{_FOREIGN}{origin}:{signature}"


def read_signature(text: str | None, dialect: str) -> tuple[str | None, str]:
    """(signature, origin) of what a caller of `dialect` sent back."""
    if text is None:
        return None, ""
    if not text.startswith(_FOREIGN):
        return text, dialect
    origin, _, signature = text.removeprefix(_FOREIGN).partition(":")
    return signature, origin


def reply_usage(reply: ChatReply) -> Usage:
    """The reply's usage, zeros when the backend told none."""
    return reply.usage if reply.usage is not None else NOTHING
