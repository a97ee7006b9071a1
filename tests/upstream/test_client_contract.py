"""What both clients of the seam promise, over real sockets against small servers that say exactly what they are told.

Every promise is tried on both clients and on both event loops. Times: what must run out is short, what must not is
long, and nothing asserts how long something took beyond a generous bound.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.canonical.endpoint import Endpoint, Timeouts, Tls
from modelyard.core.errors import Kind, Problem
from modelyard.upstream import http1_connection
from modelyard.upstream.client import Client
from modelyard.upstream.http1 import MAX_HEADS, MAX_ROUTES, Http1Client
from modelyard.upstream.http1_connection import MAX_HEAD, MAX_WAITING, Connection, Exchange, Pool
from tests.servers import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMIT = 100 * 1024 * 1024
SHORT = 0.3  # what must run out
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's side of one connection."""

    def __init__(self, served: "Served", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.number = served.connections
        self.served = served

    async def request(self) -> bytes:
        """One whole request; b"" when the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + await self.reader.readexactly(length)
        self.served.requests.append(request)
        return request

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01 if len(parts) > 1 else 0)

    async def gone(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        self.served.gone.set()


class Served:
    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()
        self.scheme = "http"

    def endpoint(self, **options: Any) -> Endpoint:
        timeouts = Timeouts(
            **{name: options.pop(name) for name in ("connect", "first_byte", "idle") if name in options}
        )
        return Endpoint(
            **{"scheme": self.scheme, "host": "127.0.0.1", "port": self.port, "timeouts": timeouts, **options}
        )


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    served = Served()
    served.scheme = "http" if tls is None else "https"
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(Peer(served, reader, writer))
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tuple(tasks), timeout=5)
        await server.wait_closed()


def answering(*parts: bytes, then_close: bool = False) -> Handler:
    """A server that answers every request with these bytes."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.say(*parts)
            if then_close:
                return

    return handler


def in_loop(loop: str, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario; what the loop would only log, a lost exception say, fails it."""
    trouble: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
        async with asyncio.timeout(2 * PATIENCE):
            await scenario()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert not trouble


def promise(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Try a promise on each event loop."""
    wants_certificates = "certificates" in test.__code__.co_varnames[: test.__code__.co_argcount]

    def tried(make: Callable[[], Client], loop: str, certificates: dict[str, str]) -> None:
        async def scenario() -> None:
            client = make()
            try:
                await (test(client, certificates) if wants_certificates else test(client))
            finally:
                await client.close()
                await client.close()

        in_loop(loop, scenario)

    tried.__name__ = test.__name__
    tried.__doc__ = test.__doc__
    marked = pytest.mark.parametrize("loop", LOOPS)(tried)
    return pytest.mark.parametrize("make", [Http1Client])(marked)


async def ask(client: Client, endpoint: Endpoint, *, stream: bool = False, body: bytes = b"{}") -> tuple[int, bytes]:
    answer = await client.send(endpoint, "POST", "/v1/x", (("content-type", "application/json"),), body, stream=stream)
    if not stream:
        return answer.status, await answer.read(LIMIT)
    return answer.status, b"".join([chunk async for chunk in answer.chunks()])


async def fails(kind: Kind, call: Awaitable[Any]) -> Problem:
    with pytest.raises(Problem) as raised:
        await call
    assert raised.value.kind is kind, raised.value.message
    assert "127.0.0.1" in raised.value.message or "localhost" in raised.value.message
    return raised.value


# Requests.


@promise
async def test_the_request_is_sent_as_asked_and_nothing_is_added(client: Client) -> None:
    async with serving(answering(OK)) as served:
        endpoint = served.endpoint(path="/base", headers=(("x-own", "1"),))
        answer = await client.send(endpoint, "POST", "/v1/x?a=b%2Fc", [("accept", "*/*")], b"hello", stream=False)
        assert await answer.read(10) == b"ok"
        head, _, body = served.requests[0].partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        assert first == "POST /base/v1/x?a=b%2Fc HTTP/1.1"
        sent = sorted((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines))
        assert sent == [
            ("accept", "*/*"), ("content-length", "5"), ("host", f"127.0.0.1:{served.port}"), ("x-own", "1")
        ]  # fmt: skip
        assert body == b"hello"


@promise
async def test_a_path_that_is_not_ascii_is_percent_encoded(client: Client) -> None:
    async with serving(answering(OK)) as served:
        answer = await client.send(served.endpoint(), "GET", "/möd el", (), b"", stream=False)
        await answer.read(10)
        assert served.requests[0].startswith(b"GET /m%C3%B6d%20el HTTP/1.1\r\n")


@promise
async def test_injection_is_refused_before_anything_is_sent(client: Client) -> None:
    async with serving(answering(OK)) as served:
        endpoint = served.endpoint()
        for headers in [
            [("x", "a\r\nb: c")], [("x", "a\nb")], [("x", "a\0b")], [("x\r\ny", "a")], [("x y", "a")], [("", "a")],
            [("Transfer-Encoding", "chunked")], [("content-length", "9")],
        ]:  # fmt: skip
            with pytest.raises(ValueError):
                await client.send(endpoint, "POST", "/", headers, b"", stream=False)
        for method, path in [("GET", "/a\r\nb: c"), ("GET", "/a\0"), ("GET", "a"), ("GET / HTTP/1.1\r\n", "/")]:
            with pytest.raises(ValueError):
                await client.send(endpoint, method, path, (), b"", stream=False)
        with pytest.raises(ValueError):
            await client.send(served.endpoint(headers=(("x", "a\nb"),)), "GET", "/", (), b"", stream=False)
        assert served.requests == []


@promise
async def test_a_body_of_ten_megabytes_goes_both_ways(client: Client) -> None:
    big = bytes(range(256)) * 40960

    async def handler(peer: Peer) -> None:
        while request := await peer.request():
            body = request.partition(b"\r\n\r\n")[2]
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with serving(handler) as served:
        endpoint = served.endpoint()
        assert await ask(client, endpoint, body=big) == (200, big)
        assert await ask(client, endpoint, body=big, stream=True) == (200, big)
        assert served.connections == 1


@promise
async def test_a_hundred_calls_at_once_each_get_their_own_answer(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        while request := await peer.request():
            body = request.partition(b"\r\n\r\n")[2]
            await asyncio.sleep(0.01)
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with serving(handler) as served:
        endpoint = served.endpoint()
        for stream in (False, True):
            bodies = [b"%d" % number for number in range(100)]
            answers = await asyncio.gather(*(ask(client, endpoint, body=body, stream=stream) for body in bodies))
            assert answers == [(200, body) for body in bodies]
        assert served.connections <= 100


# Framing.


@promise
async def test_a_plain_answer_has_status_headers_and_body(client: Client) -> None:
    async with serving(answering(OK)) as served:
        answer = await client.send(served.endpoint(), "GET", "/", (), b"", stream=False)
        assert answer.status == 200
        assert answer.header("content-type") == "text/plain"
        assert answer.header("x-none") is None
        assert await answer.read(2) == b"ok"


@promise
async def test_a_chunked_answer_arrives_without_its_framing_or_trailers(client: Client) -> None:
    parts = (CHUNKED, b"5;ext=1\r\nhel", b"lo\r\n", b"1\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n")
    async with serving(answering(*parts)) as served:
        for stream in (False, True):
            assert await ask(client, served.endpoint(), stream=stream) == (200, b"hello world")
        assert served.connections == 1


@promise
async def test_chunks_are_handed_on_as_they_arrive(client: Client) -> None:
    go_on = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        await peer.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serving(handler) as served:
        answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=True)
        chunks = answer.chunks()
        assert await anext(chunks) == b"one"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"two"]


@promise
async def test_a_body_without_length_ends_with_the_connection(client: Client) -> None:
    async with serving(answering(b"HTTP/1.0 200 OK\r\n\r\nhal", b"lo", then_close=True)) as served:
        for stream in (False, True):
            assert await ask(client, served.endpoint(), stream=stream) == (200, b"hallo")
        assert served.connections == 2


@promise
async def test_interim_answers_are_skipped(client: Client) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with serving(answering(interim, OK)) as served:
        answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=False)
        assert (answer.status, answer.header("link"), await answer.read(10)) == (200, None, b"ok")


