"""What is served: a form for each path."""

from modelyard.upstream.scripted.chat import CHAT, COMPLETIONS
from modelyard.upstream.scripted.embeddings import EMBED, EMBEDDINGS, OLLAMA_EMBEDDINGS
from modelyard.upstream.scripted.form import Form
from modelyard.upstream.scripted.media import (
    IMAGE_EDITS,
    IMAGES,
    MODERATIONS,
    RERANK,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
)
from modelyard.upstream.scripted.messages import COUNT_TOKENS, MESSAGES
from modelyard.upstream.scripted.ollama import CHAT as OLLAMA_CHAT
from modelyard.upstream.scripted.ollama import GENERATE
from modelyard.upstream.scripted.responses import RESPONSES

FORMS: dict[str, Form] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/audio/speech": SPEECH,
    "/v1/audio/transcriptions": TRANSCRIPTIONS,
    "/v1/audio/translations": TRANSLATIONS,
    "/v1/images/generations": IMAGES,
    "/v1/images/edits": IMAGE_EDITS,
    "/v1/moderations": MODERATIONS,
    "/v1/rerank": RERANK,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
    "/api/chat": OLLAMA_CHAT,
    "/api/generate": GENERATE,
    "/api/embed": EMBED,
    "/api/embeddings": OLLAMA_EMBEDDINGS,
}
