"""Server-sent events that tell their type in an `event:` line, as Anthropic and OpenAI's Responses API send them."""

from modelyard.core import sse

_DATA = b"\ndata: "


def event_data(event: bytes) -> bytes:
    """The data of one event. Nearly every one is two lines: `event: <name>` and `data: <json>`."""
    at = event.find(b"\n")
    two_lines = event.startswith(_DATA, at) and event.find(b"\n", at + 1, -2) < 0
    if two_lines and event.startswith(b"event:") and b"\r" not in event:
        return event[at + len(_DATA) : -2]
    return sse.data_of(event)
