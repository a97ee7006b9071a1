"""The OpenAI dialect (API reference: chat, completions, responses, embeddings, models, audio, images, moderations)."""

from collections.abc import Callable

from modelyard.canonical.snapshot import Preset, Target
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import (
    CHAT,
    EMBEDDINGS,
    ChatTranslation,
    Dialect,
    EmbeddingTranslation,
    Head,
    Operation,
    Passing,
)
from modelyard.dialects.openai import answer, embeddings, errors, request, translation
from modelyard.dialects.openai.media import MEDIA
from modelyard.dialects.openai.responses import RESPONSES

PING = b": keep-alive\n\n"


def _operation(
    name: str,
    family: str,
    path: str,
    read_head: Callable[[Fields], Head],
    overlay: Callable[[Fields, Preset, str | None], list[str]],
    chat: ChatTranslation | None = None,
    embedding: EmbeddingTranslation | None = None,
    address: Callable[[Fields, Target, bool], bytes] = request.address,
) -> Operation:
    return Operation(
        dialect="openai",
        name=name,
        family=family,
        path=path,
        read_head=read_head,
        passing=Passing(
            overlay=overlay,
            address=address,
            asked_for_usage=request.asked_for_usage,
            read_usage=answer.read_usage,
            tap=answer.OpenAITap,
            left_out=request.left_out,
        ),
        chat=chat,
        embeddings=embedding,
        ping=PING,
    )


def _write_error(problem: Problem, call_id: str) -> bytes:
    return errors.write_error(problem)


OPENAI = Dialect(
    name="openai",
    operations=(
        _operation(
            "chat", CHAT, "/v1/chat/completions", request.read_chat_head, request.overlay_chat, translation.CHAT
        ),
        _operation(
            "completions",
            CHAT,
            "/v1/completions",
            request.read_completions_head,
            request.overlay_text,
            translation.COMPLETIONS,
        ),
        _operation(
            "embeddings",
            EMBEDDINGS,
            "/v1/embeddings",
            request.read_embeddings_head,
            request.overlay_embeddings,
            embedding=embeddings.EMBEDDINGS,
            address=request.address_embeddings,
        ),
        RESPONSES,
        *MEDIA,
    ),
    read_error=errors.read_error,
    write_error=_write_error,
    statuses={},
)
