"""What a request names by its address must not lead into this machine or its network."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import pytest

from modelyard.canonical.chat import Media
from modelyard.canonical.endpoint import Endpoint
from modelyard.core.errors import Kind, Problem
from modelyard.gateway.fetching import MAX_FETCHES, Fetcher, is_public

INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "not an address", "", "192.0.2.1", "198.18.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
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


async def test_several_are_fetched_side_by_side() -> None:
    class Slow(Recorder):
        running = most = 0

        async def send(self, *arguments: Any, **named: Any) -> Page:
            Slow.running += 1
            Slow.most = max(Slow.most, Slow.running)
            await asyncio.sleep(0.01)
            Slow.running -= 1
            return await super().send(*arguments, **named)

    client: Any = Slow(PNG)
    media = [Media(kind="image", url=f"http://127.0.0.1/{number}") for number in range(5)]
    await Fetcher(client, frozenset({"127.0.0.1"})).fill(media)
    assert Slow.most == 5
    assert all(medium.data for medium in media)
