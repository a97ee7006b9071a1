"""Tools."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.conformance.asking import (
    ANTHROPIC,
    OLLAMA,
    OPENAI,
    TIME,
    WEATHER,
    Assistant,
    Called,
    Picture,
    Result,
    ToolSpec,
    user,
)
from tests.conformance.callers.anthropic_caller import tool_of
from tests.conformance.files import PNG
from tests.conformance.matrix import Absent, Cases, Cell, Loss

CASES = Cases("Tools")

TOOLS = (WEATHER, TIME)
CALLED = {OPENAI: "tool_calls", ANTHROPIC: "tool_use", OLLAMA: "stop"}
FIRST = {"city": "Zürich", "days": 3}
SECOND = {"city": "Paris", "days": 5}
NO_CHOICE = "Ollama has no choice of tools."


def called(identifier: str, name: str, **arguments: Any) -> Called:
    return Called(id=identifier, name=name, arguments=arguments)


@CASES.add("One call, the answer whole")
def one_call(cell: Cell) -> None:
    answer = cell.whole("tool-call", "The weather?", tools=TOOLS)
    assert [(call.name, call.arguments) for call in answer.calls] == [("get_weather", FIRST)]
    assert answer.stop == CALLED[cell.pair.caller]
    assert answer.text == ""
    assert cell.pair.caller == OLLAMA or answer.calls[0].id


@CASES.add("One call, its arguments streamed")
def streamed_call(cell: Cell) -> None:
    answer = cell.stream("tool-call", "The weather?", tools=TOOLS)
    assert [(call.name, call.arguments) for call in answer.calls] == [("get_weather", FIRST)]
    assert answer.stop == CALLED[cell.pair.caller]


@CASES.add("Two calls at once, whole and streamed")
def parallel_calls(cell: Cell) -> None:
    for answer in cell.both("parallel-tools", "The weather and the time?", tools=TOOLS):
        assert [(call.name, call.arguments) for call in answer.calls] == [("get_weather", FIRST), ("get_time", SECOND)]
        assert answer.stop == CALLED[cell.pair.caller]
        assert cell.pair.caller == OLLAMA or answer.calls[0].id != answer.calls[1].id


@CASES.add("Thinking and words before a call")
def words_and_call(cell: Cell) -> None:
    for answer in cell.both("thinking-tool", "The weather?", tools=TOOLS):
        assert answer.thinking.startswith("Let me think.")
        assert answer.text == "I shall look that up."
        assert [call.name for call in answer.calls] == ["get_weather"]


@CASES.add("The whole round: a call, its result, the answer")
def round_trip(cell: Cell) -> None:
    for run in (cell.whole, cell.stream):
        first = run("tool-loop", "The weather?", tools=TOOLS)
        result = Result(call=first.calls[0], text="12 degrees")
        second = run("tool-loop", "The weather?", first, result, tools=TOOLS)
        assert second.text == "The tools said: 12 degrees"


@CASES.add("Two results go back to their calls")
def results(cell: Cell) -> None:
    calls = (called("call_1", "get_weather", city="Oslo"), called("call_2", "get_time", city="Rome"))
    answers = (Result(call=calls[0], text="cold"), Result(call=calls[1], text="late"))
    seen = cell.seen("Both?", Assistant(text="I look.", calls=calls), *answers, tools=TOOLS)
    made = [(call["name"], _arguments(call["arguments"])) for call in seen["tool_calls"]]
    assert made == [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Rome"})]
    assert [result["text"] for result in seen["tool_results"]] == ["cold", "late"]
    if cell.target == OLLAMA:
        assert [result["name"] for result in seen["tool_results"]] == ["get_weather", "get_time"]
    else:
        ids = [call["id"] for call in seen["tool_calls"]]
        assert ids == [result["id"] for result in seen["tool_results"]]
        assert len(set(ids)) == 2
        assert cell.pair.caller == OLLAMA or ids == ["call_1", "call_2"]


def _arguments(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@CASES.add(
    "Ids of calls that another server made", Absent("anthropic>anthropic", "Anthropic's own ids pass as they are.")
)
def odd_ids(cell: Cell) -> None:
    calls = (called("functions.get_weather:0", "get_weather", city="Oslo"), called("é 1", "get_time", city="Rome"))
    answers = tuple(Result(call=call, text=call.name) for call in calls)
    seen = cell.seen("Both?", Assistant(calls=calls), *answers, tools=TOOLS)
    ids = [call["id"] for call in seen["tool_calls"]]
    assert ids == [result["id"] for result in seen["tool_results"]]
    if cell.target == ANTHROPIC:  # which takes no others
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", identifier) for identifier in ids)
        assert len(set(ids)) == 2


@CASES.add("A call without arguments")
def no_arguments(cell: Cell) -> None:
    call = called("call_1", "get_time")
    seen = cell.seen("The time?", Assistant(calls=(call,)), Result(call=call, text="late"), tools=TOOLS)
    assert [_arguments(told["arguments"]) for told in seen["tool_calls"]] == [{}]


@CASES.add("A result, and words of the user behind it")
def result_and_words(cell: Cell) -> None:
    call = called("call_1", "get_time", city="Rome")
    seen = cell.seen("The time?", Assistant(calls=(call,)), Result(call=call, text="late"), user("Then hurry."))
    assert [told["text"] for told in seen["tool_results"]] == ["late"]
    assert seen["said"] == "Then hurry."


@CASES.add(
    "A result that is an error",
    Loss("anthropic>openai|ollama", ("messages.is_error",), "The target's tool messages have no mark of an error."),
    Absent("openai|ollama>*", "This dialect's tool messages have no mark of an error."),
)
def error_result(cell: Cell) -> None:
    call = called("call_1", "get_weather", city="Oslo")
    result = Result(call=call, text="no such city", is_error=True)
    seen = cell.seen("The weather?", Assistant(calls=(call,)), result, tools=TOOLS)
    (told,) = seen["tool_results"]
    assert told["text"] == "no such city"
    assert told["is_error"] is (cell.target == ANTHROPIC)


@CASES.add(
    "A picture in a result",
    Absent("openai>*", "A tool message of chat completions is text."),
)
def picture_result(cell: Cell) -> None:
    call = called("call_1", "get_weather", city="Oslo")
    result = Result(call=call, text="see", picture=Picture(data=PNG))
    seen = cell.seen("The weather?", Assistant(calls=(call,)), result, tools=TOOLS)
    assert [image["bytes"] for image in seen["images"]] == [len(PNG)]
    assert [told["text"] for told in seen["tool_results"]] == ["see"]


@CASES.add("The schemas of the tools arrive")
def schemas(cell: Cell) -> None:
    cell.whole("echo", "Hello", tools=TOOLS)
    told = [_tool(tool) for tool in cell.sent()["tools"]]
    assert [tool[0] for tool in told] == ["get_weather", "get_time"]
    assert told[0][1] == "Weather of a city"
    assert told[0][2] == WEATHER.schema


def _tool(tool: Mapping[str, Any]) -> tuple[str, str, Any]:
    if "input_schema" in tool:
        return tool["name"], tool["description"], tool["input_schema"]
    function = tool["function"]
    return function["name"], function["description"], function["parameters"]


@CASES.add("A function of Python as a tool, by the SDK", Absent("openai|anthropic>*", "Only Ollama's SDK does that."))
def python_tool(cell: Cell) -> None:
    def add(one: int, other: int) -> int:
        """Adds two numbers.

        Args:
          one: the first
          other: the second
        """
        return one + other

    answer = cell.caller.client.chat(
        model=cell.model("tool-call"), messages=[{"role": "user", "content": "1 + 2?"}], tools=[add]
    )
    assert [call.function.name for call in answer.message.tool_calls] == ["add"]
    name, description, schema = _tool(cell.sent()["tools"][0])
    assert (name, description) == ("add", "Adds two numbers.")
    assert schema["required"] == ["one", "other"]


@CASES.add(
    "Strict tools",
    Loss("*>ollama", ("tools.strict",), "Ollama's tools have no `strict`."),
    Absent("ollama>*", "Ollama's tools have no `strict`."),
)
def strict_tools(cell: Cell) -> None:
    tool = ToolSpec(name=TIME.name, description=TIME.description, schema=TIME.schema, strict=True)
    assert cell.seen("Hello", tools=(tool,))["tools"] == ["get_time"]
    (sent,) = cell.sent()["tools"]
    if cell.target != OLLAMA:
        assert (sent if cell.target == ANTHROPIC else sent["function"])["strict"] is True


def _choice(cell: Cell, choice: str) -> Any:
    cell.whole("echo", "Hello", tools=TOOLS, choice=choice)
    return cell.sent().get("tool_choice")


@CASES.add("Tool choice: the model decides", Absent("ollama>*", NO_CHOICE))
def choice_auto(cell: Cell) -> None:
    told = _choice(cell, "auto")
    assert told in {OPENAI: ("auto", None), ANTHROPIC: ({"type": "auto"}, None), OLLAMA: (None,)}[cell.target]


@CASES.add("Tool choice: none", Absent("ollama>*", NO_CHOICE))
def choice_none(cell: Cell) -> None:
    told = _choice(cell, "none")
    if cell.target == OLLAMA:
        assert not cell.sent().get("tools")  # without tools there is none to call
    else:
        assert told == {OPENAI: "none", ANTHROPIC: {"type": "none"}}[cell.target]


@CASES.add(
    "Tool choice: any, but one must be called",
    Loss("*>ollama", ("tool_choice",), NO_CHOICE),
    Absent("ollama>*", NO_CHOICE),
)
def choice_required(cell: Cell) -> None:
    told = _choice(cell, "required")
    assert told == {OPENAI: "required", ANTHROPIC: {"type": "any"}, OLLAMA: None}[cell.target]


@CASES.add("Tool choice: this one", Loss("*>ollama", ("tool_choice",), NO_CHOICE), Absent("ollama>*", NO_CHOICE))
def choice_named(cell: Cell) -> None:
    told = _choice(cell, "get_time")
    named = {"type": "function", "function": {"name": "get_time"}}
    assert told == {OPENAI: named, ANTHROPIC: {"type": "tool", "name": "get_time"}, OLLAMA: None}[cell.target]


@CASES.add(
    "One call at a time",
    Loss("*>ollama", ("parallel_tool_calls",), "Ollama cannot be told to make one call at a time."),
    Absent("ollama>*", "Ollama cannot be told to make one call at a time."),
)
def one_at_a_time(cell: Cell) -> None:
    cell.whole("echo", "Hello", tools=TOOLS, parallel=False)
    sent = cell.sent()
    if cell.target == OPENAI:
        assert sent["parallel_tool_calls"] is False
    if cell.target == ANTHROPIC:
        assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@CASES.add(
    "A tool of Anthropic's own servers",
    Loss("anthropic>openai|ollama", ("tools.web_search",), "Anthropic's servers run it; no other backend can."),
    Absent("openai|ollama>*", "Only Anthropic's callers can ask for it."),
)
def server_tool(cell: Cell) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, tool_of(TIME)]
    messages = [{"role": "user", "content": "Hello"}]
    create = cell.caller.client.messages.create
    assert create(model=cell.model("echo"), max_tokens=50, messages=messages, tools=tools).content[0].text == "Hello"
    assert len(cell.sent()["tools"]) == (2 if cell.target == ANTHROPIC else 1)


@CASES.add("A picture beside a question and tools")
def picture_and_tools(cell: Cell) -> None:
    answer = cell.whole("tool-call", user("What is this?", Picture(data=PNG)), tools=TOOLS)
    assert [call.name for call in answer.calls] == ["get_weather"]
