"""The stock SDKs, with one key on one preset: sync and async, streaming and not, over a backend of each kind.

Every call is in the books with the tokens that its SDK showed.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import anthropic
import ollama
import openai
import pytest

from tests.conformance.asking import ANTHROPIC, DIALECTS, OLLAMA, OPENAI
from tests.conformance.lab import connect_scripted, listed
from tests.data_plane.people import until
from tests.servers import Scripted
from tests.yard import Yard, run_yard

PRESET = "assistant"
SYSTEM = "You are the house's assistant."
SAID = "one two three four"
# The scripted upstream counts words.
INPUT, OUTPUT = len(SYSTEM.split()) + len(SAID.split()), len(SAID.split())
OPENAI_MESSAGES: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": SAID}]
ANTHROPIC_MESSAGES: list[anthropic.types.MessageParam] = [{"role": "user", "content": SAID}]


@dataclass(frozen=True)
class Told:
    """What one SDK showed of one answer."""

    text: str
    input: int | None
    output: int | None


@dataclass(frozen=True)
class House:
    """A server with the preset, and the one key."""

    yard: Yard
    key: str

    def books(self) -> tuple[int, int]:
        """(calls, tokens) of the preset by the key so far."""
        row = self.yard.usage("model").get(PRESET, {"calls": 0, "tokens": 0})
        return row["calls"], row["tokens"]


@pytest.fixture(scope="module", params=DIALECTS)
def house(
    request: pytest.FixtureRequest, upstream: Scripted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """The preset stands over a model of a backend of each kind in turn."""
    folder = tmp_path_factory.mktemp(f"sdks-{request.param}")
    with run_yard(folder / "data", {"MODELS_CACHE_TTL": "0"}) as yard:
        connect_scripted(yard, upstream)
        form = {
            "id": PRESET,
            "name": PRESET,
            "base_model_id": listed(request.param, "echo"),
            "params": {"system": SYSTEM, "temperature": 0.5},
            "access_control": None,
        }
        made = yard.admin.post("/api/v1/models/create", json=form)
        assert made.status_code == 200, made.text
        yield House(yard, yard.make_key())


def openai_whole(house: House) -> Told:
    with openai.OpenAI(base_url=house.yard.base_url, api_key=house.key) as client:
        done = client.chat.completions.create(model=PRESET, messages=OPENAI_MESSAGES)
    return _openai(done)


def openai_stream(house: House) -> Told:
    with (
        openai.OpenAI(base_url=house.yard.base_url, api_key=house.key) as client,
        client.chat.completions.stream(
            model=PRESET, messages=OPENAI_MESSAGES, stream_options={"include_usage": True}
        ) as stream,
    ):
        stream.until_done()
        return _openai(stream.get_final_completion())


async def openai_async_whole(house: House) -> Told:
    async with openai.AsyncOpenAI(base_url=house.yard.base_url, api_key=house.key) as client:
        return _openai(await client.chat.completions.create(model=PRESET, messages=OPENAI_MESSAGES))


async def openai_async_stream(house: House) -> Told:
    async with (
        openai.AsyncOpenAI(base_url=house.yard.base_url, api_key=house.key) as client,
        client.chat.completions.stream(
            model=PRESET, messages=OPENAI_MESSAGES, stream_options={"include_usage": True}
        ) as stream,
    ):
        await stream.until_done()
        return _openai(await stream.get_final_completion())


def _openai(done: openai.types.chat.ChatCompletion) -> Told:
    assert done.usage is not None
    return Told(done.choices[0].message.content or "", done.usage.prompt_tokens, done.usage.completion_tokens)


def anthropic_whole(house: House) -> Told:
    with anthropic.Anthropic(base_url=house.yard.url, api_key=house.key) as client:
        return _anthropic(client.messages.create(model=PRESET, messages=ANTHROPIC_MESSAGES, max_tokens=100))


def anthropic_stream(house: House) -> Told:
    with (
        anthropic.Anthropic(base_url=house.yard.url, api_key=house.key) as client,
        client.messages.stream(model=PRESET, messages=ANTHROPIC_MESSAGES, max_tokens=100) as stream,
    ):
        return _anthropic(stream.get_final_message())


async def anthropic_async_whole(house: House) -> Told:
    async with anthropic.AsyncAnthropic(base_url=house.yard.url, api_key=house.key) as client:
        return _anthropic(await client.messages.create(model=PRESET, messages=ANTHROPIC_MESSAGES, max_tokens=100))


async def anthropic_async_stream(house: House) -> Told:
    async with (
        anthropic.AsyncAnthropic(base_url=house.yard.url, api_key=house.key) as client,
        client.messages.stream(model=PRESET, messages=ANTHROPIC_MESSAGES, max_tokens=100) as stream,
    ):
        return _anthropic(await stream.get_final_message())


def _anthropic(message: anthropic.types.Message) -> Told:
    text = "".join(block.text for block in message.content if block.type == "text")
    return Told(text, message.usage.input_tokens, message.usage.output_tokens)


def _headers(house: House) -> dict[str, str]:
    return {"authorization": f"Bearer {house.key}"}


def ollama_whole(house: House) -> Told:
    with ollama.Client(house.yard.url, headers=_headers(house)) as client:
        return _ollama([client.chat(PRESET, [{"role": "user", "content": SAID}])])


def ollama_stream(house: House) -> Told:
    with ollama.Client(house.yard.url, headers=_headers(house)) as client:
        return _ollama(list(client.chat(PRESET, [{"role": "user", "content": SAID}], stream=True)))


async def ollama_async_whole(house: House) -> Told:
    async with ollama.AsyncClient(house.yard.url, headers=_headers(house)) as client:
        return _ollama([await client.chat(PRESET, [{"role": "user", "content": SAID}])])


async def ollama_async_stream(house: House) -> Told:
    async with ollama.AsyncClient(house.yard.url, headers=_headers(house)) as client:
        lines = await client.chat(PRESET, [{"role": "user", "content": SAID}], stream=True)
        return _ollama([line async for line in lines])


def _ollama(lines: list[ollama.ChatResponse]) -> Told:
    assert lines[-1].done
    text = "".join(line.message.content or "" for line in lines)
    return Told(text, lines[-1].prompt_eval_count, lines[-1].eval_count)


SYNC: dict[str, Callable[[House], Told]] = {
    f"{OPENAI}-whole": openai_whole,
    f"{OPENAI}-stream": openai_stream,
    f"{ANTHROPIC}-whole": anthropic_whole,
    f"{ANTHROPIC}-stream": anthropic_stream,
    f"{OLLAMA}-whole": ollama_whole,
    f"{OLLAMA}-stream": ollama_stream,
}
ASYNC: dict[str, Callable[[House], Awaitable[Told]]] = {
    f"{OPENAI}-whole": openai_async_whole,
    f"{OPENAI}-stream": openai_async_stream,
    f"{ANTHROPIC}-whole": anthropic_async_whole,
    f"{ANTHROPIC}-stream": anthropic_async_stream,
    f"{OLLAMA}-whole": ollama_async_whole,
    f"{OLLAMA}-stream": ollama_async_stream,
}


def check(house: House, told: Told, before: tuple[int, int]) -> None:
    """The preset's prompt was read, the user's words were answered, and the books have the call."""
    assert told == Told(SAID, INPUT, OUTPUT)
    calls, tokens = before
    expected = (calls + 1, tokens + INPUT + OUTPUT)
    assert until(lambda: house.books() == expected), f"the books have {house.books()}, expected {expected}"


@pytest.mark.parametrize("way", SYNC)
def test_sync(house: House, way: str) -> None:
    before = house.books()
    check(house, SYNC[way](house), before)


@pytest.mark.parametrize("way", ASYNC)
async def test_async(house: House, way: str) -> None:
    before = house.books()
    check(house, await ASYNC[way](house), before)


def test_every_dialect_is_in_the_books(house: House) -> None:
    before = {dialect: row["calls"] for dialect, row in house.yard.usage("dialect").items()}
    for dialect in DIALECTS:
        SYNC[f"{dialect}-whole"](house)
    expected = {dialect: (before.get(dialect, 0) + 1, 0) for dialect in DIALECTS}

    def told() -> dict[str, tuple[int, int]]:
        return {name: (row["calls"], row["errors"]) for name, row in house.yard.usage("dialect").items()}

    assert until(lambda: told() == expected), f"the books have {told()}, expected {expected}"


def test_the_preset_is_in_every_list(house: House) -> None:
    with openai.OpenAI(base_url=house.yard.base_url, api_key=house.key) as client:
        assert PRESET in [model.id for model in client.models.list()]
    with anthropic.Anthropic(base_url=house.yard.url, api_key=house.key) as other:
        assert PRESET in [model.id for model in other.models.list(limit=1000)]
    with ollama.Client(house.yard.url, headers=_headers(house)) as third:
        assert PRESET in [str(model.model).removesuffix(":latest") for model in third.list().models]
