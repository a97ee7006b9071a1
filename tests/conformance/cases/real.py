"""Real backends: llama.cpp at OpenAI's and at Anthropic's API, and what a real Ollama answered."""

import json

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI, TIME, WEATHER, Answer, Assistant, user
from tests.conformance.cases.text import ENDED
from tests.conformance.lab import REAL
from tests.conformance.matrix import Absent, Cases, Cell, Loss
from tests.conformance.recorded import exchange

CASES = Cases("Real backends")

SPOKEN = 'Hello there, this is a short "quoted" answer with ünïcödé, <b>markup & a\nline break.'
LIMITED = {OPENAI: "length", ANTHROPIC: "max_tokens", OLLAMA: "length"}
BABBLE = "The tiny model behind llama.cpp has random weights and can only babble."
ONLY_OLLAMA = Absent("*>openai|anthropic", BABBLE)
NO_SDK = Absent("ollama>ollama", "Ollama's own bytes pass, and its SDK takes U+0085 in a line for the line's end.")


def _is_a_real_answer(cell: Cell, answer: Answer) -> None:
    assert answer.usage is not None
    if cell.target == OLLAMA:
        assert (answer.text, answer.stop) == (SPOKEN, ENDED[cell.pair.caller])
        assert (answer.usage.input, answer.usage.output) == (21, 17)
    else:
        assert len(answer.text) == 12
        assert answer.stop == LIMITED[cell.pair.caller]
        assert answer.usage.input > 5
        assert answer.usage.output == 12


@CASES.add("A question, the answer whole", upstream=REAL)
def plain_real(cell: Cell) -> None:
    _is_a_real_answer(cell, cell.whole("speak", "Hi", params={"max_tokens": 12}))


@CASES.add("The same, streamed", upstream=REAL)
def stream_real(cell: Cell) -> None:
    answer = cell.stream("speak", "Hi", params={"max_tokens": 12})
    _is_a_real_answer(cell, answer)
    assert len(answer.pieces) > 8
    assert "".join(answer.pieces) == answer.text


@CASES.add("Several turns with a system prompt", upstream=REAL)
def several_turns_real(cell: Cell) -> None:
    turns = (user("Hello"), Assistant(text="Good day."), user("Hi"))
    _is_a_real_answer(cell, cell.whole("speak", *turns, system="Be brief.", params={"max_tokens": 12}))
    if cell.target == OLLAMA:
        told = [(message["role"], message["content"]) for message in cell.lab.recorded.requests[-1]["messages"]]
        assert told == [("system", "Be brief."), ("user", "Hello"), ("assistant", "Good day."), ("user", "Hi")]


@CASES.add("Cut short by max_tokens", upstream=REAL)
def length_real(cell: Cell) -> None:
    for answer in cell.both("length", "Hi", params={"max_tokens": 3}):
        assert answer.stop == LIMITED[cell.pair.caller]
        assert answer.usage is not None
        assert answer.usage.output == 3


@CASES.add(
    "The same seed, the same words",
    Absent("*>anthropic", "Anthropic's API has no seed."),
    Absent("anthropic>*", "Anthropic's API has no seed."),
    Absent("*>ollama", "A recording says the same whatever is asked."),
    upstream=REAL,
)
def seed_real(cell: Cell) -> None:
    params = {"max_tokens": 16, "seed": 7, "temperature": 1.0}
    first, second = (cell.whole("speak", "Hi", params=params).text for _ in range(2))
    assert first == second


@CASES.add("JSON by a schema", Absent("*>anthropic", "llama.cpp takes no schema at Anthropic's API."), upstream=REAL)
def schema_real(cell: Cell) -> None:
    colour = {"type": "string", "enum": ["blue", "red"]}
    schema = {"type": "object", "properties": {"colour": colour}, "required": ["colour"], "additionalProperties": False}
    for answer in cell.both("json", "Hi", schema=schema, params={"max_tokens": 200}):
        assert json.loads(answer.text)["colour"] in ("blue", "red")


