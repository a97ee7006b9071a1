"""The hub's vocabulary for embeddings."""

import msgspec

from modelyard.canonical.chat import Controls
from modelyard.canonical.usage import Usage


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """Texts to embed. A list of token ids stands where a caller sent tokens instead of text."""

    inputs: list[str | list[int]]
    controls: Controls
    dimensions: int | None = None
    unread: list[str] = []


class EmbeddingReply(msgspec.Struct, kw_only=True):
    """One vector for each input, in order; each is still the JSON array of numbers that the backend wrote."""

    vectors: list[msgspec.Raw]
    usage: Usage | None = None
    model: str = ""
