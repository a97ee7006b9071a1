"""What steers an answer arrives, or is named."""

import json
from typing import Any

from pydantic import BaseModel

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI, Marked, Message, user
from tests.conformance.lab import NATIVE
from tests.conformance.matrix import Absent, Cases, Cell, Loss, ask_of

CASES = Cases("Steering")

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}


def parameter(cell: Cell, name: str) -> Any:
    """The value of a parameter in the request that the upstream got last, by the target's own name for it."""
    sent = cell.sent()
    if cell.target == OLLAMA:
        at_root = name in ("keep_alive", "logprobs", "top_logprobs")
        return sent.get(name) if at_root else sent["options"].get("num_predict" if name == "max_tokens" else name)
    if cell.target == ANTHROPIC:
        return sent.get("stop_sequences" if name == "stop" else name)
    return sent.get(name, sent.get("max_completion_tokens") if name == "max_tokens" else None)


def arrive(cell: Cell, **params: Any) -> None:
    """These parameters, sent by the caller, reach the target."""
    cell.whole("echo", "Hello", params=params)
    for name, value in params.items():
        assert parameter(cell, name) == value, name


def lost(cell: Cell, **params: Any) -> None:
    """The target's dialect has no such parameters: they must not be sent, or only where they do no harm."""
    cell.whole("echo", "Hello", params=params)
    for name in params:
        assert cell.target == OLLAMA or parameter(cell, name) is None, name


@CASES.add("temperature, top_p, stop, max_tokens")
def sampling(cell: Cell) -> None:
    arrive(cell, temperature=0.25, top_p=0.5, stop=["END", "FIN"], max_tokens=77)


@CASES.add(
    "A temperature above 1",
    Loss("openai|ollama>anthropic", ("temperature",), "Anthropic's scale ends at 1, which is what is sent."),
    Absent("anthropic>*", "Anthropic's scale ends at 1."),
)
def hot(cell: Cell) -> None:
    cell.whole("echo", "Hello", params={"temperature": 1.5})
    assert parameter(cell, "temperature") == (1.0 if cell.target == ANTHROPIC else 1.5)


@CASES.add(
    "max_completion_tokens, and a developer's message", Absent("anthropic|ollama>*", "They are OpenAI's newer words.")
)
def newer_words(cell: Cell) -> None:
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    create = cell.caller.client.chat.completions.create
    seen = json.loads(
        create(model=cell.model("see"), messages=turns, max_completion_tokens=3000).choices[0].message.content
    )
    assert seen["system"] == "Be brief."
    assert parameter(cell, "max_tokens") == 3000


@CASES.add("top_k")
def top_k(cell: Cell) -> None:
    arrive(cell, top_k=7)


@CASES.add(
    "max_tokens, where the target needs it and the caller did not say",
    Absent("anthropic>*", "A caller of Anthropic's API must say it."),
)
def needed_max_tokens(cell: Cell) -> None:
    cell.whole("echo", "Hello")
    if cell.target == ANTHROPIC:
        assert parameter(cell, "max_tokens") >= 1024


@CASES.add(
    "seed",
    Loss("*>anthropic", ("seed",), "Anthropic's API has no seed."),
    Absent("anthropic>*", "Anthropic's API has no seed."),
)
def seed(cell: Cell) -> None:
    (lost if cell.target == ANTHROPIC else arrive)(cell, seed=11)


@CASES.add(
    "frequency_penalty, presence_penalty",
    Loss("*>anthropic", ("frequency_penalty", "presence_penalty"), "Anthropic's API has no penalties."),
    Absent("anthropic>*", "Anthropic's API has no penalties."),
)
def penalties(cell: Cell) -> None:
    (lost if cell.target == ANTHROPIC else arrive)(cell, frequency_penalty=0.5, presence_penalty=0.25)


@CASES.add(
    "logit_bias",
    Loss("openai>anthropic|ollama", ("logit_bias",), "The target's API has no bias of single tokens."),
    Absent("anthropic|ollama>*", "This API has no bias of single tokens."),
)
def logit_bias(cell: Cell) -> None:
    (arrive if cell.target == OPENAI else lost)(cell, logit_bias={"17": -5})


@CASES.add(
    "logprobs",
    Loss("*>anthropic", ("logprobs", "top_logprobs"), "Anthropic's API has no log probabilities."),
    Absent("anthropic>*", "Anthropic's API has no log probabilities."),
)
def logprobs(cell: Cell) -> None:
    params = {"logprobs": True, "top_logprobs": 2}
    for answer in cell.both("logprobs", "one two", params=params):
        told = [] if cell.target == ANTHROPIC else ["one", " two"]
        assert [token for token, _ in answer.logprobs] == told
        assert all(value == -0.25 for _, value in answer.logprobs)


@CASES.add(
    "n, several answers",
    Loss("openai>anthropic|ollama", ("n",), "The target's API gives one answer."),
    Absent("anthropic|ollama>*", "This API gives one answer."),
)
def several_answers(cell: Cell) -> None:
    (arrive if cell.target == OPENAI else lost)(cell, n=2)


@CASES.add(
    "Who the user is",
    Loss("*>ollama", ("user",), "Ollama has no name for the user."),
    Absent("ollama>*", "Ollama has no name for the user."),
)
def who(cell: Cell) -> None:
    cell.whole("echo", "Hello", user="u-17")
    sent = cell.sent()
    told = sent.get("metadata") if cell.target == ANTHROPIC else sent.get("user")
    assert told == {OPENAI: "u-17", ANTHROPIC: {"user_id": "u-17"}, OLLAMA: None}[cell.target]