@CASES.add(
    "Log probabilities",
    Absent("anthropic>*", "Anthropic's API has no log probabilities."),
    Loss("*>anthropic", ("logprobs",), "Anthropic's API has no log probabilities."),
    upstream=REAL,
)
def logprobs_real(cell: Cell) -> None:
    for answer in cell.both("logprobs", "Hi", params={"logprobs": True, "max_tokens": 3}):
        if cell.target != ANTHROPIC:
            assert len(answer.logprobs) == 3
            assert "".join(token for token, _ in answer.logprobs) == answer.text
            assert all(-20 < value < 0 for _, value in answer.logprobs)


@CASES.add("A tool call", ONLY_OLLAMA, upstream=REAL)
def tool_real(cell: Cell) -> None:
    for answer in cell.both("tool", "Hi", tools=(WEATHER, TIME)):
        (call,) = answer.calls
        assert (call.name, call.arguments) == ("get_weather", {"city": "Paris", "unit": "celsius"})
        assert answer.stop == {OPENAI: "tool_calls", ANTHROPIC: "tool_use", OLLAMA: "stop"}[cell.pair.caller]


@CASES.add("Text and two tool calls", ONLY_OLLAMA, upstream=REAL)
def two_tools_real(cell: Cell) -> None:
    for model in ("two-tools", "native-tools"):
        for answer in cell.both(model, "Hi", tools=(WEATHER, TIME)):
            assert answer.text.strip().startswith("Let me look.")
            assert [(call.name, call.arguments) for call in answer.calls] == [
                ("get_weather", {"city": "Paris"}),
                ("get_time", {}),
            ]
            ids = [call.id for call in answer.calls]
            assert cell.pair.caller == OLLAMA or len(set(ids)) == 2


@CASES.add("Thinking", ONLY_OLLAMA, upstream=REAL)
def thinking_real(cell: Cell) -> None:
    for answer in cell.both("think", "Hi"):
        assert answer.thinking == "The user greets. I greet back.\n"
        assert answer.text == "Hello! How can I help?"


@CASES.add("Thinking, then a tool call", ONLY_OLLAMA, upstream=REAL)
def thinking_tool_real(cell: Cell) -> None:
    for answer in cell.both("think-tool", "Hi", tools=(WEATHER, TIME)):
        assert answer.thinking == "I need the weather.\n"
        assert [call.name for call in answer.calls] == ["get_weather"]


@CASES.add("Odd characters", ONLY_OLLAMA, NO_SDK, upstream=REAL)
def odd_characters_real(cell: Cell) -> None:
    told = json.loads(exchange("chat-odd-characters-whole")["body"])["message"]["content"]
    for answer in cell.both("odd-characters", "Hi"):
        assert answer.text == told


@CASES.add("A stream that ends with an error", ONLY_OLLAMA, upstream=REAL)
def died_real(cell: Cell) -> None:
    failure = cell.failure("died", "Hi", streamed=True)
    assert failure.status is None
    assert "an error was encountered while running the model" in failure.message
    whole = cell.failure("died", "Hi")
    assert (whole.status or 0) >= 500
    assert "XML syntax error" in whole.message


@CASES.add(
    "A stream that just stops",
    ONLY_OLLAMA,
    upstream=REAL,
)
def given_up_real(cell: Cell) -> None:
    assert cell.failure("given-up", "Hi", streamed=True).status is None
    assert (cell.failure("given-up", "Hi").status or 0) >= 500


@CASES.add("Refusals of the backend", ONLY_OLLAMA, upstream=REAL)
def refusals_real(cell: Cell) -> None:
    failure = cell.failure("cannot-think", "Hi")
    assert failure.status == 400
    assert "does not support thinking" in failure.message
    assert cell.failure("busy", "Hi").status == {OPENAI: 503, ANTHROPIC: 529, OLLAMA: 503}[cell.pair.caller]
