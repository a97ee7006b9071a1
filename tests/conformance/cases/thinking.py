"""Thinking: shown, signed, sent back."""

from modelyard.canonical.chat import write_signature
from modelyard.upstream.scripted.answers import REDACTED, THOUGHT, sign
from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI
from tests.conformance.callers.anthropic_caller import BUDGETS
from tests.conformance.matrix import Absent, Cases, Cell, Loss, ask_of

CASES = Cases("Thinking")

THOUGHTS = "".join(THOUGHT)
SIGNATURE = sign(THOUGHTS)
ONLY_ANTHROPIC = Absent("*>openai|ollama", "Only Anthropic's models have thoughts that nobody may read.")
NOT_FOR_OLLAMA = Absent("ollama>*", "Ollama's messages have no place for thoughts that nobody may read.")


@CASES.add("How much to think arrives")
def effort(cell: Cell) -> None:
    for word in ("low", "medium", "high"):
        cell.whole("echo", "Hello", effort=word)
        sent = cell.sent()
        if cell.target == OPENAI:
            assert sent["reasoning_effort"] == word
        elif cell.target == OLLAMA:
            # Anthropic's clients name a budget, which is no level: many models and older servers know none.
            assert sent["think"] == (True if cell.pair.caller == ANTHROPIC else word)
        else:
            assert sent["thinking"]["type"] == "enabled"
            assert sent["thinking"]["budget_tokens"] == BUDGETS[word]
            assert sent["max_tokens"] > BUDGETS[word]


@CASES.add(
    "Adaptive thinking with an effort",
    Absent("openai|ollama>*", "It is Anthropic's newer way to ask; the others are in the row above."),
)
def adaptive(cell: Cell) -> None:
    cell.caller.client.messages.create(
        model=cell.model("echo"),
        max_tokens=9000,
        messages=[{"role": "user", "content": "Hello"}],
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
    )
    sent = cell.sent()
    told = {OPENAI: sent.get("reasoning_effort"), OLLAMA: sent.get("think")}.get(cell.target, sent.get("output_config"))
    assert told == ({"effort": "high"} if cell.target == ANTHROPIC else "high")


@CASES.add("Thinking switched off", Absent("openai>*", "Its word for that is an effort: none."))
def switched_off(cell: Cell) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    client, model = cell.caller.client, cell.model("echo")
    if cell.pair.caller == OLLAMA:
        client.chat(model=model, messages=messages, think=False)
    else:
        client.messages.create(model=model, max_tokens=50, messages=messages, thinking={"type": "disabled"})
    sent = cell.sent()
    if cell.target == OPENAI:
        assert sent["reasoning_effort"] == "none"
    elif cell.target == OLLAMA:
        assert sent["think"] is False
    else:
        assert sent.get("thinking") in (None, {"type": "disabled"})


@CASES.add("Thoughts are shown, whole and streamed")
def shown(cell: Cell) -> None:
    for answer in cell.both("thinking", "Hello there", effort="low"):
        assert answer.thinking == THOUGHTS
        assert answer.text == "Hello there"


@CASES.add(
    "The same from a server that calls it `reasoning`",
    Absent("*>anthropic|ollama", "It is OpenRouter's and vLLM's word."),
)
def other_name(cell: Cell) -> None:
    for answer in cell.both("reasoning", "Hello there", effort="low"):
        told = answer.raw.choices[0].message.reasoning if cell.pair.caller == OPENAI else answer.thinking
        assert told == THOUGHTS
        assert answer.text == "Hello there"


@CASES.add(
    "Their signature is kept",
    Absent("*>openai|ollama", "Only Anthropic's models sign their thoughts here."),
    Absent("ollama>*", "Ollama's messages have no place for a signature."),
)
def signature(cell: Cell) -> None:
    for answer in cell.both("thinking", "Hello there", effort="low"):
        # A caller of another dialect gets it with a mark that says whose it is.
        assert answer.signature == write_signature(SIGNATURE, ANTHROPIC, cell.pair.caller)


@CASES.add(
    "Sent back, the model reads them again",
    Loss(
        "ollama>anthropic", ("messages.thinking",), "Anthropic reads only signed thoughts, and Ollama's have no sign."
    ),
)
def thoughts_sent_back(cell: Cell) -> None:
    for first in cell.both("thinking", "Hello", effort="low"):
        seen = cell.seen("Hello", first, "Go on", effort="low")
        if cell.target == ANTHROPIC:
            told = [] if cell.pair.caller == OLLAMA else [{"text": THOUGHTS, "signature": SIGNATURE}]
            assert seen["thinking"] == told
        else:
            assert [thought["text"] for thought in seen["thinking"]] == [THOUGHTS]
        assert seen["roles"][-3:] == ["user", "assistant", "user"]


@CASES.add("Thoughts that nobody may read are kept", ONLY_ANTHROPIC, NOT_FOR_OLLAMA)
def redacted(cell: Cell) -> None:
    for answer in cell.both("redacted", "Hello there", effort="low"):
        assert answer.redacted == (REDACTED,)
        assert answer.thinking == THOUGHTS
        assert answer.text == "Hello there"


@CASES.add("And sent back", ONLY_ANTHROPIC, NOT_FOR_OLLAMA)
def redacted_sent_back(cell: Cell) -> None:
    for first in cell.both("redacted", "Hello", effort="low"):
        seen = cell.seen("Hello", first, "Go on", effort="low")
        assert seen["thinking"] == [{"text": THOUGHTS, "signature": SIGNATURE}, {"text": "", "signature": REDACTED}]


@CASES.add(
    "A signed thought goes on at another backend",
    Absent("openai|anthropic>anthropic", "It would be the same backend."),
    Absent("ollama>*", "Ollama's messages have no place for a signature."),
)
def moved(cell: Cell) -> None:
    first = cell.lab.callers[cell.pair.caller].whole("a.thinking", ask_of(("Hello",), {"effort": "low"}))
    cell.caller.heads.clear()
    seen = cell.seen("Hello", first, "Go on")
    assert [thought["text"] for thought in seen["thinking"]] == [THOUGHTS]


@CASES.add(
    "Another backend's thoughts, sent to an Anthropic one",
    Loss("openai|anthropic|ollama>anthropic", ("messages.thinking",), "Anthropic reads only thoughts that it signed."),
    Absent("*>openai|ollama", "The row is about Anthropic's backends; the others take any thoughts."),
)
def foreign_thoughts(cell: Cell) -> None:
    for model in ("o.thinking", "l.thinking"):
        for first in (cell.caller.whole, cell.caller.stream):
            answer = first(model, ask_of(("Hello",), {"effort": "low"}))
            assert answer.thinking == THOUGHTS
            seen = cell.seen("Hello", answer, "Go on", effort="low")
            assert (seen["thinking"], seen["said"]) == ([], "Go on")
