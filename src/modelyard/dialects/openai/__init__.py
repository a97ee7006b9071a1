"""The OpenAI dialect (API reference: chat completions, completions, embeddings, models)."""

from modelyard.dialects.dialect import Dialect
from modelyard.dialects.openai import answer, errors, request

OPENAI = Dialect(
    name="openai",
    operations=request.OPERATIONS,
    read_head=request.read_head,
    overlay=request.overlay,
    address=request.address,
    asked_for_usage=request.asked_for_usage,
    read_usage=answer.read_usage,
    tap=answer.OpenAITap,
    read_error=errors.read_error,
    write_error=errors.write_error,
    write_stream_error=errors.write_stream_error,
)
