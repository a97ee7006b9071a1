"""Where two states differ, as paths. They may have most of a megabyte each, so what is equal is never decoded, and the event
loop goes on in between."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import chain

from modelyard.control.snapshot.pace import Pace
from modelyard.core import raw

MAX_TOLD = 20  # paths of one change
_NULL = raw.raw_of(None)
_BETWEEN_LOOKS = 100  # names that are compared between two looks at the clock
_PIECE = 64 * 1024  # bytes of an object that are split at once
_NEXT_MEMBER = b', "'
_TRIES = 8  # where these bytes come so often within the members, there are few members


async def outline(old: str, new: str, pace: Pace) -> list[str]:
    """The first MAX_TOLD paths that `service.compared` finds for these two states, JSON objects as they are stored."""
    found: list[str] = []
    for path in _between(raw.Raw(old.encode()), raw.Raw(new.encode()), ""):
        if path is not None:
            found.append(path)
            if len(found) == MAX_TOLD:
                break
        if pace.is_due:
            await pace.rest()
    return found


def _between(old: raw.Raw, new: raw.Raw, place: str) -> Iterator[str | None]:
    """The paths below `place`, and None wherever there may be a pause."""
    before = yield from _split(bytes(old))
    after = yield from _split(bytes(new))
    for number, name in enumerate(chain(before, (name for name in after if name not in before))):
        if number % _BETWEEN_LOOKS == 0:
            yield None
        was, now = before.get(name, _NULL), after.get(name, _NULL)
        if was == now:
            continue
        if _is_object(was) and _is_object(now):
            yield from _between(was, now, f"{place}{name}.")
            continue
        first = raw.value_of(was)
        yield None
        second = raw.value_of(now)
        yield None
        if first != second or type(first) is not type(second):
            yield f"{place}{name}"


def _split(value: bytes) -> Generator[None, None, raw.Fields]:
    """`raw.split` with pauses: of tens of thousands of members it takes longer than anybody should wait."""
    fields: raw.Fields = {}
    start, size = 1, _PIECE
    while start + size < len(value):
        found = _first_members(value, start, size)
        if found is None:
            size *= 2
        else:
            piece, start = found
            fields.update(piece)
            size = _PIECE
        yield
    fields.update(raw.split(b"{" + value[start:]))
    yield
    return fields


def _first_members(value: bytes, start: int, size: int) -> tuple[raw.Fields, int] | None:
    """The members from `start` on that end within `size` bytes, and where the next one begins. Only what ends between two
    members can be read as an object."""
    end = start + size
    for _ in range(_TRIES):
        end = value.rfind(_NEXT_MEMBER, start, end)
        if end < 0:
            break
        with suppress(raw.NotJson):
            return raw.split(b"{" + value[start:end] + b"}"), end + 2
    return None


def _is_object(value: raw.Raw) -> bool:
    return memoryview(value)[0] == ord("{")
