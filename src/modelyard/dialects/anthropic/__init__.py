"""The Anthropic dialect (API reference, version 2023-06-01): messages, counts of their tokens, and its list of models."""

from modelyard.dialects.anthropic import answer, errors, passing, request_reader, request_writer
from modelyard.dialects.anthropic.stream_reader import StreamReader
from modelyard.dialects.anthropic.stream_writer import StreamWriter
from modelyard.dialects.anthropic.tap import AnthropicTap
from modelyard.dialects.anthropic.words import NAME
from modelyard.dialects.dialect import CHAT, COUNT, ChatTranslation, Dialect, Operation, Passing

PING = b'event: ping\ndata: {"type": "ping"}\n\n'

_MESSAGES = ChatTranslation(
    read_request=request_reader.read_request,
    write_request=request_writer.write_request,
    read_reply=answer.read_reply,
    write_reply=answer.write_reply,
    reader=StreamReader,
    writer=StreamWriter,
)

ANTHROPIC = Dialect(
    name=NAME,
    operations=(
        Operation(
            dialect=NAME,
            name="messages",
            family=CHAT,
            path="/v1/messages",
            read_head=passing.read_head,
            passing=Passing(
                overlay=passing.overlay,
                address=passing.address,
                asked_for_usage=passing.asked_for_usage,
                read_usage=answer.read_usage,
                tap=AnthropicTap,
                left_out=passing.left_out,
            ),
            chat=_MESSAGES,
            ping=PING,
        ),
        # Its request is that of a message, which the gateway reads where no backend can count.
        Operation(
            dialect=NAME,
            name="count_tokens",
            family=COUNT,
            path="/v1/messages/count_tokens",
            read_head=passing.read_count_head,
            passing=Passing(
                overlay=passing.overlay_count,
                address=passing.address_count,
                asked_for_usage=passing.asked_for_usage,
                read_usage=passing.read_count,
                tap=AnthropicTap,
                left_out=passing.left_out,
            ),
            chat=_MESSAGES,
        ),
    ),
    read_error=errors.read_error,
    write_error=errors.write_error,
    statuses=errors.STATUSES,
    forwarded=frozenset({b"anthropic-beta", b"anthropic-version"}),
)
