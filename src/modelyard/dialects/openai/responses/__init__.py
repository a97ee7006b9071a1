"""The Responses API (API reference, "Responses")."""

from modelyard.dialects.dialect import CHAT, ChatTranslation, Operation, Passing
from modelyard.dialects.openai.request import left_out
from modelyard.dialects.openai.responses import answer, passing, request
from modelyard.dialects.openai.responses.stream_reader import ResponsesReader
from modelyard.dialects.openai.responses.stream_writer import ResponsesWriter

RESPONSES = Operation(
    dialect="openai",
    name="responses",
    family=CHAT,
    path="/v1/responses",
    read_head=request.read_head,
    passing=Passing(
        overlay=passing.overlay,
        address=passing.address,
        asked_for_usage=passing.asked_for_usage,
        read_usage=answer.read_usage,
        tap=passing.ResponsesTap,
        left_out=left_out,
    ),
    chat=ChatTranslation(
        read_request=request.read_request,
        write_request=request.write_request,
        read_reply=answer.read_reply,
        write_reply=answer.write_reply,
        reader=ResponsesReader,
        writer=ResponsesWriter,
    ),
    ping=b": keep-alive\n\n",
)