@promise
async def test_answers_without_a_body_end_with_their_head(client: Client) -> None:
    head_answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    async def handler(peer: Peer) -> None:
        while request := await peer.request():
            status = request.split(b" ")[1][1:]
            await peer.say(head_answer if request.startswith(b"HEAD") else b"HTTP/1.1 " + status + b" X\r\n\r\n")

    async with serving(handler) as served:
        endpoint = served.endpoint()
        for method, path, status in [
            ("HEAD", "/", 200),
            ("GET", "/204", 204),
            ("GET", "/304", 304),
            ("HEAD", "/", 200),
        ]:
            answer = await client.send(endpoint, method, path, (), b"", stream=False)
            assert (answer.status, await answer.read(10)) == (status, b"")
        assert served.connections == 1


@promise
async def test_a_redirect_is_an_answer_like_any_other(client: Client) -> None:
    redirect = b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(redirect)) as served:
        answer = await client.send(served.endpoint(), "GET", "/", (), b"", stream=False)
        assert (answer.status, answer.header("location"), await answer.read(10)) == (307, "/elsewhere", b"")
        assert len(served.requests) == 1


@promise
async def test_a_compressed_body_and_cookies_are_left_alone(client: Client) -> None:
    encoded = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nzzzz"
    async with serving(answering(encoded)) as served:
        for _ in range(2):
            assert await ask(client, served.endpoint()) == (200, b"zzzz")
        assert b"cookie" not in served.requests[1].lower()


