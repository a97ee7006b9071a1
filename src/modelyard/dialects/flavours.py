"""Servers and their accents, as data. A new OpenAI-compatible server is one row.

A quirk stands here only where the server's own documents or its answers show it; unknown ones are left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from modelyard.canonical.snapshot import Accent
from modelyard.dialects.dialect import CHAT, EMBEDDINGS
from modelyard.dialects.memory import LLAMA_ROUTER, OLLAMA, Memory
from modelyard.dialects.openai.listing import read_models, read_tags

BEARER = ("authorization", "Bearer {key}")
API_KEY = ("api-key", "{key}")
X_API_KEY = ("x-api-key", "{key}")

# Paths below the API's root, which is /v1 unless a row says otherwise.
CHAT_COMPLETIONS = {"openai.chat": "/chat/completions"}
COMPLETIONS = {"openai.completions": "/completions"}
RESPONSES = {"openai.responses": "/responses"}
EMBED = {"openai.embeddings": "/embeddings"}
SPEECH = {"openai.speech": "/audio/speech"}
TRANSCRIPTIONS = {"openai.transcriptions": "/audio/transcriptions"}
TRANSLATIONS = {"openai.translations": "/audio/translations"}
IMAGES = {"openai.images": "/images/generations"}
IMAGE_EDITS = {"openai.image_edits": "/images/edits"}
MODERATIONS = {"openai.moderations": "/moderations"}
RERANK = {"openai.rerank": "/rerank"}
COUNT_TOKENS = {"anthropic.count_tokens": "/messages/count_tokens"}

TEXT = CHAT_COMPLETIONS | COMPLETIONS | EMBED
MEDIA = SPEECH | TRANSCRIPTIONS | TRANSLATIONS | IMAGES | IMAGE_EDITS | MODERATIONS

INTO_OPENAI = {CHAT: "openai.chat", EMBEDDINGS: "openai.embeddings"}

# The spelling of the output's bound: OpenAI's models that think know only the newer one, many servers only the older.
NEWER_BOUND = {"max_tokens": "max_completion_tokens"}
OLDER_BOUND = {"max_completion_tokens": "max_tokens"}

NO_DEVELOPER = {"developer": "system"}
NO_SYSTEM = {"system": "developer"}

# What only local servers know, by the names of Ollama, llama.cpp and vLLM: a service that checks its fields refuses it.
LOCAL_ONLY = frozenset(
    {
        "top_k", "min_p", "typical_p", "tfs_z", "repeat_penalty", "repetition_penalty", "repeat_last_n", "mirostat",
        "mirostat_eta", "mirostat_tau", "num_ctx", "num_batch", "num_keep", "num_predict", "num_gpu", "main_gpu",
        "num_thread", "use_mmap", "use_mlock", "keep_alive", "truncate", "think", "options", "chat_template_kwargs",
    }
)  # fmt: skip
LOGPROBS = frozenset({"logprobs", "top_logprobs"})
PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
# What a model that always thinks refuses (OpenAI's guide to reasoning models, "Limitations").
SAMPLING = LOGPROBS | PENALTIES | {"temperature", "top_p", "logit_bias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How to speak to one kind of server.

    `models_path` is where its list of models is, `loaded_path` where it tells which of them are in memory, None when it
    does not; `memory` is how they are loaded and unloaded, None where nobody can. `endings` are what people append to a
    base URL and may leave out. `credential` is the header that carries a key; `headers` go with every call. `hosts` are
    the ends of the host names by which it is known when nobody says which it is. `accent` is how it speaks; `accents`
    are how some of its models do instead: the first whose pattern matches the start of the model's name.
    """

    kind: str
    default_url: str
    accent: Accent
    models_path: str = "/v1/models"
    loaded_path: str | None = None
    memory: Memory | None = None
    endings: tuple[str, ...] = ("/v1",)
    read_models: Callable[[bytes], list[dict[str, Any]]] = read_models
    credential: tuple[str, str] = BEARER
    headers: tuple[tuple[str, str], ...] = ()
    connection_type: str = "external"
    hosts: tuple[str, ...] = ()
    accents: tuple[tuple[re.Pattern[str], Accent], ...] = ()


