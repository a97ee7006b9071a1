"""OpenAI's Responses API, at a backend that has it and at those that do not."""

import base64
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from modelyard.upstream.scripted.answers import THOUGHT
from tests.conformance.asking import OLLAMA, OPENAI
from tests.conformance.cases.steering import SCHEMA
from tests.conformance.files import PNG
from tests.conformance.lab import NATIVE, REAL
from tests.conformance.matrix import Absent, Cases, Cell, Loss

CASES = Cases("OpenAI's Responses API")

ONLY_OPENAI = Absent("anthropic|ollama>*", "The Responses API is OpenAI's.")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
# Events to which the SDK adds fields of its own.
MADE = frozenset({"response.output_text.delta", "response.function_call_arguments.delta"})
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": None,
}


class Asker:
    """Asks one model: `make` names it, given a script."""

    def __init__(self, cell: Cell, make: Callable[[str], str]) -> None:
        self.cell = cell
        self._wrote = make("") != f"{NATIVE}."
        self._responses = cell.caller.client.responses
        self._make = make

    def create(self, script: str, **fields: Any) -> Any:
        done = self._responses.create(model=self._make(script), **fields)
        if self._wrote and isinstance(done, Response):
            Response.model_validate(done.to_dict(warnings=False))
        return done

    def streamed(self, script: str, **fields: Any) -> tuple[Any, list[Any]]:
        """The whole response as the SDK put it together, and the events."""
        with self._responses.stream(model=self._make(script), **fields) as stream:
            events = list(stream)
        if self._wrote:
            for event in events:
                if event.type not in MADE:
                    EVENT.validate_python(event.to_dict(warnings=False))
        return events[-1].response, events


def native(cell: Cell) -> Asker:
    """Asks a backend that serves responses itself."""
    return Asker(cell, lambda script: f"{NATIVE}.{script}")


def each(check: Callable[[Asker], None]) -> Callable[[Cell], None]:
    """In OpenAI's column twice: at a compatible server, which knows chats only, and at one that serves responses."""

    @wraps(check)
    def run(cell: Cell) -> None:
        check(Asker(cell, cell.model))
        if cell.target == OPENAI and cell.case.upstream != REAL:
            check(native(cell))

    return run


@CASES.add("A question, the answer whole", ONLY_OPENAI)
@each
def responses_plain(asker: Asker) -> None:
    done = asker.create("echo", input="one two three", instructions="Be brief.")
    assert (done.output_text, done.status, done.object) == ("one two three", "completed", "response")
    assert (done.usage.input_tokens, done.usage.output_tokens) == (5, 3)


@CASES.add("The same, streamed", ONLY_OPENAI)
@each
def responses_stream(asker: Asker) -> None:
    done, events = asker.streamed("echo", input="one two three")
    assert done.output_text == "one two three"
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == [
        "one",
        " two",
        " three",
    ]
    numbers = [event.sequence_number for event in events if event.type != "response.output_text.delta"]
    assert numbers == sorted(numbers)


@CASES.add("By a real backend", ONLY_OPENAI, upstream=REAL)
@each
def responses_real(asker: Asker) -> None:
    done = asker.create("speak", input="Hi", max_output_tokens=16)
    told, _ = asker.streamed("speak", input="Hi", max_output_tokens=16)
    for answer in (done, told):
        assert answer.status == ("completed" if asker.cell.target == OLLAMA else "incomplete")
        assert len(answer.output_text) > 10
        assert answer.usage.output_tokens in (16, 17)


@CASES.add("Tools: a call, its result, the answer", ONLY_OPENAI)
@each
def responses_tools(asker: Asker) -> None:
    first = asker.create("tool-loop", input="The weather?", tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Zürich", "days": 3})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
    asked = [{"role": "user", "content": "The weather?"}, call.to_dict(), result]
    assert asker.create("tool-loop", input=asked, tools=[TOOL]).output_text == "The tools said: 12 degrees"


@CASES.add("Two tool calls at once, streamed", ONLY_OPENAI)
@each
def responses_streamed_tools(asker: Asker) -> None:
    other = {**TOOL, "name": "get_time"}
    done, _ = asker.streamed("parallel-tools", input="Both?", tools=[TOOL, other])
    calls = [item for item in done.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call.arguments)["days"] for call in calls] == [3, 5]


