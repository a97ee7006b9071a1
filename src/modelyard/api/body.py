"""Reading a request's body, bounded."""

from modelyard.api.reply import Receive, Scope
from modelyard.core.errors import Kind, Problem


class ClientLeft(Exception):
    """The client went away while it was still sending."""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises Problem TOO_LARGE before reading more, and ClientLeft."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        if size > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if size > limit:
        raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(
        Kind.TOO_LARGE,
        f"The request body is larger than {limit} bytes. Send less, or ask the operator to raise MODELYARD_MAX_BODY_BYTES.",
    )
