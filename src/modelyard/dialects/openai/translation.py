"""The OpenAI dialect's chat operations to and from the hub's vocabulary."""

from modelyard.dialects.dialect import ChatTranslation
from modelyard.dialects.openai import chat_answer, chat_request, text_completion
from modelyard.dialects.openai.chat_reader import ChatReader
from modelyard.dialects.openai.chat_writer import ChatWriter

CHAT = ChatTranslation(
    read_request=chat_request.read_request,
    write_request=chat_request.write_request,
    read_reply=chat_answer.read_reply,
    write_reply=chat_answer.write_reply,
    reader=ChatReader,
    writer=ChatWriter,
)

# A chunk of text is read where a chunk of a chat is: backends mix the two.
COMPLETIONS = ChatTranslation(
    read_request=text_completion.read_request,
    write_request=text_completion.write_request,
    read_reply=chat_answer.read_reply,
    write_reply=text_completion.write_reply,
    reader=ChatReader,
    writer=text_completion.TextWriter,
)