def _openai(*paths: Mapping[str, str], root: str = "/v1", **quirks: Any) -> Accent:
    """The accent of a server that speaks OpenAI's dialect below `root`."""
    served = {name: root + path for group in paths for name, path in group.items()}
    return Accent(dialect="openai", paths=served, translate=INTO_OPENAI, **quirks)


# OpenAI's models that think, also as others offer them (`openai/o3`, a fine-tuned `ft:o4-mini:...`). From 5.1 on they
# take sampling parameters when they are told not to think, and the chat variant of 5 takes them always.
_PREFIX = r"(?:openai[./])?(?:ft:)?"
THINKERS = re.compile(_PREFIX + r"(?:o\d+(?:[-:]|$)|gpt-(?:[5-9]|\d\d)(?!\d))")
STRICT_THINKERS = re.compile(_PREFIX + r"(?:o\d+(?:[-:]|$)|gpt-5(?:$|:|-(?!chat)))")


# Models that OpenAI serves by its responses API alone (model pages, "Endpoints").
RESPONSES_ONLY = re.compile(
    _PREFIX + r"(?:o\d+-pro|gpt-5[\w.]*-(?:pro|codex)|codex-|computer-use-|o\d+-(?:mini-)?deep-research)"
)


def _thinkers(*paths: Mapping[str, str], root: str = "/v1") -> tuple[tuple[re.Pattern[str], Accent], ...]:
    quirks: dict[str, Any] = {"root": root, "renames": NEWER_BOUND, "roles": NO_SYSTEM, "reasoning": ""}
    by_responses = replace(
        _openai(RESPONSES, root=root, refuses=LOCAL_ONLY | SAMPLING, reasoning=""), translate={CHAT: "openai.responses"}
    )
    return (
        (RESPONSES_ONLY, by_responses),
        (STRICT_THINKERS, _openai(*paths, **quirks, refuses=LOCAL_ONLY | SAMPLING)),
        (THINKERS, _openai(*paths, **quirks, refuses=LOCAL_ONLY)),
    )


# Claude models that decide by themselves how long they think: from 4.7 on they take no budget any more, and no sampling
# parameters either (Anthropic's "What's new in Claude 4.7").
_CLAUDE = r"(?:anthropic[./])?claude-"
ADAPTIVE_ONLY = re.compile(_CLAUDE + r"(?:opus-4[-.][7-9]|(?:opus|sonnet|haiku)-[5-9])")
ADAPTIVE = re.compile(_CLAUDE + r"(?:opus|sonnet)-4[-.]6")


def _anthropic(**quirks: Any) -> Accent:
    paths = {"anthropic.messages": "/v1/messages", "anthropic.count_tokens": "/v1/messages/count_tokens"}
    return Accent(dialect="anthropic", paths=paths, translate={CHAT: "anthropic.messages"}, **quirks)