@promise
async def test_malformed_answers_are_failures(client: Client) -> None:
    for malformed in [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ]:
        async with serving(answering(malformed, then_close=True)) as served:
            await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint()))


@promise
async def test_a_malformed_chunk_is_a_failure(client: Client) -> None:
    async with serving(answering(CHUNKED + b"2\r\nok\r\nzz\r\n")) as served:
        for stream in (False, True):
            await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint(), stream=stream))


@promise
async def test_big_headers_are_refused(client: Client) -> None:
    many = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 500) for number in range(2 * MAX_HEAD // 500))
    for big in [b"x: " + b"y" * 2 * MAX_HEAD + b"\r\n", many]:
        async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + big + b"\r\nok")) as served:
            await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint()))


@promise
async def test_a_body_over_the_limit_of_its_reader_is_refused_and_the_call_aborted(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.say(b"400\r\n" + b"x" * 1024 + b"\r\n")
        peer.served.gone.set()

    async with serving(handler) as served:
        answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=False)
        problem = await fails(Kind.UPSTREAM_FAILED, answer.read(100_000))
        assert "larger than" in problem.message
        await asyncio.wait_for(served.gone.wait(), PATIENCE)


# Connections.


@promise
async def test_a_connection_is_used_again(client: Client) -> None:
    async with serving(answering(OK)) as served:
        for _ in range(5):  # An endpoint that is equal shares the connections, too.
            assert await ask(client, served.endpoint()) == (200, b"ok")
        assert served.connections == 1


@promise
async def test_connection_close_is_respected(client: Client) -> None:
    async with serving(answering(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))) as served:
        for _ in range(2):
            assert await ask(client, served.endpoint()) == (200, b"ok")
        assert served.connections == 2


@promise
async def test_bytes_after_the_end_of_an_answer_never_become_the_next_answer(client: Client) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsmuggle"
    for extra in (smuggled, b"HTT", b"zzz"):
        async with serving(answering(OK + extra)) as served:
            for _ in range(2):
                with contextlib.suppress(Problem):
                    assert await ask(client, served.endpoint()) == (200, b"ok")
            assert served.connections == 2


