"""Which model was drawn behind an arena entry, told in the answer as the ecosystem's clients look for it."""

from modelyard.canonical.snapshot import Model
from modelyard.core import raw
from modelyard.gateway.call import Call, Reply

# The one operation whose clients look: OpenAI's chat. Every answer says it in `x-modelyard-model` as well.
OPERATION = "openai.chat"
FIELD = "selected_model_id"


def tell_choice(call: Call, model: Model, reply: Reply) -> None:
    """Put it into the answer: a field of a whole one, a first event of a stream. That is a chunk without choices, as clients
    know it of usage."""
    if call.operation.id != OPERATION:
        return
    if (b"content-type", call.operation.stream_type) in reply.headers:
        chunk = {
            "id": call.id,
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": model.id,
            "choices": [],
            FIELD: model.id,
        }
        reply.body = b"data: " + raw.encode(chunk) + b"\n\n" + reply.body
        return
    try:
        reply.body = raw.join({FIELD: raw.raw_of(model.id), **raw.split(reply.body)})
    except raw.NotJson:
        return  # an answer that is no object has no fields
