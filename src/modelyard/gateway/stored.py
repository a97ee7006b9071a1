"""What the responses API keeps between calls: a request may go on from an earlier answer by its id.

Backends are never asked to remember: the next call may go to another one. The kept turns are put in front of the
caller's input instead, whichever way it takes from there.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from modelyard.canonical.record import StoredTurn
from modelyard.core import log, raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.core.sse import EventSplitter, data_of
from modelyard.dialects.dialect import Operation
from modelyard.dialects.openai.responses import stored
from modelyard.gateway.call import Call, Reply, ReplyStream

_log = log.get(__name__)

PURGE_SECONDS = 600.0

# A turn that is larger is answered but not kept.
MOST_BYTES = 16 * 1024 * 1024


class Store(Protocol):
    """Where turns are kept (`db.responses`)."""

    async def save(self, turn: StoredTurn) -> None: ...

    async def chain(self, user_id: str, response_id: str, now: int, most_bytes: int) -> Sequence[str] | None: ...

    async def answer(self, user_id: str, response_id: str, now: int) -> str | None: ...

    async def forget(self, user_id: str, response_id: str) -> bool: ...

    async def purge(self, now: int) -> int: ...


class Kept(NamedTuple):
    """What an answer leaves behind: its id, the items that it holds, and itself."""

    response_id: str
    items: list[raw.Raw]
    answer: bytes


class StoredResponses:
    """Keeps answers of the responses API for `seconds`; 0 keeps nothing. A conversation of more than `most_bytes`, the
    bound of a request's body, is not recalled."""

    def __init__(self, store: Store, seconds: int, most_bytes: int) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._seconds = seconds

    def keeps(self, operation: Operation) -> bool:
        """True for the operation whose answers are kept."""
        return operation.id == "openai.responses"

    async def recall(self, call: Call, user_id: str) -> None:
        """Put the conversation that a call goes on from in front of its input. Raises Problem INVALID_REQUEST."""
        if not self.keeps(call.operation):
            return
        call.asked = call.fields
        previous = previous_id(call.fields)
        if previous is None:
            return
        turns = await self._store.chain(user_id, previous, int(time.time()), self._most_bytes)
        if turns is None:
            raise Problem(
                Kind.INVALID_REQUEST,
                f"Previous response with id '{previous[:200]}' not found: it was not stored, or not any more, or the "
                "conversation has become too long. Send the conversation as `input` instead.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        call.size += sum(len(turn) for turn in turns)
        items = [item for turn in turns for item in raw.split_list(raw.Raw(turn.encode()))]
        call.fields = stored.with_history(call.fields, raw.join_list(items))

    async def keep(self, call: Call, user_id: str, reply: Reply) -> Reply:
        """Keep the answer before the caller has the end of it."""
        asked = call.asked
        if asked is None or not self._seconds or reply.status != 200 or bytes(asked.get("store", b"true")) == b"false":
            return reply
        sent: Fields = asked

        async def save(found: Kept) -> None:
            await self._save(found, call, sent, user_id)

        if reply.stream is not None:
            reply.stream = _Keeping(reply.body, reply.stream, save)
            reply.body = b""
        else:
            found = stored.output_of(reply.body)
            if found is not None:
                await save(Kept(*found, answer=reply.body))
        return reply

    async def _save(self, found: Kept, call: Call, asked: Fields, user_id: str) -> None:
        try:
            items = stored.turn_items(asked, found.items)
            previous = previous_id(asked)
            if len(items) + len(found.answer) > MOST_BYTES or found.response_id == previous:
                return
            turn = StoredTurn(
                user_id=user_id,
                id=found.response_id,
                previous_id=previous,
                items=bytes(items).decode(),
                answer=found.answer.decode(),
                created_at=call.created,
                expires_at=call.created + self._seconds,
            )
            await self._store.save(turn)
        except Exception as error:  # noqa: BLE001 - the answer is there and paid for: the caller gets it
            _log.error("an answer could not be kept", call=call.id, error=type(error).__name__)

    async def read(self, user_id: str, response_id: str) -> bytes:
        """A stored answer. Raises Problem NOT_FOUND."""
        if "\0" in response_id:
            raise _unknown(response_id)
        found = await self._store.answer(user_id, response_id, int(time.time()))
        if found is None:
            raise _unknown(response_id)
        return found.encode()

    async def forget(self, user_id: str, response_id: str) -> None:
        """Remove a stored answer. Raises Problem NOT_FOUND."""
        if "\0" in response_id or not await self._store.forget(user_id, response_id):
            raise _unknown(response_id)

    async def run(self) -> None:
        """Remove what has expired, for ever."""
        while True:
            removed = 0
            try:
                removed = await self._store.purge(int(time.time()))
            except Exception as error:  # noqa: BLE001 - the database may be away; the next round does it
                _log.warning("expired answers could not be removed", error=type(error).__name__)
            await asyncio.sleep(0 if removed else PURGE_SECONDS)


class _Keeping:
    """A stream that passes on while the event with the whole answer in it is looked for."""

    def __init__(self, first: bytes, stream: ReplyStream, save: Callable[[Kept], Awaitable[None]]) -> None:
        self._stream = stream
        self._parts = self._pass_on(first, stream, save)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._parts

    async def aclose(self) -> None:
        """Close what is behind it too."""
        await self._stream.aclose()

    @staticmethod
    async def _pass_on(
        first: bytes, stream: ReplyStream, save: Callable[[Kept], Awaitable[None]]
    ) -> AsyncIterator[bytes]:
        await _save_from(first, save)
        yield first
        async for part in stream:
            await _save_from(part, save)
            yield part


async def _save_from(part: bytes, save: Callable[[Kept], Awaitable[None]]) -> None:
    """Save the answer when these whole events of a stream have it."""
    if b'"response.completed"' not in part and b'"response.incomplete"' not in part:
        return
    for event in EventSplitter().feed(part):
        found = stored.output_in_event(event)
        if found is not None:
            await save(Kept(*found, answer=bytes(raw.split(data_of(event))["response"])))


def previous_id(fields: Fields) -> str | None:
    """The id that a request goes on from. Raises Problem INVALID_REQUEST."""
    value = fields.get("previous_response_id")
    if value is None or bytes(value) == b"null":
        return None
    named = raw.value_of(value)
    if not isinstance(named, str) or not named or "\0" in named:
        raise Problem(
            Kind.INVALID_REQUEST, "`previous_response_id` must be the id of a response.", param="previous_response_id"
        )
    return named


def _unknown(response_id: str) -> Problem:
    return Problem(
        Kind.NOT_FOUND, f"There is no stored response `{response_id[:200]}`: it was not kept, or not any more."
    )