FLAVOURS: Mapping[str, Flavour] = {
    "openai": Flavour(
        kind="openai",
        default_url="https://api.openai.com/v1",
        hosts=("api.openai.com",),
        accent=_openai(TEXT, RESPONSES, MEDIA, refuses=LOCAL_ONLY, reasoning=""),
        accents=_thinkers(TEXT, RESPONSES, MEDIA),
    ),
    # Any server that speaks OpenAI's dialect: whatever it refuses, it says so itself. Responses are translated, because
    # few serve them. The bound is spelled the older way, which more servers know.
    "compatible": Flavour(
        kind="openai",
        default_url="http://127.0.0.1:8000/v1",
        accent=_openai(TEXT, MEDIA, RERANK, renames=OLDER_BOUND),
        accents=((THINKERS, _openai(TEXT, MEDIA, RERANK, renames=NEWER_BOUND)),),
    ),
    "azure": Flavour(
        kind="openai",
        default_url="https://RESOURCE.openai.azure.com/openai/v1",
        models_path="/openai/v1/models",
        endings=("/openai/v1", "/openai"),
        credential=API_KEY,
        hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        accent=_openai(TEXT, RESPONSES, root="/openai/v1", refuses=LOCAL_ONLY, reasoning=""),
        accents=_thinkers(TEXT, RESPONSES, root="/openai/v1"),
    ),
    "groq": Flavour(
        kind="openai",
        default_url="https://api.groq.com/openai/v1",
        models_path="/openai/v1/models",
        endings=("/openai/v1", "/openai"),
        hosts=("api.groq.com",),
        accent=_openai(
            CHAT_COMPLETIONS,
            RESPONSES,
            SPEECH,
            TRANSCRIPTIONS,
            TRANSLATIONS,
            root="/openai/v1",
            refuses=LOCAL_ONLY | LOGPROBS | {"logit_bias", "verbosity"},
            roles=NO_DEVELOPER,
            reasoning="reasoning",
        ),
    ),
    # Refuses every field that it does not know, in messages too; tells usage in its last chunk without being asked.
    "mistral": Flavour(
        kind="openai",
        default_url="https://api.mistral.ai/v1",
        hosts=("api.mistral.ai",),
        accent=_openai(
            CHAT_COMPLETIONS,
            EMBED,
            MODERATIONS,
            TRANSCRIPTIONS,
            renames=OLDER_BOUND | {"seed": "random_seed"},
            refuses=LOCAL_ONLY
            | LOGPROBS
            | {"logit_bias", "user", "service_tier", "verbosity", "store", "stream_options"},
            roles=NO_DEVELOPER,
            stream_usage=False,
            reasoning="",
        ),
    ),
    "deepseek": Flavour(
        kind="openai",
        default_url="https://api.deepseek.com",
        models_path="/models",
        hosts=("api.deepseek.com",),
        # Takes the newer spelling of the bound without a word, and does not keep to it.
        accent=_openai(
            CHAT_COMPLETIONS, RESPONSES, root="", renames=OLDER_BOUND, roles=NO_DEVELOPER, json_schema=False
        ),
    ),
    "openrouter": Flavour(
        kind="openai",
        default_url="https://openrouter.ai/api/v1",
        models_path="/api/v1/models",
        endings=("/api/v1", "/api"),
        hosts=("openrouter.ai",),
        accent=_openai(TEXT, RESPONSES, root="/api/v1", reasoning="reasoning"),
    ),
    # Refuses every field that it does not know; fetches no image that is named by its address.
    "gemini": Flavour(
        kind="openai",
        default_url="https://generativelanguage.googleapis.com/v1beta/openai",
        models_path="/v1beta/openai/models",
        endings=("/v1beta/openai", "/v1beta"),
        hosts=("generativelanguage.googleapis.com",),
        accent=_openai(
            CHAT_COMPLETIONS,
            EMBED,
            IMAGES,
            root="/v1beta/openai",
            refuses=LOCAL_ONLY | PENALTIES | {"seed", "store"},
            roles=NO_DEVELOPER,
            fetches=False,
        ),
    ),
    "together": Flavour(
        kind="openai",
        default_url="https://api.together.ai/v1",
        hosts=("api.together.ai", "api.together.xyz"),
        accent=_openai(TEXT, IMAGES, SPEECH, RERANK, renames=OLDER_BOUND, roles=NO_DEVELOPER),
    ),
    "xai": Flavour(
        kind="openai",
        default_url="https://api.x.ai/v1",
        hosts=("api.x.ai",),
        accent=_openai(CHAT_COMPLETIONS, RESPONSES, IMAGES, roles=NO_DEVELOPER),
        accents=(
            (
                re.compile(r"grok-[4-9](?!.*non-reasoning)"),
                _openai(CHAT_COMPLETIONS, RESPONSES, IMAGES, roles=NO_DEVELOPER, refuses=PENALTIES | {"stop"}),
            ),
        ),
    ),
    "localai": Flavour(
        kind="openai",
        default_url="http://127.0.0.1:8080",
        connection_type="local",
        accent=_openai(
            TEXT,
            RESPONSES,
            SPEECH,
            TRANSCRIPTIONS,
            IMAGES,
            MODERATIONS,
            RERANK,
            renames=OLDER_BOUND,
            roles=NO_DEVELOPER,
        ),
    ),
    # Its own responses API leaves `text.format` out of account, so responses are translated.
    "llama.cpp": Flavour(
        kind="openai",
        default_url="http://127.0.0.1:8080",
        connection_type="local",
        memory=LLAMA_ROUTER,
        accent=_openai(TEXT, TRANSCRIPTIONS, RERANK, COUNT_TOKENS, roles=NO_DEVELOPER),
    ),
    "vllm": Flavour(
        kind="openai",
        default_url="http://127.0.0.1:8000",
        connection_type="local",
        accent=_openai(
            TEXT,
            RESPONSES,
            TRANSCRIPTIONS,
            TRANSLATIONS,
            RERANK,
            COUNT_TOKENS,
            roles=NO_DEVELOPER,
            reasoning="reasoning",
        ),
    ),
    "lmstudio": Flavour(
        kind="openai",
        default_url="http://127.0.0.1:1234",
        connection_type="local",
        accent=_openai(TEXT, RESPONSES, renames=OLDER_BOUND, roles=NO_DEVELOPER, fetches=False),
    ),
    "ollama": Flavour(
        kind="ollama",
        default_url="http://127.0.0.1:11434",
        models_path="/api/tags",
        loaded_path="/api/ps",
        memory=OLLAMA,
        endings=("/api", "/v1"),
        read_models=read_tags,
        connection_type="local",
        accent=Accent(
            dialect="ollama",
            paths={
                "ollama.chat": "/api/chat",
                "ollama.generate": "/api/generate",
                "ollama.embed": "/api/embed",
                "ollama.embeddings": "/api/embeddings",
            },
            translate={CHAT: "ollama.chat", EMBEDDINGS: "ollama.embed", "openai.completions": "ollama.generate"},
            fetches=False,
        ),
    ),
    "anthropic": Flavour(
        kind="anthropic",
        default_url="https://api.anthropic.com",
        models_path="/v1/models?limit=1000",
        credential=X_API_KEY,
        headers=(("anthropic-version", "2023-06-01"),),
        hosts=("api.anthropic.com",),
        accent=_anthropic(),
        accents=(
            (ADAPTIVE_ONLY, _anthropic(reasoning="adaptive", refuses=frozenset({"temperature", "top_p", "top_k"}))),
            (ADAPTIVE, _anthropic(reasoning="adaptive")),
        ),
    ),
}

KINDS: Mapping[str, str] = {"openai": "compatible", "ollama": "ollama", "anthropic": "anthropic"}
"""Each kind of connection and the flavour it has when none is named and its host is not known."""


def without_ending(path: str, flavour: Flavour) -> str:
    """The path of a base URL without the API root that people append or leave out alike."""
    for ending in flavour.endings:
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def flavour_at(kind: str, base_url: str) -> str:
    """The flavour of a connection for which none is named: by the host of its base URL, else that of its kind."""
    host = (urlsplit(base_url).hostname or "").lower()
    known = (name for name, flavour in FLAVOURS.items() if flavour.kind == kind and is_at(flavour, host))
    return next(known, KINDS[kind])


def is_at(flavour: Flavour, host: str) -> bool:
    """True when this host is known to be such a server."""
    return any(host == known or (known[0] == "." and host.endswith(known)) for known in flavour.hosts)


def accent_for(flavour: Flavour, model: str) -> Accent:
    """The accent in which one model of a server is spoken to."""
    return next((accent for pattern, accent in flavour.accents if pattern.match(model)), flavour.accent)