@CASES.add(
    "min_p, repeat_penalty",
    Loss("*>anthropic", ("min_p", "repeat_penalty"), "Anthropic's API does not have them."),
    Absent("anthropic>*", "Anthropic's API does not have them."),
)
def local_sampling(cell: Cell) -> None:
    (lost if cell.target == ANTHROPIC else arrive)(cell, min_p=0.1, repeat_penalty=1.25)


@CASES.add(
    "num_ctx, keep_alive",
    Loss("*>anthropic", ("num_ctx", "keep_alive"), "Nothing is loaded at Anthropic's."),
    Absent("anthropic>*", "Nothing is loaded at Anthropic's."),
)
def loading(cell: Cell) -> None:
    (lost if cell.target == ANTHROPIC else arrive)(cell, num_ctx=2048, keep_alive="10m")


@CASES.add(
    "top_k, min_p, keep_alive at OpenAI's own API",
    Loss("openai|ollama>openai", ("top_k", "min_p", "keep_alive"), "OpenAI's own API refuses them."),
    Loss("anthropic>openai", ("top_k",), "OpenAI's own API refuses it."),
    Absent("*>anthropic|ollama", "The row is about OpenAI's own API; in the others its column is a compatible server."),
)
def at_openai(cell: Cell) -> None:
    params: dict[str, Any] = {"top_k": 7}
    if cell.pair.caller != ANTHROPIC:
        params |= {"min_p": 0.1, "keep_alive": "10m"}
    cell.caller.whole(f"{NATIVE}.echo", ask_of(("Hello",), {"params": params}))
    assert not params.keys() & cell.sent().keys()


@CASES.add(
    "A field that nobody knows",
    Loss("openai>anthropic|ollama", ("frobnicate",), "Only a backend of the caller's dialect may know it."),
    Absent("anthropic|ollama>*", "This SDK's arguments are its own; see the tests of the dialect's reader."),
)
def unknown_field(cell: Cell) -> None:
    cell.whole("echo", "Hello", params={"frobnicate": 3})
    assert cell.sent().get("frobnicate") == (3 if cell.target == OPENAI else None)


@CASES.add(
    "JSON of any kind",
    Loss("*>anthropic", ("response_format",), "Anthropic's API has JSON by a schema only."),
    Absent("anthropic>*", "Anthropic's API has JSON by a schema only."),
)
def any_json(cell: Cell) -> None:
    for answer in cell.both("json", "Hello", schema="json"):
        assert json.loads(answer.text) == {"answer": "Hello"}
    if cell.target != ANTHROPIC:
        assert cell.seen("Hello", schema="json")["format"] == "json"


@CASES.add("JSON by a schema")
def schema(cell: Cell) -> None:
    for answer in cell.both("json", "Hello", schema=SCHEMA):
        assert json.loads(answer.text) == {"colour": "text", "count": 1}
    assert cell.seen("Hello", schema=SCHEMA)["format"] == SCHEMA


def lossy(cell: Cell) -> tuple[str, Message | str, dict[str, Any]]:
    """What the target would lose, and the message and the options of a request with it."""
    if cell.pair.caller == ANTHROPIC:
        return "cache_control", user(Marked(text="Hello")), {}
    name = "seed" if cell.target == ANTHROPIC or cell.pair.caller == OLLAMA else "n"
    return name, "Hello", {"params": {name: 2}}


class Fruit(BaseModel):
    """What a model is to tell of a fruit."""

    colour: str
    count: int


@CASES.add("JSON by a class, parsed by the SDK")
def parsed(cell: Cell) -> None:
    client, model = cell.caller.client, cell.model("json")
    messages = [{"role": "user", "content": "Hello"}]
    if cell.pair.caller == OPENAI:
        done = client.chat.completions.parse(model=model, messages=messages, response_format=Fruit)
        found = done.choices[0].message.parsed
    elif cell.pair.caller == ANTHROPIC:
        told = client.messages.parse(model=model, max_tokens=99, messages=messages, output_format=Fruit)
        found = told.parsed_output
    else:
        answer = client.chat(model=model, messages=messages, format=Fruit.model_json_schema())
        found = Fruit.model_validate_json(answer.message.content)
    assert found == Fruit(colour="text", count=1)


@CASES.add(
    "A strict call is refused rather than lose a field",
    Absent("ollama>openai", "An OpenAI-compatible server can be told all that Ollama's SDK can say."),
)
def strict(cell: Cell) -> None:
    """What is lost between dialects passes within one, strict or not."""
    name, message, options = lossy(cell)
    options["headers"] = {"x-modelyard-strict": "true"}
    if cell.pair.caller == cell.target:
        assert cell.whole("echo", message, **options).text == "Hello"
        return
    before = cell.lab.scripted.state()["calls"].get("echo", 0)
    failure = cell.failure("echo", message, **options)
    assert failure.status == 400
    assert f"`{name}`" in failure.message
    assert cell.lab.scripted.state()["calls"].get("echo", 0) == before
    if cell.pair.caller == OPENAI:
        error: Any = failure.error
        assert (error.param, error.code) == (name, "lossy_translation")
