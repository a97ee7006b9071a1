"""Embeddings of Ollama, both ways: /api/embed, and the older /api/embeddings with one prompt and one vector (api.md)."""

from typing import Any

import msgspec

from modelyard.canonical.chat import MAX_PARTS
from modelyard.canonical.embeddings import EmbeddingReply, EmbeddingRequest
from modelyard.canonical.usage import NOTHING
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.dialect import Asker, EmbeddingTranslation, Recipient, Written
from modelyard.dialects.faults import upstream_failed
from modelyard.dialects.ollama.answer import Figures, usage_of
from modelyard.dialects.ollama.errors import told_instead
from modelyard.dialects.ollama.parameters import place_loading, read_controls
from modelyard.dialects.ollama.words import quoted
from modelyard.dialects.reading import MALFORMED, NULL, too_many, value_in, wrong

_EMBED = frozenset({"model", "input", "dimensions", "options", "stream"})
_EMBEDDINGS = frozenset({"model", "prompt", "options", "stream"})

_inputs = msgspec.json.Decoder(str | list[str] | None)


class _Answer(Figures):
    embeddings: list[Raw] | None = None
    embedding: Raw = NULL
    model: Any = None
    error: Raw = NULL


_answer = msgspec.json.Decoder(_Answer)


def _read_embed(fields: Fields) -> EmbeddingRequest:
    try:
        given = _inputs.decode(fields.get("input", NULL))
    except MALFORMED:
        raise wrong("input", "a string or an array of strings") from None
    inputs: list[str | list[int]] = [given] if isinstance(given, str) else [*(given or ())]
    return _request(fields, inputs, "input", _EMBED)


def _read_embeddings(fields: Fields) -> EmbeddingRequest:
    prompt = value_in(fields.get("prompt", NULL), "prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise wrong("prompt", "a string")
    return _request(fields, [prompt] if prompt else [], "prompt", _EMBEDDINGS)


def _request(fields: Fields, inputs: list[str | list[int]], name: str, own: frozenset[str]) -> EmbeddingRequest:
    if not inputs:
        raise Problem(Kind.INVALID_REQUEST, f"`{name}` is empty: give a text to embed.", param=name)
    if len(inputs) > MAX_PARTS:
        raise too_many(name, "texts")
    controls, unread = read_controls(fields, own)
    dimensions = value_in(fields["dimensions"], "dimensions") if "dimensions" in own & fields.keys() else None
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool)):
        raise wrong("dimensions", "a whole number")
    # 0 and less: Ollama gives the whole vector.
    wanted = dimensions if dimensions is not None and dimensions > 0 else None
    return EmbeddingRequest(inputs=inputs, controls=controls, dimensions=wanted, unread=unread)


def _texts(request: EmbeddingRequest) -> list[str]:
    texts = [text for text in request.inputs if isinstance(text, str)]
    if len(texts) != len(request.inputs):
        raise Problem(
            Kind.INVALID_REQUEST,
            "This model's backend embeds text, not token ids: send `input` as a string or an array of strings.",
            param="input",
        )
    return texts


def _write_embed(request: EmbeddingRequest, recipient: Recipient) -> Written:
    body: dict[str, Any] = {"model": recipient.target.upstream_model, "input": _texts(request)}
    extra = request.controls.extras.get("dimensions")  # a preset's
    dimensions = request.dimensions or (extra if isinstance(extra, int) else None)
    if dimensions is not None:
        body["dimensions"] = dimensions
    return _written(body, request, [])


def _write_embeddings(request: EmbeddingRequest, recipient: Recipient) -> Written:
    texts = _texts(request)
    if len(texts) != 1:
        raise Problem(
            Kind.INVALID_REQUEST, "This model's backend embeds one text at a time: send one `input`.", param="input"
        )
    losses = [] if request.dimensions is None else ["dimensions"]
    return _written({"model": recipient.target.upstream_model, "prompt": texts[0]}, request, losses)


def _written(body: dict[str, Any], request: EmbeddingRequest, losses: list[str]) -> Written:
    placed = place_loading(request.controls)
    body.update(placed.root)
    placed.options.pop("dimensions", None)
    if placed.options:
        body["options"] = placed.options
    try:
        return Written(raw.encode(body), [*losses, *placed.losses])
    except UnicodeEncodeError:
        raise Problem(Kind.INVALID_REQUEST, "`input` holds text that is not valid Unicode.", param="input") from None


def _read_reply(body: bytes) -> EmbeddingReply:
    try:
        answer = _answer.decode(body)
    except MALFORMED:
        raise _not_an_answer() from None
    if bytes(answer.error) not in (b"null", b'""'):
        raise told_instead(answer.error)
    vectors = answer.embeddings
    if vectors is None:
        vectors = [answer.embedding]
    if any(bytes(memoryview(vector)[:1]) != b"[" for vector in vectors):
        raise _not_an_answer()
    model = answer.model if isinstance(answer.model, str) else ""
    return EmbeddingReply(vectors=vectors, usage=usage_of(answer), model=model)


def _not_an_answer() -> Problem:
    return upstream_failed("The backend answered with something that is not an embedding of Ollama's.")


def _write_embed_reply(reply: EmbeddingReply, asker: Asker) -> bytes:
    usage = reply.usage if reply.usage is not None else NOTHING
    return b'{"model":%b,"embeddings":[%b],"total_duration":0,"load_duration":0,"prompt_eval_count":%d}' % (
        quoted(asker.model),
        b",".join([bytes(vector) for vector in reply.vectors]),
        usage.all_input,
    )


def write_none(asker: Asker) -> bytes:
    """The answer to an /api/embed without a text."""
    return _write_embed_reply(EmbeddingReply(vectors=[]), asker)


def _write_embeddings_reply(reply: EmbeddingReply, asker: Asker) -> bytes:
    return b'{"embedding":%b}' % (bytes(reply.vectors[0]) if reply.vectors else b"[]")


EMBED = EmbeddingTranslation(
    read_request=_read_embed, write_request=_write_embed, read_reply=_read_reply, write_reply=_write_embed_reply
)
EMBEDDINGS = EmbeddingTranslation(
    read_request=_read_embeddings,
    write_request=_write_embeddings,
    read_reply=_read_reply,
    write_reply=_write_embeddings_reply,
)
