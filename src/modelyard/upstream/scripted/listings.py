"""What the scripted upstream tells about its models, in the words of each API."""

import hashlib
from typing import Any
from urllib.parse import parse_qs

from modelyard.upstream.scripted.form import Fault, Reply, encode
from modelyard.upstream.scripted.messages import error
from modelyard.upstream.scripted.ollama import moment
from modelyard.upstream.scripted.scripts import SCRIPTS

VERSION = "0.32.1"
SIZE = 4_661_224_676
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "8.0B",
    "quantization_level": "Q4_0",
}
CONTEXT = 8192
CAPABILITIES = ["completion", "tools", "vision", "embedding"]
THINKERS = ("thinking", "reasoning", "redacted", "thinking-tool")


def openai_models() -> Reply:
    """`GET /v1/models`."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in SCRIPTS]
    return Reply(200, encode({"object": "list", "data": models}))


def anthropic_models(query: str) -> Reply:
    """`GET /v1/models` with an anthropic-version: in pages of 20, or of `limit`, after `after_id`."""
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    limit = given.get("limit", "20")
    if not limit.isdecimal() or not 0 < int(limit) <= 1000:
        return Reply(400, error(Fault(status=400, message="limit: Input should be between 1 and 1000")))
    names, after = list(SCRIPTS), given.get("after_id", "")
    rest = names[names.index(after) + 1 :] if after in SCRIPTS else names
    page = rest[: int(limit)]
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
        for name in page
    ]
    ends = {"first_id": page[0], "last_id": page[-1]} if page else {"first_id": None, "last_id": None}
    return Reply(200, encode({"data": data, "has_more": len(rest) > len(page), **ends}))


def _row(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"name": f"{name}:latest", "model": f"{name}:latest", "size": SIZE, "digest": digest, "details": DETAILS}


def tags() -> Reply:
    """`GET /api/tags`."""
    return Reply(200, encode({"models": [{**_row(name), "modified_at": moment(0)} for name in SCRIPTS]}))


def running(loaded: dict[str, tuple[float, int]]) -> Reply:
    """`GET /api/ps`: by name when a model goes, in Unix seconds, and its context."""
    models = [
        {**_row(name), "expires_at": moment(expires), "size_vram": SIZE, "context_length": context}
        for name, (expires, context) in loaded.items()
    ]
    return Reply(200, encode({"models": models}))


def version() -> Reply:
    """`GET /api/version`."""
    return Reply(200, encode({"version": VERSION}))


def show(name: str) -> Reply:
    """`POST /api/show`."""
    capabilities = [*CAPABILITIES, "thinking"] if name in THINKERS else CAPABILITIES
    information = {
        "general.architecture": "llama",
        "general.parameter_count": 8_030_261_248,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": 4096,
    }
    told = {
        "license": "MIT",
        "modelfile": f"FROM {name}\n",
        "parameters": 'stop    "<|end|>"',
        "template": "{{ .Prompt }}",
        "details": DETAILS,
        "model_info": information,
        "capabilities": capabilities,
        "modified_at": moment(0),
    }
    return Reply(200, encode(told))
