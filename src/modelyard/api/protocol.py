"""uvicorn's HTTP protocol, with the writes of one turn of the event loop sent by one system call.

uvicorn writes the head and the body of an answer apart; each write is a system call, a packet, and a wake-up of the
client. Together they cost a fifth of a small call.

And with a bound on the head of a request: the parser has none, and a head comes before anybody has said who they are.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024  # Bytes of a request's line and headers; also of trailers, and of chunk framing in a row.
TOO_LARGE = b"The head of the request is larger than 64 KiB."
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(TOO_LARGE), TOO_LARGE)
)


class OneWriteATurn(asyncio.Transport):
    """A transport whose writes wait for the end of the turn. Everything else goes straight through."""

    __slots__ = ("_loop", "_transport", "_waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[Any] = []

    def write(self, data: Any) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def _flush(self) -> None:
        waiting = self._waiting
        if waiting:
            self._waiting = []
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._waiting = []
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._waiting))


class HttpProtocol(HttpToolsProtocol):
    """What the server speaks on each connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(OneWriteATurn(transport, self.loop))

    # Bytes fed since a head, a part of a body or a message was last complete.
    _fed = 0

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        if self._fed > MAX_HEAD and not self.transport.is_closing():
            self._refuse_head()

    def on_headers_complete(self) -> None:
        # What was fed may hold a part of the body too: measured is only what might be too large.
        if self._fed > MAX_HEAD and self._head_size() > MAX_HEAD:
            self._refuse_head()
            raise ValueError("the head is too large")  # Ends the parsing.
        self._fed = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fed = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():  # Else it has been answered.
            super().send_400_response(msg)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        if not self.cycle or self.cycle.response_complete:  # Else the answer before it would be broken into.
            self.transport.write(HEAD_TOO_LARGE)
        self.transport.close()
