"""A stream that is closed before anybody has begun to read it."""

from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

from modelyard.canonical.record import LEFT
from modelyard.dialects.openai.answer import OpenAITap
from modelyard.gateway.relay import OpenStream, Relay
from tests.unit.make import target


async def no_chunks() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk


async def test_closing_what_nobody_began_to_read_frees_the_backend_and_the_books() -> None:
    """The caller may be gone before the head is sent: a generator that never ran has no `finally` to do it."""
    answer, books = mock.Mock(), mock.Mock()
    stream: Any = OpenStream(answer, no_chunks(), OpenAITap(False), b"data: {}\n\n")
    await Relay(stream, target("a"), books).aclose()
    answer.abort.assert_called()
    books.close.assert_called_once_with(LEFT, None, 0)
