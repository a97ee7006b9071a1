"""Speaks to the backends: load this, let that go, what is in memory. How each is told is in `dialects.memory`."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from modelyard.canonical.endpoint import Endpoint, Timeouts
from modelyard.canonical.records import ConnectionRow
from modelyard.control.snapshot.compile import compile_connection, request_headers
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.seal import MASK
from modelyard.dialects.flavours import FLAVOURS
from modelyard.dialects.memory import FAILED, LOADED, LOADING, UNLOADED, Command, Memory
from modelyard.dialects.openai.listing import NotAList
from modelyard.policy.access import other_spelling
from modelyard.upstream.client import Client, cause_of, sentence

POLL_SECONDS = 0.25
MOST_POLL_SECONDS = 2.0
STATES_SECONDS = 2.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
MOST_WORDS = 300


class CannotLoad(Exception):
    """The backend did not do it. The text is a sentence without secrets, nor the backend's name: that stands beside it."""


class NotSupported(CannotLoad):
    """This backend has no way to load or unload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One model at one backend, by the name that the backend knows."""

    row: ConnectionRow
    model: str

    @property
    def memory(self) -> Memory | None:
        return memory_of(self.row)


def memory_of(row: ConnectionRow) -> Memory | None:
    """What the backend of a connection can be told about its memory; None for a kind that loads nothing."""
    flavour = FLAVOURS.get(row.flavour)
    return flavour.memory if flavour is not None else None


async def load(client: Client, place: Place, seconds: float) -> None:
    """Load a model and return when it is in memory, within `seconds` in all. Raises CannotLoad."""
    await _bounded(_load(client, place, _memory(place), seconds), place.row, seconds)


async def unload(client: Client, place: Place, seconds: float) -> None:
    """Unload a model and return when it has left the memory, within `seconds` in all. Raises CannotLoad."""
    await _bounded(_unload(client, place, _memory(place), seconds), place.row, seconds)


async def _bounded(work: Coroutine[Any, Any, None], row: ConnectionRow, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        raise CannotLoad(f"Not done within {seconds:g} s.") from None
    except Problem as problem:
        raise CannotLoad(_harmless(row, cause_of(problem))) from None
    except NotAList:
        raise CannotLoad("The backend does not say what it has in memory.") from None


async def _load(client: Client, place: Place, memory: Memory, seconds: float) -> None:
    refused: _Refused | None = None
    for command in memory.load:
        try:
            await _tell(client, place, memory, command, seconds)
        except _Refused as error:
            refused = refused or error
            if error.status != 400:  # else the next command may fit this model
                break
        else:
            refused = None
            break
    if memory.waits:
        if refused is not None:
            raise refused
    else:  # one that refuses because it is loaded already, or on its way, is right
        await _become(client, place, memory, LOADED, refused)


async def _unload(client: Client, place: Place, memory: Memory, seconds: float) -> None:
    refused: _Refused | None = None
    try:
        await _tell(client, place, memory, memory.unload, seconds)
    except _Refused as error:
        refused = error
    await _become(client, place, memory, UNLOADED, refused)


async def states(client: Client, row: ConnectionRow) -> dict[str, str] | None:
    """What a backend has in memory: its name of a model to `loaded`, `loading` or `failed`. None: it did not say."""
    memory = memory_of(row)
    if memory is None:
        return {}
    try:
        async with asyncio.timeout(STATES_SECONDS):
            return await _states(client, row, memory)
    except (TimeoutError, Problem, NotAList, CannotLoad):
        return None


def state_of(model: str, known: dict[str, str]) -> str:
    """The state of one model among those that a backend told."""
    return known.get(model) or known.get(other_spelling(model)) or UNLOADED


class _Refused(CannotLoad):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def _memory(place: Place) -> Memory:
    memory = place.memory
    if memory is None:
        raise NotSupported("The backend cannot load or unload models.")
    return memory


async def _tell(client: Client, place: Place, memory: Memory, command: Command, seconds: float) -> None:
    body = raw.encode({"model": place.model, **command.fields})
    endpoint = _endpoint(place.row, seconds)
    answer = await client.send(endpoint, "POST", command.path, _headers(place.row), body, stream=False)
    try:
        told = await answer.read(MAX_ANSWER_BYTES)
    finally:
        answer.abort()
    if answer.status in memory.absent:
        raise NotSupported("The backend serves its models without loading or unloading them.")
    words = _error_in(told)
    if answer.status != 200 or words:
        reason = f"Status {answer.status}" + (f": {words}" if words else " without a reason")
        raise _Refused(answer.status, _harmless(place.row, reason))


async def _become(client: Client, place: Place, memory: Memory, wanted: str, refused: _Refused | None) -> None:
    """Wait for a state. Raises what the backend refused with, when the model is not there and not on its way."""
    pause = POLL_SECONDS
    while True:
        state = state_of(place.model, await _states(client, place.row, memory))
        if state == wanted or (wanted == UNLOADED and state == FAILED):
            return
        if refused is not None and state != LOADING:
            raise refused
        if state == FAILED:
            raise CannotLoad("Loading failed. The backend's own log says why.")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, MOST_POLL_SECONDS)


async def _states(client: Client, row: ConnectionRow, memory: Memory) -> dict[str, str]:
    endpoint = _endpoint(row, STATES_SECONDS)
    answer = await client.send(endpoint, "GET", memory.states_path, _headers(row), b"", stream=False)
    try:
        told = await answer.read(MAX_ANSWER_BYTES)
    finally:
        answer.abort()
    if answer.status != 200:
        raise CannotLoad(f"The backend does not say what it has in memory (status {answer.status}).")
    return memory.read_states(told)


def _endpoint(row: ConnectionRow, seconds: float) -> Endpoint:
    connect = min(row.timeouts.connect, seconds)
    timeouts = Timeouts(connect=connect, first_byte=seconds, idle=seconds)
    return replace(compile_connection(row).connection.endpoint, timeouts=timeouts)


def _headers(row: ConnectionRow) -> tuple[tuple[str, str], ...]:
    key = row.api_keys[0] if row.api_keys else None
    return request_headers(FLAVOURS[row.flavour], key, {name.lower(): value for name, value in row.headers.items()})


def _error_in(told: bytes) -> str:
    """A backend's own words for what went wrong; empty when there are none."""
    try:
        value = raw.value_of(raw.Raw(told))
    except raw.NotJson:
        return ""
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else ""


def _harmless(row: ConnectionRow, text: str) -> str:
    """A sentence of one bounded line without the connection's secrets."""
    for secret in (*row.api_keys, *row.headers.values()):
        if secret:
            text = text.replace(secret, MASK)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return sentence(line[:MOST_WORDS])
