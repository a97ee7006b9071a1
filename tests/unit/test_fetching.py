"""What a request names by its address must not lead into this machine or its network."""

import asyncio
import base64
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from modelyard.canonical.chat import Media
from modelyard.canonical.endpoint import Endpoint
from modelyard.core.errors import Kind, Problem
from modelyard.gateway.fetching import MAX_AT_ONCE, MAX_FETCHES, MAX_URL, Fetcher, is_public

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "not an address", "", "192.0.2.1", "198.18.0.1",
    "168.63.129.16", "192.0.0.192", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:1.1.1.1", "fec0::1", "64:ff9b:1::7f00:1",
    "2001:0:102:304::1", "2001:db8::1", "2002:101:101::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_addresses_of_the_open_internet_are(address: str) -> None:
    assert is_public(address)


class Page:
    """An answer that is there already."""

    def __init__(self, status: int, content_type: str | None, body: bytes) -> None:
        self.status = status
        self._content_type = content_type
        self._body = body
        self.aborted = False

    def header(self, name: str) -> str | None:
        return self._content_type if name == "content-type" else None

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise Problem(Kind.UPSTREAM_FAILED, "too large")
        return self._body

    def abort(self) -> None:
        self.aborted = True


class Recorder:
    """Stands where the HTTP client is: nothing in these tests may leave the machine."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[tuple[Endpoint, str]] = []

    async def send(
        self, endpoint: Endpoint, method: str, path: str, headers: Sequence[Any], body: bytes, *, stream: bool
    ) -> Page:
        assert (method, body) == ("GET", b"")
        self.asked.append((endpoint, path))
        return self.page


PNG = Page(200, "image/png; charset=binary", b"picture")


def fetcher(page: Page, *hosts: str) -> tuple[Fetcher, Recorder]:
    recorder = Recorder(page)
    client: Any = recorder
    return Fetcher(client, frozenset(hosts)), recorder


async def test_content_takes_the_place_of_the_address_and_the_address_is_pinned() -> None:
    medium = Media(kind="image", url="http://127.0.0.1:81/a%20b.png?size=1&x=2")
    fetch, recorder = fetcher(PNG, "127.0.0.1")
    await fetch.fill([medium])
    assert (medium.url, medium.media_type, medium.data) == (None, "image/png", base64.b64encode(b"picture").decode())
    [(endpoint, path)] = recorder.asked
    assert (endpoint.host, endpoint.port, endpoint.address, path) == (
        "127.0.0.1",
        81,
        "127.0.0.1",
        "/a%20b.png?size=1&x=2",
    )
    assert PNG.aborted


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:11434/api/tags", "http://[::1]/", "http://169.254.169.254/latest/meta-data",
        "http://0x7f000001/", "http://2130706433/", "http://127.1/", "file:///etc/passwd", "ftp://example.com/a",
        "http://", "http://user:password@example.com/", "http://exa mple.com/", "http://127.0.0.1#@example.com/", "",
        "gopher://127.0.0.1:70/_", "http://a.invalid/x.png", "http://example.com:0/", "http://example.com:99999/", "\0",
        "http://\ud800/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1%25lo]/",
    ],
)  # fmt: skip
async def test_addresses_that_lead_inside_or_nowhere_are_refused_before_anything_is_sent(url: str) -> None:
    fetch, recorder = fetcher(PNG)
    with pytest.raises(Problem) as caught:
        await fetch.fill([Media(kind="image", url=url)])
    assert caught.value.kind is Kind.INVALID_REQUEST
    assert recorder.asked == []


@pytest.mark.parametrize(
    "page",
    [
        Page(302, "image/png", b""),
        Page(404, "image/png", b""),
        Page(200, "text/html", b"<html>"),
        Page(200, None, b"x"),
        Page(200, "application/json", b"{}"),
        Page(200, "image/png", b"x" * (20 * 1024 * 1024 + 1)),
    ],
    ids=["redirect", "missing", "page", "untyped", "json", "huge"],
)
async def test_what_is_no_medium_is_refused(page: Page) -> None:
    fetch, _ = fetcher(page, "127.0.0.1")
    with pytest.raises(Problem) as caught:
        await fetch.fill([Media(kind="image", url="http://127.0.0.1/x")])
    assert caught.value.kind is Kind.INVALID_REQUEST
    assert "http://127.0.0.1/x" in caught.value.message


async def test_a_request_may_name_a_bounded_number_of_addresses() -> None:
    fetch, recorder = fetcher(PNG, "127.0.0.1")
    with pytest.raises(Problem):
        await fetch.fill([Media(kind="image", url="http://127.0.0.1/x")] * (MAX_FETCHES + 1))
    assert recorder.asked == []


async def test_nothing_is_fetched_where_it_is_switched_off() -> None:
    recorder: Any = Recorder(PNG)
    with pytest.raises(Problem) as caught:
        await Fetcher(recorder, None).fill([Media(kind="image", url="http://127.0.0.1/x")])
    assert "MODELYARD_FETCH_URLS" in caught.value.message
    assert recorder.asked == []


class Crowd:
    """Where several are at once: each that comes in stays until `enough` are there, and a while after that."""

    def __init__(self, enough: int) -> None:
        self.inside = self.most = 0
        self._enough = enough
        self._came = asyncio.Event()

    async def stay(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside >= self._enough:
            self._came.set()
        await self._came.wait()  # what is tested has its own time, and fails when it is over
        for _ in range(50):  # turns of the loop, in which one too many would come in
            await asyncio.sleep(0)
        self.inside -= 1


async def test_several_are_fetched_side_by_side() -> None:
    crowd = Crowd(5)

    class Slow(Recorder):
        async def send(self, *arguments: Any, **named: Any) -> Page:
            await crowd.stay()
            return await super().send(*arguments, **named)

    client: Any = Slow(PNG)
    media = [Media(kind="image", url=f"http://127.0.0.1/{number}") for number in range(5)]
    await Fetcher(client, frozenset({"127.0.0.1"})).fill(media)
    assert crowd.most == 5
    assert all(medium.data for medium in media)


HOME = frozenset({"127.0.0.1"})


def named(*urls: str) -> list[Media]:
    return [Media(kind="image", url=url) for url in urls]


async def refusal(fetch: Fetcher, *urls: str) -> str:
    media = named(*urls)
    with pytest.raises(Problem) as caught:
        await fetch.fill(media)
    assert caught.value.kind is Kind.INVALID_REQUEST
    assert all(medium.data is None for medium in media)
    return caught.value.message


async def test_the_media_of_one_request_are_bounded_together() -> None:
    client: Any = Recorder(Page(200, "image/png", b"x" * 100))
    urls = [f"http://127.0.0.1/{number}" for number in range(3)]
    await Fetcher(client, HOME, 300).fill(named(*urls))
    assert "too large" in await refusal(Fetcher(client, HOME, 299), *urls)
    assert "too large" in await refusal(Fetcher(client, HOME, 299), *[urls[0]] * 3)


async def test_an_address_named_twice_is_fetched_once() -> None:
    fetch, recorder = fetcher(PNG, "127.0.0.1")
    media = named(*["http://127.0.0.1/x"] * 5)
    await fetch.fill(media)
    assert len(recorder.asked) == 1
    assert all((medium.url, medium.data) == (None, base64.b64encode(b"picture").decode()) for medium in media)


async def test_the_process_fetches_a_bounded_number_at_once() -> None:
    crowd = Crowd(MAX_AT_ONCE)

    class Slow(Recorder):
        async def send(self, *arguments: Any, **more: Any) -> Page:
            await crowd.stay()
            return self.page

    client: Any = Slow(PNG)
    fetch = Fetcher(client, HOME)
    await asyncio.gather(*(fetch.fill(named(*(f"http://127.0.0.1/{i}/{j}" for j in range(15)))) for i in range(3)))
    assert crowd.most == MAX_AT_ONCE


async def test_the_first_that_fails_ends_the_others() -> None:
    class Stuck(Recorder):
        ended = False

        async def send(self, endpoint: Endpoint, method: str, path: str, *arguments: Any, **more: Any) -> Page:
            if path == "/bad":
                return Page(404, None, b"")
            try:
                return await asyncio.Future()
            finally:
                Stuck.ended = True

    client: Any = Stuck(PNG)
    assert "status 404" in await refusal(Fetcher(client, HOME), "http://127.0.0.1/good", "http://127.0.0.1/bad")
    assert Stuck.ended


async def test_a_long_address_is_refused() -> None:
    fetch, recorder = fetcher(PNG, "127.0.0.1")
    base = "http://127.0.0.1/"
    assert "longer" in await refusal(fetch, base + "x" * (MAX_URL - len(base) + 1))
    assert recorder.asked == []
    await fetch.fill(named(base + "x" * (MAX_URL - len(base))))


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/a/", "/a/"),
        ("/a//b/?", "/a//b/?"),
        ("", "/"),
        ("?x=1", "/?x=1"),
        ("/a/?s=%2F/&t=a+b?c#part", "/a/?s=%2F/&t=a+b?c"),
    ],
)
async def test_path_and_query_are_asked_for_as_they_are(path: str, asked: str) -> None:
    fetch, recorder = fetcher(PNG, "127.0.0.1")
    await fetch.fill(named("http://127.0.0.1" + path))
    assert [seen for _, seen in recorder.asked] == [asked]


async def test_a_host_inside_and_one_that_is_not_there_are_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *arguments: Any, **more: Any) -> Any:
        if "inside" in host:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fetch, _ = fetcher(PNG)
    told = {
        (await refusal(fetch, f"http://{host}/")).replace(host, "") for host in ("inside.example", "absent.example")
    }
    assert len(told) == 1
    assert "its host is not a public one, or is not known" in told.pop()


async def test_a_host_is_looked_up_once_and_two_at_most_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    crowd = Crowd(2)

    async def look_up(host: str, *arguments: Any, **more: Any) -> Any:
        asked.append(host)
        await crowd.stay()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    fetch, recorder = fetcher(PNG)
    await fetch.fill(named(*(f"http://h{number % 5}.example:{80 + number}/{number}" for number in range(15))))
    assert sorted(asked) == [f"h{number}.example" for number in range(5)]
    assert crowd.most == 2
    assert len(recorder.asked) == 15


async def test_a_look_up_has_its_own_time_and_keeps_its_place_until_its_thread_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = asyncio.Event()

    async def look_up(*arguments: Any, **more: Any) -> Any:
        await free.wait()
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    monkeypatch.setattr("modelyard.gateway.fetching.LOOK_UP_SECONDS", 0.01)
    fetch, _ = fetcher(PNG)
    for number in range(2):
        assert "not known" in await refusal(fetch, f"http://h{number}.example/")
    assert fetch._look_ups.locked()
    free.set()
    async with asyncio.timeout(60):
        while fetch._look_ups.locked():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.UPSTREAM_UNREACHABLE, "it could not be reached"),
        (Kind.UPSTREAM_TIMEOUT, "it did not answer in time"),
        (Kind.UPSTREAM_FAILED, "it is too large, or it broke off"),
    ],
)
async def test_what_the_client_says_is_not_told(kind: Kind, told: str) -> None:
    class Failing(Recorder):
        async def send(self, *arguments: Any, **more: Any) -> Page:
            raise Problem(kind, "Connect call failed ('10.9.8.7', 80)")

    client: Any = Failing(PNG)
    message = await refusal(Fetcher(client, HOME), "http://127.0.0.1/x")
    assert told in message
    assert "10.9.8.7" not in message