@CASES.add("Reasoning, shown and sent back", ONLY_OPENAI)
@each
def responses_reasoning(asker: Asker) -> None:
    asked: dict[str, Any] = {"reasoning": {"effort": "low", "summary": "auto"}}
    asked |= {"store": False, "include": ["reasoning.encrypted_content"]}
    done = asker.create("thinking", input="Hello", **asked)
    told, _ = asker.streamed("thinking", input="Hello", **asked)
    for answer in (done, told):
        thoughts = [item for item in answer.output if item.type == "reasoning"]
        assert "".join(part.text for item in thoughts for part in item.summary) == "".join(THOUGHT)
        assert answer.output_text == "Hello"
        history = [{"role": "user", "content": "Hello"}, *(item.to_dict() for item in answer.output)]
        seen = json.loads(
            asker.create("see", input=[*history, {"role": "user", "content": "More"}], **asked).output_text
        )
        assert seen["said"] == "More"
        assert len(seen["thinking"]) == 1


@CASES.add("previous_response_id", ONLY_OPENAI)
@each
def responses_previous(asker: Asker) -> None:
    first = asker.create("echo", input="first")
    second, _ = asker.streamed("echo", input="second", previous_response_id=first.id)
    seen = json.loads(asker.create("see", input="third", previous_response_id=second.id).output_text)
    assert seen["said"] == "third"
    assert seen["roles"] == ["user", "assistant", "user", "assistant", "user"]
    with pytest.raises(openai.BadRequestError) as error:
        asker.create("echo", input="x", previous_response_id="resp_unknown")
    assert error.value.code == "previous_response_not_found"


@CASES.add("JSON by a schema", ONLY_OPENAI)
@each
def responses_schema(asker: Asker) -> None:
    told = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}
    assert json.loads(asker.create("json", input="Hello", text=told).output_text) == {"colour": "text", "count": 1}


@CASES.add("Parameters arrive", ONLY_OPENAI)
@each
def responses_parameters(asker: Asker) -> None:
    asker.create("echo", input="Hello", temperature=0.25, top_p=0.5, max_output_tokens=77)
    sent = asker.cell.sent()
    told = sent.get("options", sent)
    assert (told["temperature"], told["top_p"]) == (0.25, 0.5)
    assert [told[name] for name in ("max_output_tokens", "max_tokens", "num_predict") if name in told] == [77]


@CASES.add("A picture", ONLY_OPENAI)
@each
def responses_picture(asker: Asker) -> None:
    address = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": address}]
    seen = json.loads(asker.create("see", input=[{"role": "user", "content": parts}]).output_text)
    assert (seen["said"], [image["bytes"] for image in seen["images"]]) == ("What is this?", [len(PNG)])


@CASES.add("An answer is kept, read again and forgotten", ONLY_OPENAI)
@each
def responses_kept(asker: Asker) -> None:
    responses = asker.cell.caller.client.responses
    for done in (asker.create("echo", input="one"), asker.streamed("echo", input="one")[0]):
        assert responses.retrieve(done.id).output_text == "one"
        responses.delete(done.id)
        with pytest.raises(openai.NotFoundError):
            responses.retrieve(done.id)
    unkept = asker.create("echo", input="one", store=False)
    with pytest.raises(openai.NotFoundError):
        responses.retrieve(unkept.id)


@CASES.add(
    "A tool of OpenAI's own servers",
    Loss("openai>anthropic|ollama", ("tools.web_search",), "OpenAI's servers run it; no other backend can."),
    ONLY_OPENAI,
)
def responses_server_tool(cell: Cell) -> None:
    asker = native(cell) if cell.target == OPENAI else Asker(cell, cell.model)
    assert asker.create("echo", input="Hello", tools=[{"type": "web_search"}]).output_text == "Hello"


@CASES.add("A stream that breaks", ONLY_OPENAI)
@each
def responses_broken(asker: Asker) -> None:
    for script in ("cut", "broken-line", "error-event", "truncated"):
        try:
            kinds = [event.type for event in asker.create(script, input="Hello", stream=True)]
        except openai.APIError:
            continue
        assert kinds[-1] in ("response.failed", "error"), script
        assert "response.completed" not in kinds