@promise
async def test_bytes_on_an_idle_connection_never_become_the_next_answer(client: Client) -> None:
    said = asyncio.Event()

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.say(OK)
            await asyncio.sleep(0.02)
            await peer.say(OK.replace(b"ok", b"no"))
            said.set()

    async with serving(handler) as served:
        for _ in range(2):
            assert await ask(client, served.endpoint()) == (200, b"ok")
            await said.wait()
            await asyncio.sleep(0.05)
            said.clear()
        assert served.connections == 2


@promise
async def test_a_stale_connection_is_retried_once_on_a_fresh_one(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        if peer.number <= 2:
            await peer.request()  # Read and never answered: what the client sees of a connection closed as it sent.
        else:
            await answering(OK)(peer)

    async with serving(handler) as served:
        endpoint = served.endpoint()
        await asyncio.gather(ask(client, endpoint), ask(client, endpoint))
        assert served.connections == 2
        assert await ask(client, endpoint, body=b"again") == (200, b"ok")
        assert served.connections == 3
        assert [request.endswith(b"again") for request in served.requests] == [False, False, True, True]


@promise
async def test_a_fresh_connection_that_dies_is_a_failure_and_not_retried(client: Client) -> None:
    async with serving(answering(then_close=True)) as served:
        await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint()))
        assert served.connections == 1


@promise
async def test_an_answer_that_has_begun_is_never_retried(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Le")

    async with serving(handler) as served:
        endpoint = served.endpoint()
        await ask(client, endpoint)
        await fails(Kind.UPSTREAM_FAILED, ask(client, endpoint))
        assert len(served.requests) == 2


@promise
async def test_a_connection_that_the_server_closed_while_idle_is_not_used(client: Client) -> None:
    async with serving(answering(OK, then_close=True)) as served:
        for number in range(1, 4):
            assert await ask(client, served.endpoint()) == (200, b"ok")
            await asyncio.sleep(0.05)
            assert len(served.requests) == number


@promise
async def test_a_refused_connection_is_unreachable(client: Client) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # Bound and not listening: refused, and nobody else gets the port.
        for host in ("127.0.0.1", "localhost"):
            endpoint = Endpoint(scheme="http", host=host, port=bound.getsockname()[1])
            problem = await fails(Kind.UPSTREAM_UNREACHABLE, ask(client, endpoint))
            assert f"http://{host}:" in problem.message


@promise
async def test_a_name_that_does_not_resolve_is_unreachable(client: Client) -> None:
    for host in ("nowhere.invalid", "a" * 64 + ".invalid"):
        endpoint = Endpoint(scheme="http", host=host, port=80, timeouts=Timeouts(connect=20))
        with pytest.raises(Problem) as raised:
            await ask(client, endpoint)
        assert raised.value.kind is Kind.UPSTREAM_UNREACHABLE
        assert host in raised.value.message


@promise
async def test_connecting_to_a_black_hole_is_bounded(client: Client) -> None:
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # Fill the queue of the listener: further attempts are dropped without a word.
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        probe = opened.enter_context(socket.socket())
        probe.settimeout(SHORT)
        try:
            probe.connect(full.getsockname())
        except TimeoutError:
            pass
        else:
            pytest.skip("this system accepts more connections than the queue holds")
        endpoint = Endpoint(
            scheme="http", host="127.0.0.1", port=full.getsockname()[1], timeouts=Timeouts(connect=SHORT)
        )
        await fails(Kind.UPSTREAM_TIMEOUT, ask(client, endpoint))


@promise
async def test_connect_bounds_the_tls_handshake(client: Client) -> None:
    async with serving(lambda peer: peer.gone()) as served:
        await fails(Kind.UPSTREAM_TIMEOUT, ask(client, served.endpoint(scheme="https", connect=SHORT)))


# Ends that come too early, or not at all.


@promise
async def test_a_body_cut_short_is_a_failure(client: Client) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"
    async with serving(answering(cut, then_close=True)) as served:
        for stream in (False, True):
            await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint(), stream=stream))


