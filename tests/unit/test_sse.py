import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.core import sse
from modelyard.core.sse import EventSplitter, EventTooLarge, data_of
from tests.unit.make import cut, marks

pieces = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r", b": ping", b"data: a", b"data:b", b"data", b"id: 1", b"x",
         "data: é".encode(), b"\xff", b"\xef\xbb\xbf"]
    ),
    max_size=25,
)  # fmt: skip
streams = pieces.map(b"".join)


def lines_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """(line, its end) by a walk over the bytes. A CR at the very end may be half of a CRLF, so it ends nothing yet."""
    found, start, index = [], 0, 0
    while index < len(data):
        byte = data[index : index + 1]
        if byte == b"\n":
            end = b"\n"
        elif byte == b"\r" and index + 1 == len(data):
            break
        elif byte == b"\r":
            end = b"\r\n" if data[index + 1 : index + 2] == b"\n" else b"\r"
        else:
            index += 1
            continue
        found.append((data[start:index], end))
        index += len(end)
        start = index
    return [*found, (data[start:], b"")]


def events_of(data: bytes) -> tuple[list[bytes], bytes]:
    """(whole events, the rest): an event ends where a line end follows a line end."""
    events, current, after_end = [], b"", False
    for line, end in lines_of(data):
        current += line + end
        if line == b"" and after_end and end:
            events.append(current)
            current, after_end = b"", False
        else:
            after_end = bool(end)
    return events, current


def whatwg_data(event: bytes) -> bytes:
    """The data buffer by the letter of WHATWG HTML, section 9.2.6."""
    buffer = b""
    for line in event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line.startswith(b":") or not line:
            continue
        name, colon, value = line.partition(b":")
        if colon and value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            buffer += value + b"\n"
    return buffer.removesuffix(b"\n")


@given(streams, marks)
def test_any_split_gives_the_same_events(data: bytes, places: list[int]) -> None:
    splitter = EventSplitter()
    events = [event for chunk in cut(data, places) for event in splitter.feed(chunk)]
    assert (events, splitter.rest) == events_of(data)
    assert b"".join(events) + splitter.rest == data


@given(streams)
def test_byte_by_byte(data: bytes) -> None:
    splitter = EventSplitter()
    events = [event for index in range(len(data)) for event in splitter.feed(data[index : index + 1])]
    assert (events, splitter.rest) == events_of(data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_also_at_a_border(end: bytes) -> None:
    data = b": hello" + end + end + b"data: 1" + end + end + b"data: 2" + end + b"data: 3" + end + end + b"data: 4"
    for place in range(len(data) + 1):
        splitter = EventSplitter()
        events = splitter.feed(data[:place]) + splitter.feed(data[place:])
        assert [data_of(event) for event in events] == [b"", b"1", b"2\n3"], place
        assert splitter.rest == b"data: 4"


def test_a_line_feed_after_a_chunk_that_ends_in_a_carriage_return_belongs_to_it() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\r\n\r") == []
    assert splitter.feed(b"\ndata: 2\r\n\r\n") == [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]
    assert splitter.rest == b""


def test_one_huge_event_in_many_chunks_costs_its_size_and_not_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    class Counting:
        def __init__(self, pattern: object) -> None:
            self.pattern = pattern

        def search(self, data: bytes) -> object:
            nonlocal looked_at
            looked_at += len(data)
            return self.pattern.search(data)  # type: ignore[attr-defined]

        def finditer(self, data: bytes) -> object:
            nonlocal looked_at
            looked_at += len(data)
            return self.pattern.finditer(data)  # type: ignore[attr-defined]

    monkeypatch.setattr(sse, "_END", Counting(sse._END))
    splitter = EventSplitter()
    chunk = b"x" * 10
    for count in range(1, 20_001):
        assert splitter.feed(chunk) == []
        assert len(splitter._parts) == count  # nothing was joined on the way
    [event] = splitter.feed(b"\r\n\r\n")
    assert len(event) == 200_004
    assert looked_at < 3 * len(event)


def test_an_event_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = EventSplitter()
    splitter.feed(b"x" * 60)
    splitter.feed(b"y" * 40)
    with pytest.raises(EventTooLarge):
        splitter.feed(b"z")
    splitter = EventSplitter()
    for _ in range(50):
        assert splitter.feed(b"data: " + b"x" * 90 + b"\n\n")  # the bound is for one event, not for the stream


field_lines = st.lists(
    st.sampled_from(
        [b"data", b"data:", b"data: ", b"data:  two", b"data: x", b"data:x", b"data:x:y", b" data: x", b"DATA: x", b"datax: y",
         b": comment", b":", b"event: e", b"id", b"retry: 1", b"x", b"data: \xff"]
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


@given(field_lines, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_data_of_follows_the_standard(lines: list[bytes], end: bytes) -> None:
    event = end.join(lines) + end + end
    assert data_of(event) == whatwg_data(event)
