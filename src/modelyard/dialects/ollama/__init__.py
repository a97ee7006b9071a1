"""The Ollama dialect (api.md of Ollama): chat, generate, embed and the older embeddings, and its lists of models."""

from collections.abc import Callable

from modelyard.canonical.snapshot import Preset
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import (
    CHAT,
    EMBEDDINGS,
    NDJSON,
    Asker,
    ChatTranslation,
    Dialect,
    EmbeddingTranslation,
    Head,
    Operation,
    Passing,
)
from modelyard.dialects.ollama import (
    answer,
    embeddings,
    errors,
    passing,
    request_reader,
    request_writer,
    stream_reader,
    stream_writer,
)


def _operation(
    name: str,
    family: str,
    read_head: Callable[[Fields], Head],
    overlay: Callable[[Fields, Preset, str | None], list[str]],
    chat: ChatTranslation | None = None,
    embedding: EmbeddingTranslation | None = None,
) -> Operation:
    def alone(fields: Fields, asker: Asker) -> bytes | None:
        if embedding is not None:
            # As Ollama does. Its older operation is given one text.
            return embeddings.write_none(asker) if name == "embed" and passing.embeds_nothing(fields) else None
        if not passing.only_loads(name, fields):
            return None
        return answer.write_loaded(name, asker, unload=passing.only_unloads(name, fields))

    return Operation(
        dialect="ollama",
        name=name,
        family=family,
        path=f"/api/{name}",
        read_head=read_head,
        passing=Passing(
            overlay=overlay,
            address=passing.address,
            asked_for_usage=passing.asked_for_usage,
            read_usage=passing.read_usage,
            tap=passing.OllamaTap,
        ),
        chat=chat,
        embeddings=embedding,
        stream_type=NDJSON,
        alone=alone,
    )


OLLAMA = Dialect(
    name="ollama",
    operations=(
        _operation(
            "chat",
            CHAT,
            passing.read_chat_head,
            passing.overlay_chat,
            chat=ChatTranslation(
                read_request=request_reader.read_chat,
                write_request=request_writer.write_chat,
                read_reply=answer.read_reply,
                write_reply=answer.write_chat,
                reader=stream_reader.Reader,
                writer=stream_writer.write_chat,
            ),
        ),
        _operation(
            "generate",
            CHAT,
            passing.read_generate_head,
            passing.overlay_generate,
            chat=ChatTranslation(
                read_request=request_reader.read_generate,
                write_request=request_writer.write_generate,
                read_reply=answer.read_reply,
                write_reply=answer.write_generate,
                reader=stream_reader.Reader,
                writer=stream_writer.write_generate,
            ),
        ),
        _operation(
            "embed", EMBEDDINGS, passing.read_embed_head, passing.overlay_embeddings, embedding=embeddings.EMBED
        ),
        _operation(
            "embeddings",
            EMBEDDINGS,
            passing.read_embeddings_head,
            passing.overlay_embeddings,
            embedding=embeddings.EMBEDDINGS,
        ),
    ),
    read_error=errors.read_error,
    write_error=errors.write_error,
    spare=errors.spare,
    statuses={},
)
