"""How an answer comes: its pace, and the faults of its script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from modelyard.upstream.scripted.answers import answer
from modelyard.upstream.scripted.form import Act, Answer, Call, Finish, Form, Pace, Reply, Usage

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

AFTER_EVENTS = frozenset({Act.CUT, Act.STALL, Act.BROKEN_LINE, Act.ERROR_EVENT, Act.FAILED})
WORDLESS = Answer([], Finish.STOP, Usage(input=0, output=0))


class Cut(Exception):
    """The script closes the connection here."""


async def play(call: Call, send: Send) -> None:
    """Send what the script says. Raises Cut where it closes the connection."""
    script = call.script
    if script.act is Act.CUT_FIRST:
        raise Cut
    if script.act is Act.STALL_FIRST:
        await _forever()
    if script.pace is Pace.HEAD:
        await asyncio.sleep(call.delay)
    if script.reply is not None:
        await reply(send, script.reply)
    elif script.fault is not None:
        fault = script.fault(call)
        headers = (("retry-after", str(fault.retry_after)),) if fault.retry_after is not None else ()
        await reply(send, Reply(fault.status, call.form.error(fault), headers=headers))
    elif call.stream:
        await _play_stream(call, send)
    else:
        await _play_whole(call, send)


async def reply(send: Send, whole: Reply) -> None:
    """Send an answer that has nothing to do with a script's pace."""
    await _head(send, whole.status, whole.content_type, whole.headers, len(whole.body))
    await send({"type": "http.response.body", "body": whole.body})


async def _head(
    send: Send, status: int, content_type: str, headers: tuple[tuple[str, str], ...] = (), length: int | None = None
) -> None:
    fields = [("content-type", content_type), *headers]
    if length is not None:
        fields.append(("content-length", str(length)))
    encoded = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def _play_stream(call: Call, send: Send) -> None:
    script = call.script
    content_type = script.content_type or call.form.stream_type
    await _head(send, 200, content_type, (("cache-control", "no-cache"),))
    if script.act is not Act.EMPTY:
        async for event in _events(call):
            # JSON has no bare line feed, so each one is the framing's.
            payload = event if script.newline == b"\n" else event.replace(b"\n", script.newline)
            step = script.write or len(payload)
            for start in range(0, len(payload), step):
                await send({"type": "http.response.body", "body": payload[start : start + step], "more_body": True})
                await asyncio.sleep(0)  # a write of its own, and a chance for others
    await send({"type": "http.response.body", "body": b""})


async def _events(call: Call) -> AsyncIterator[bytes]:
    """The events of the stream at their pace, with what the script does after n of them."""
    script, form = call.script, call.form
    assert form.events is not None
    for count, event in enumerate(form.events(call, answer(call))):
        if count > 0 or script.pace is Pace.BODY:
            await asyncio.sleep(0 if script.pace is Pace.HEAD else call.delay)
        if count == call.events and script.act in AFTER_EVENTS:
            if script.act is Act.CUT:
                raise Cut
            if script.act is Act.STALL:
                await _forever()
            if script.act in (Act.ERROR_EVENT, Act.FAILED):
                yield form.fault(call)
                return
            yield form.broken
        yield event
    if form.done and script.act not in (Act.NO_DONE, Act.TRUNCATED):
        yield form.done


def _whole(call: Call, form: Form) -> tuple[bytes, str, int]:
    """The body of one JSON, its type, and how many events it would have been."""
    said = answer(call) if form.speaks else WORDLESS
    made = form.whole(call, said)
    body, act = made.body, call.script.act
    if act is Act.EMPTY:
        body = b""
    elif act in (Act.ERROR_EVENT, Act.FAILED):
        body = form.fault(call)
    elif act is Act.BROKEN_LINE:
        body = body[: len(body) // 2]
    return body, made.content_type, said.size if form.speaks else 1


async def _play_whole(call: Call, send: Send) -> None:
    script = call.script
    body, content_type, count = _whole(call, call.form)
    if script.pace is Pace.EVENTS:
        await asyncio.sleep(call.delay * count)
    await _head(send, 200, script.content_type or content_type, (), len(body))
    if script.act in (Act.CUT, Act.STALL):
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if script.act is Act.CUT:
            raise Cut
        await _forever()
    step = -(-len(body) // max(call.events, 1)) if script.pace is Pace.BODY else len(body)
    for start in range(0, len(body), max(step, 1)):
        if script.pace is Pace.BODY:
            await asyncio.sleep(call.delay)
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
    await send({"type": "http.response.body", "body": b""})
