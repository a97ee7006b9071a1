"""Asking a backend that is not connected yet: bounded in time and size, and nothing secret comes back."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ConnectionRow
from modelyard.control.discovery import LIST_SECONDS, SHORTEST_SECRET, ListFailed
from modelyard.control.snapshot.compile import compile_connection, request_headers
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.seal import MASK
from modelyard.upstream.client import Client, cause_of

VERSION_PATH = "/api/version"
MAX_VERSION_BYTES = 64 * 1024
MAX_VERSION_LENGTH = 100

Json = TypeVar("Json")


async def fetch_version(client: Client, row: ConnectionRow) -> str:
    """The version of an Ollama server, within LIST_SECONDS in all. Raises ListFailed."""
    compiled = compile_connection(row)
    bounds = Timeouts(connect=LIST_SECONDS, first_byte=LIST_SECONDS, idle=LIST_SECONDS)
    endpoint = replace(compiled.connection.endpoint, timeouts=bounds)
    own = {name.lower(): value for name, value in row.headers.items()}
    headers = request_headers(compiled.flavour, row.api_keys[0] if row.api_keys else None, own)
    status, told = 0, None
    try:
        async with asyncio.timeout(LIST_SECONDS):
            answer = await client.send(endpoint, "GET", VERSION_PATH, headers, b"", stream=False)
            try:
                status, body = answer.status, await answer.read(MAX_VERSION_BYTES)
            finally:
                answer.abort()
        if status == 200:
            told = raw.value_of(raw.Raw(body))
    except TimeoutError:
        raise ListFailed(f"No answer within {LIST_SECONDS:.0f} s.") from None
    except Problem as problem:
        raise ListFailed(cause_of(problem)) from None
    except raw.NotJson:
        pass  # told apart below
    if status != 200:
        raise ListFailed(f"Status {status} in place of a version.")
    version = told.get("version") if isinstance(told, dict) else None
    if not isinstance(version, str) or not version.isprintable() or len(version) > MAX_VERSION_LENGTH:
        raise ListFailed(f"No version at {VERSION_PATH}. Is it an Ollama server?")
    return str(without_secrets(row, version))


def without_secrets(row: ConnectionRow, value: Json) -> Json:
    """A backend's words without the keys and headers that it was sent."""
    secrets = [text for text in (*row.api_keys, *row.headers.values()) if len(text) >= SHORTEST_SECRET]

    def clean(part: Any) -> Any:
        if isinstance(part, str):
            for secret in secrets:
                part = part.replace(secret, MASK)
            return part
        if isinstance(part, Mapping):
            return {clean(name): clean(each) for name, each in part.items()}
        return [clean(each) for each in part] if isinstance(part, list) else part

    cleaned: Json = clean(value) if secrets else value
    return cleaned