@promise
async def test_a_chunked_body_cut_anywhere_is_a_failure_after_what_came(client: Client) -> None:
    for tail in (b"", b"5", b"5\r\n", b"5\r\nwo", b"5\r\nworld", b"5\r\nworld\r\n", b"0\r\n", b"0\r\nx: y\r\n"):
        async with serving(answering(CHUNKED + b"5\r\nhello\r\n" + tail, then_close=True)) as served:
            await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint()))
            answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=True)
            chunks = answer.chunks()
            assert (await anext(chunks)).startswith(b"hello")
            with pytest.raises(Problem) as raised:
                async for _ in chunks:
                    pass
            assert raised.value.kind is Kind.UPSTREAM_FAILED


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


@promise
async def test_silence_before_the_head_times_out_and_closes(client: Client) -> None:
    for stream in (False, True):
        async with serving(silent) as served:
            await fails(Kind.UPSTREAM_TIMEOUT, ask(client, served.endpoint(first_byte=SHORT), stream=stream))
            await asyncio.wait_for(served.gone.wait(), PATIENCE)


@promise
async def test_silence_after_the_head_is_bounded_by_first_byte(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        await peer.gone()

    for stream in (False, True):
        async with serving(handler) as served:
            await fails(Kind.UPSTREAM_TIMEOUT, ask(client, served.endpoint(first_byte=SHORT), stream=stream))
            await asyncio.wait_for(served.gone.wait(), PATIENCE)


async def drip(peer: Peer) -> None:
    """A chunk every tenth of a second, without an end."""
    await peer.request()
    await peer.say(CHUNKED)
    while True:
        await peer.say(b"1\r\nx\r\n")
        await asyncio.sleep(0.1)


@promise
async def test_first_byte_bounds_the_whole_of_an_answer_that_does_not_stream(client: Client) -> None:
    async with serving(drip) as served:
        await fails(Kind.UPSTREAM_TIMEOUT, ask(client, served.endpoint(first_byte=3 * SHORT, idle=60)))


@promise
async def test_a_stream_that_flows_outlives_every_timeout(client: Client) -> None:
    async with serving(drip) as served:
        answer = await client.send(served.endpoint(first_byte=3, idle=3), "POST", "/", (), b"", stream=True)
        begin = asyncio.get_running_loop().time()
        async for _ in answer.chunks():
            if asyncio.get_running_loop().time() - begin > 4:
                break
        answer.abort()


@promise
async def test_silence_between_chunks_times_out_after_what_came(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()

    async with serving(handler) as served:
        answer = await client.send(served.endpoint(idle=SHORT), "POST", "/", (), b"", stream=True)
        chunks = answer.chunks()
        assert await anext(chunks) == b"hello"
        await fails(Kind.UPSTREAM_TIMEOUT, anext(chunks))
        await asyncio.wait_for(served.gone.wait(), PATIENCE)


@promise
async def test_an_idle_timeout_does_not_outlive_its_answer(client: Client) -> None:
    async with serving(answering(OK)) as served:
        endpoint = served.endpoint(first_byte=2, idle=2)
        assert await ask(client, endpoint, stream=True) == (200, b"ok")
        await asyncio.sleep(2.5)
        assert await ask(client, endpoint, stream=True) == (200, b"ok")
        assert served.connections == 1


@promise
async def test_abort_closes_the_connection(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()

    for read_first in (False, True):
        async with serving(handler) as served:
            answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=True)
            if read_first:
                assert await anext(answer.chunks()) == b"hello"
            answer.abort()
            answer.abort()
            await asyncio.wait_for(served.gone.wait(), PATIENCE)


@promise
async def test_abort_of_a_complete_answer_keeps_the_connection(client: Client) -> None:
    async with serving(answering(OK)) as served:
        for _ in range(2):
            answer = await client.send(served.endpoint(), "POST", "/", (), b"", stream=False)
            assert await answer.read(10) == b"ok"
            answer.abort()
        assert served.connections == 1


@promise
async def test_cancelling_closes_the_connection(client: Client) -> None:
    async def after_head(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        await peer.gone()

    for handler in (silent, after_head):
        for stream in (False, True):
            async with serving(handler) as served:
                call = asyncio.create_task(ask(client, served.endpoint(), stream=stream))
                while not served.requests:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                await asyncio.wait_for(served.gone.wait(), PATIENCE)


@promise
async def test_closing_the_client_closes_its_connections(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.gone()

    async with serving(handler) as served:
        await ask(client, served.endpoint())
        await client.close()
        await asyncio.wait_for(served.gone.wait(), PATIENCE)
        with pytest.raises(Problem) as raised:
            await ask(client, served.endpoint())
        assert raised.value.kind is Kind.UNAVAILABLE


@promise
async def test_a_slow_reader_slows_the_server_and_is_not_taken_for_its_silence(client: Client) -> None:
    size, piece = 50 * 1024 * 1024, 64 * 1024
    sent = 0

    async def handler(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.say(b"x" * piece)
            sent += piece

    async with serving(handler) as served:
        answer = await client.send(served.endpoint(idle=2), "POST", "/", (), b"", stream=True)
        received, waits, most = 0, 0, 0
        async for chunk in answer.chunks():
            received += len(chunk)
            if waits < 2:
                waits += 1
                await asyncio.sleep(2.5)
                # What is not with us is in buffers of the kernel, a few megabytes on either side.
                assert sent - received < 25 * 1024 * 1024
            if isinstance(answer, Exchange):
                most = max(most, answer.waiting)
        assert received == size
        assert most <= 3 * MAX_WAITING


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of an own CA, and of a server's and a client's certificate with key that it signed."""
    folder = tmp_path_factory.mktemp("certificates")
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

    def make(name: str, signer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer, signing_key = signer or (subject, key)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        certificate = builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        Path(folder / f"{name}.pem").write_bytes(certificate + private)
        return subject, key

    authority = make("ca", None)
    make("server", authority)
    make("client", authority)
    make("other", None)
    return {name: str(folder / f"{name}.pem") for name in ("ca", "server", "client", "other")}


def server_context(certificates: dict[str, str], *, demand: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server"])
    context.set_alpn_protocols(["h2", "http/1.1"])
    if demand:
        context.load_verify_locations(certificates["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@promise
async def test_tls_with_a_known_authority_works_and_is_kept_alive(client: Client, certificates: dict[str, str]) -> None:
    protocols = []

    async def handler(peer: Peer) -> None:
        protocols.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(OK)(peer)

    big = b"x" * 3_000_000
    async with serving(handler, server_context(certificates)) as served:
        for stream in (False, True):
            endpoint = served.endpoint(tls=Tls(ca_file=certificates["ca"]))
            assert await ask(client, endpoint, body=big, stream=stream) == (200, b"ok")
        assert protocols == ["http/1.1"]


@promise
async def test_tls_of_an_unknown_authority_is_unreachable(client: Client, certificates: dict[str, str]) -> None:
    async with serving(answering(OK), server_context(certificates)) as served:
        for tls in (Tls(), Tls(ca_file=certificates["other"])):
            problem = await fails(Kind.UPSTREAM_UNREACHABLE, ask(client, served.endpoint(tls=tls)))
            assert "certificate" in problem.message
        assert served.requests == []


@promise
async def test_tls_that_is_not_verified_works(client: Client, certificates: dict[str, str]) -> None:
    async with serving(answering(OK), server_context(certificates)) as served:
        assert await ask(client, served.endpoint(tls=Tls(verify=False))) == (200, b"ok")


@promise
async def test_a_client_certificate_is_shown_when_demanded(client: Client, certificates: dict[str, str]) -> None:
    async with serving(answering(OK), server_context(certificates, demand=True)) as served:
        good = Tls(ca_file=certificates["ca"], client_cert=certificates["client"])
        assert await ask(client, served.endpoint(tls=good)) == (200, b"ok")
        # asyncio's server refuses without a word, so all that can be known is that the connection broke.
        await fails(Kind.UPSTREAM_FAILED, ask(client, served.endpoint(tls=Tls(ca_file=certificates["ca"]))))
        assert len(served.requests) == 1


@promise
async def test_a_refused_client_certificate_is_unreachable(client: Client, certificates: dict[str, str]) -> None:
    context = server_context(certificates, demand=True)

    def refuse() -> None:  # With a blocking socket, as only that says why it refuses.
        with listening.accept()[0] as raw, context.wrap_socket(raw, True, do_handshake_on_connect=False) as tls:
            with contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            socket.socket.recv(tls, 65536)  # The request; closing without reading it would reset the connection.

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = asyncio.create_task(asyncio.to_thread(refuse))
        endpoint = Endpoint(
            scheme="https", host="127.0.0.1", port=listening.getsockname()[1], tls=Tls(ca_file=certificates["ca"])
        )
        with pytest.raises(Problem) as raised:
            await ask(client, endpoint)
        assert raised.value.kind is Kind.UPSTREAM_UNREACHABLE
        await server


@promise
async def test_speaking_tls_to_a_plain_server_is_unreachable(client: Client) -> None:
    async def handler(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(handler) as served:
        await fails(Kind.UPSTREAM_UNREACHABLE, ask(client, served.endpoint(scheme="https")))


@promise
async def test_a_tls_file_that_cannot_be_used_is_unreachable(client: Client, certificates: dict[str, str]) -> None:
    async with serving(answering(OK), server_context(certificates)) as served:
        for tls in (Tls(ca_file="/nowhere.pem"), Tls(client_cert="/nowhere.pem")):
            await fails(Kind.UPSTREAM_UNREACHABLE, ask(client, served.endpoint(tls=tls)))


# Our own client alone.


@pytest.mark.parametrize("loop", LOOPS)
def test_the_number_of_idle_connections_is_bounded(loop: str) -> None:
    together = 10

    async def handler(peer: Peer) -> None:
        while await peer.request():
            while len(peer.served.requests) < together:  # so that none can use the connection of another
                await asyncio.sleep(0.01)
            await peer.say(OK)

    async def scenario() -> None:
        nonlocal together
        client = Http1Client(max_idle=3)
        async with serving(handler) as served:
            endpoint = served.endpoint()
            await asyncio.gather(*(ask(client, endpoint) for _ in range(10)))
            while len(client._connections) > 3:
                await asyncio.sleep(0.01)
            assert len(client._connections) == 3
            together = 13
            await asyncio.gather(*(ask(client, endpoint) for _ in range(3)))
            assert served.connections == 10
            await client.close()
            assert not client._connections

    in_loop(loop, scenario)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_idle_connection_is_closed_after_a_while(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_connection, "IDLE_SECONDS", SHORT)

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.gone()

    async def scenario() -> None:
        client: Client = Http1Client()
        async with serving(handler) as served:
            await ask(client, served.endpoint())
            await asyncio.wait_for(served.gone.wait(), PATIENCE)
        await client.close()

    in_loop(loop, scenario)


def test_what_is_remembered_per_endpoint_is_bounded() -> None:
    async def scenario() -> None:
        client = Http1Client()
        async with serving(answering(OK)) as served:
            for _ in range(MAX_ROUTES + 10):
                await ask(client, served.endpoint())
            assert served.connections == 1
            assert len(client._routes) == MAX_ROUTES
            endpoint = served.endpoint()
            for number in range(MAX_HEADS + 10):
                answer = await client.send(endpoint, "GET", f"/{number}", (), b"", stream=False)
                await answer.read(10)
            assert len(client._routes[id(endpoint)].heads) == MAX_HEADS
        await client.close()

    in_loop("uvloop", scenario)


def test_nothing_is_kept_of_an_endpoint_for_one_call() -> None:
    async def scenario() -> None:
        client = Http1Client()
        async with serving(answering(OK)) as served:
            for number in range(1, 4):
                assert await ask(client, served.endpoint(host="named.example", address="127.0.0.1")) == (200, b"ok")
                assert served.connections == number
            assert not client._routes
            assert not client._pools
            while client._connections:
                await asyncio.sleep(0.01)
        await client.close()

    in_loop("uvloop", scenario)


class Wire(asyncio.Transport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def exchange_over(loop: asyncio.AbstractEventLoop, data: list[bytes], *, end: bool) -> tuple[Exchange, Pool]:
    pool = Pool("http://127.0.0.1:1", 10)
    connection = Connection(loop, pool, set())
    connection.connection_made(Wire())
    exchange = connection.start(b"", Timeouts(), head_only=False, stream=True)
    for part in data:
        if not connection.transport.is_closing():
            connection.data_received(part)
    kept = bool(pool.idle)
    if end:
        connection.eof_received()
        connection.connection_lost(None)
    elif not kept:
        connection.connection_lost(None)
    if kept:
        pool.idle[connection] = None
        if connection._timer is not None:
            connection._timer.cancel()
    return exchange, pool


async def collect(exchange: Exchange) -> tuple[bytes, Problem | None]:
    body = b""
    try:
        async for chunk in exchange.chunks():
            body += chunk
    except Problem as problem:
        return body, problem
    return body, None


parts_of_a_body = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
framings = st.sampled_from(["length", "chunked", "close"])
places = st.lists(st.integers(0, 600), max_size=12)


def answer_bytes(parts: list[bytes], framing: str) -> bytes:
    body = b"".join(parts)
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Y: z\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunked":
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    return head + b"\r\n" + body


def split(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({place for place in at if place < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


@given(parts_of_a_body, framings, places, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_split_of_the_bytes_gives_the_same_answer(
    parts: list[bytes], framing: str, at: list[int], by_byte: bool
) -> None:
    data = answer_bytes(parts, framing)
    pieces = [data[index : index + 1] for index in range(len(data))] if by_byte else split(data, at)
    with asyncio.Runner() as runner:
        exchange, pool = exchange_over(runner.get_loop(), pieces, end=framing == "close")
        assert exchange.status == 200
        assert exchange.headers[0] == ("x-y", "z")
        assert runner.run(collect(exchange)) == (b"".join(parts), None)
        assert bool(pool.idle) == (framing != "close")


@given(parts_of_a_body, st.sampled_from(["length", "chunked"]), places, st.integers(1, 600))
@settings(max_examples=300, deadline=None)
def test_an_answer_cut_anywhere_is_never_taken_for_complete(
    parts: list[bytes], framing: str, at: list[int], missing: int
) -> None:
    data = answer_bytes(parts, framing)
    with asyncio.Runner() as runner:
        exchange, pool = exchange_over(runner.get_loop(), split(data[:-missing], at), end=True)
        body, problem = runner.run(collect(exchange))
        assert problem is not None and problem.kind is Kind.UPSTREAM_FAILED
        assert b"".join(parts).startswith(body)
        assert not pool.idle


@given(parts_of_a_body, st.sampled_from(["length", "chunked"]), places, st.binary(min_size=1, max_size=50))
@settings(max_examples=300, deadline=None)
def test_bytes_after_the_end_do_not_change_the_answer(
    parts: list[bytes], framing: str, at: list[int], extra: bytes
) -> None:
    data = answer_bytes(parts, framing)
    with asyncio.Runner() as runner:
        exchange, pool = exchange_over(runner.get_loop(), split(data + extra, at), end=False)
        assert runner.run(collect(exchange)) == (b"".join(parts), None)
        assert not pool.idle or not extra.strip(b"\r\n")
