"""What a request asked for, whatever its wire form: read tolerantly, because scripts must answer odd requests, too."""

import base64
import binascii
from typing import Any

import msgspec

# The first bytes of a picture, where nothing says what it is (Ollama).
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


class Asked(msgspec.Struct, kw_only=True):
    """The request. `see` tells all of it but what serves other scripts: `texts`, `limit`, `stops`, `include_usage`.

    `images`, `documents` and `audio` have {media_type, bytes} each, with a `url` or `file_id` where that is all there is
    and a `name` where there is one; `bytes` is -1 for what is not base64.
    """

    system: str = ""
    said: str = ""  # the last that the user said
    roles: list[str] = []
    images: list[dict[str, Any]] = []
    documents: list[dict[str, Any]] = []
    audio: list[dict[str, Any]] = []
    tools: list[str] = []  # the names of those on offer
    tool_calls: list[dict[str, Any]] = []  # of earlier turns: {id, name, arguments}
    tool_results: list[dict[str, Any]] = []  # {id, name, text, is_error}
    thinking: list[dict[str, Any]] = []  # of earlier turns: {text, signature}
    format: Any = None  # a JSON schema, "json", or None
    cache_marks: int = 0  # how many parts have a cache_control
    texts: list[str] = []  # of each message in their order, the system prompt included
    limit: int | None = None  # tokens
    stops: list[str] = []
    include_usage: bool = False

    def add(self, role: str, text: str) -> None:
        """One more message."""
        self.roles.append(role)
        self.texts.append(text)
        if role == "user":
            self.said = text
        elif role in ("system", "developer"):
            self.system = f"{self.system}\n{text}" if self.system else text

    def called(self, identifier: object, name: object, arguments: object) -> None:
        """A tool call of an earlier turn."""
        self.tool_calls.append({"id": identifier or "", "name": name or "", "arguments": arguments})

    def returned(self, identifier: object, text: str, *, name: object = "", is_error: bool = False) -> None:
        """A tool's result."""
        self.tool_results.append({"id": identifier or "", "name": name or "", "text": text, "is_error": is_error})

    def seen(self) -> dict[str, Any]:
        """What `see` tells."""
        return {
            "system": self.system,
            "said": self.said,
            "roles": self.roles,
            "images": self.images,
            "documents": self.documents,
            "audio": self.audio,
            "tools": self.tools,
            "tool_calls": self.tool_calls,
            "tool_results": self.tool_results,
            "thinking": self.thinking,
            "format": self.format,
            "cache_marks": self.cache_marks,
        }


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; nothing of what is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def field(value: object, *path: str) -> Any:
    """What is at `path` in nested objects; None if there is no such thing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def marks(value: object) -> int:
    """How many objects in here have a cache_control."""
    if isinstance(value, list):
        return sum(marks(one) for one in value)
    if isinstance(value, dict):
        return (value.get("cache_control") is not None) + sum(marks(one) for one in value.values())
    return 0


def strings(value: object) -> list[str]:
    """A string, or the strings of a list, that are not empty."""
    given = value if isinstance(value, list) else [value]
    return [one for one in given if isinstance(one, str) and one]


def number(*values: object) -> int | None:
    """The first of these that says how many."""
    return next((value for value in values if isinstance(value, int) and value), None)


def text_of(content: object) -> str:
    """The text of a message's content, or of a prompt: a string or a list of strings or of typed parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_of(part.get("text") if isinstance(part, dict) else part) for part in content)
    return ""


def packed(data: object, media_type: object = None, **more: object) -> dict[str, Any]:
    """An entry for base64 `data`. Without a media type it is told from the first bytes."""
    try:
        content = base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except (binascii.Error, ValueError):
        return {"media_type": media_type or "", "bytes": -1, **more}
    told = media_type or next((kind for begin, kind in _SIGNATURES.items() if content.startswith(begin)), "")
    return {"media_type": told, "bytes": len(content), **more}


def linked(url: object, **more: object) -> dict[str, Any]:
    """An entry for a URL, which may hold the data itself."""
    if isinstance(url, str) and url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return packed(data, head.partition(";")[0], **more)
    return {"media_type": "", "bytes": 0, "url": url, **more}
