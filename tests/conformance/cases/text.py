"""Words in, words out."""

import json

from modelyard.upstream.scripted import UNICODE
from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI, Assistant, Marked, System, user
from tests.conformance.files import PNG
from tests.conformance.matrix import Absent, Cases, Cell, Loss

CASES = Cases("Text")

NO_MARKERS = "This dialect has no prompt-cache markers."
ENDED = {OPENAI: "stop", ANTHROPIC: "end_turn", OLLAMA: "stop"}


@CASES.add("A question, the answer whole")
def plain(cell: Cell) -> None:
    answer = cell.whole("echo", "Grüße aus \u2028 Köln \U0001f44b")
    assert answer.text == "Grüße aus \u2028 Köln \U0001f44b"
    assert answer.stop == ENDED[cell.pair.caller]
    if cell.pair.caller != cell.target:  # else it passes as the backend wrote it
        assert answer.raw.model.removesuffix(":latest") == cell.model("echo")


@CASES.add("The same, streamed")
def stream(cell: Cell) -> None:
    answer = cell.stream("echo", "one two three four")
    assert answer.pieces == ("one", " two", " three", " four")
    assert answer.text == "one two three four"
    assert answer.stop == ENDED[cell.pair.caller]


@CASES.add(
    "Odd characters, cut anywhere by the network",
    Absent("ollama>ollama", "Ollama's own bytes pass, and its SDK takes U+0085 in a line for the line's end."),
)
def odd_characters(cell: Cell) -> None:
    for answer in cell.both("unicode", "Say it"):
        assert answer.text == "".join(UNICODE)


@CASES.add("Several turns with a system prompt")
def several_turns(cell: Cell) -> None:
    turns = (user("Hello"), Assistant(text="Good day."), user("And now?"))
    seen = cell.seen(*turns, system="Be brief.")
    assert seen["system"] == "Be brief."
    assert [role for role in seen["roles"] if role != "system"] == ["user", "assistant", "user"]
    assert seen["said"] == "And now?"


@CASES.add("An answer sent back as the SDK gave it")
def sent_back(cell: Cell) -> None:
    first = cell.whole("echo", "first")
    seen = cell.seen("first", first, "second")
    assert seen["roles"] == ["user", "assistant", "user"]
    assert seen["said"] == "second"


@CASES.add(
    "A system message in mid-conversation",
    Absent("anthropic>*", "Anthropic's system prompt stands in front of the conversation."),
)
def late_system(cell: Cell) -> None:
    turns = (user("Hello"), Assistant(text="Good day."), System(text="Now in French."), user("And you?"))
    seen = cell.seen(*turns, system="Be brief.")
    assert "And you?" in seen["said"]
    assert "Now in French." in cell.lab.sent()["body"]
    if cell.target != ANTHROPIC:  # which has no place for it but another turn's words
        assert seen["roles"] == ["system", "user", "assistant", "system", "user"]


@CASES.add("Two messages of the user in a row")
def two_in_a_row(cell: Cell) -> None:
    seen = cell.seen(user("First."), user("Second."))
    roles = ["user"] if cell.target == ANTHROPIC != cell.pair.caller else ["user", "user"]
    assert seen["roles"] == roles  # Anthropic's turns alternate
    assert "Second." in seen["said"]
    assert "First." in cell.lab.sent()["body"]


@CASES.add("An earlier answer without a word", Absent("anthropic>*", "Anthropic's API refuses such a message."))
def wordless(cell: Cell) -> None:
    seen = cell.seen(user("Hello"), Assistant(text=""), user("Are you there?"))
    assert "Are you there?" in seen["said"]


@CASES.add("The beginning of the answer is given")
def beginning_given(cell: Cell) -> None:
    seen = cell.seen(user("A rhyme, please."), Assistant(text="Roses are"))
    assert seen["roles"] == ["user", "assistant"]
    assert seen["said"] == "A rhyme, please."


@CASES.add("An assistant who speaks first", Absent("anthropic>anthropic", "Anthropic's own rules hold as they are."))
def assistant_first(cell: Cell) -> None:
    seen = cell.seen(Assistant(text="How can I help?"), user("Not at all."))
    assert seen["roles"][-2:] == ["assistant", "user"]
    assert seen["said"] == "Not at all."


@CASES.add("A message of several texts", Absent("ollama>*", "An Ollama message is one text."))
def several_texts(cell: Cell) -> None:
    seen = cell.seen(user("Look: ", "here", " and there"))
    assert "".join(seen["said"].split()) == "Look:hereandthere"


@CASES.add(
    "A system prompt of several parts, with cache markers",
    Loss("*>openai|ollama", ("cache_control",), "The target's dialect has no prompt-cache markers."),
    Absent("ollama>*", NO_MARKERS),
)
def cache_markers(cell: Cell) -> None:
    system = ("You are careful.", Marked(text="These are the rules."))
    seen = cell.seen(user(Marked(text="A long document."), "What does it say?"), system=system)
    assert "".join(seen["system"].split()) == "Youarecareful.Thesearetherules."
    assert "".join(seen["said"].split()) == "Alongdocument.Whatdoesitsay?"
    sent = cell.sent()
    if cell.target == ANTHROPIC:
        marker = {"type": "ephemeral"}
        assert [part.get("cache_control") for part in sent["system"]] == [None, marker]
        assert [part.get("cache_control") for part in sent["messages"][0]["content"]] == [marker, None]


@CASES.add("A bare prompt (completions, generate)", Absent("anthropic>*", "Anthropic's API has conversations only."))
def bare_prompt(cell: Cell) -> None:
    client, model = cell.caller.client, cell.model("echo")
    if cell.pair.caller == OPENAI:
        done = client.completions.create(model=model, prompt="Once upon a time", max_tokens=50)
        assert (done.choices[0].text, done.choices[0].finish_reason) == ("Once upon a time", "stop")
        chunks = list(client.completions.create(model=model, prompt="Once upon a time", max_tokens=50, stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Once upon a time"
        return
    whole = client.generate(model=model, prompt="Once upon a time")
    assert (whole.response, whole.done, whole.done_reason) == ("Once upon a time", True, "stop")
    lines = list(client.generate(model=model, prompt="Once upon a time", stream=True))
    assert "".join(line.response for line in lines) == "Once upon a time"
    assert lines[-1].done


@CASES.add(
    "A bare prompt with a system prompt and a picture (generate)",
    Absent("openai|anthropic>*", "It is Ollama's own operation."),
)
def generate(cell: Cell) -> None:
    fields = {"prompt": "What is this?", "system": "Be brief.", "images": [PNG]}
    seen = json.loads(cell.caller.client.generate(model=cell.model("see"), **fields).response)
    assert (seen["system"], seen["said"]) == ("Be brief.", "What is this?")
    assert [image["bytes"] for image in seen["images"]] == [len(PNG)]


@CASES.add(
    "A text with a gap to fill (suffix)",
    Loss("openai|ollama>anthropic", ("suffix",), "The target's API has conversations only."),
    Loss("ollama>openai", ("suffix",), "The target's API for conversations has no gaps."),
    Absent("anthropic>*", "Anthropic's API has conversations only."),
)
def suffix(cell: Cell) -> None:
    client, model = cell.caller.client, cell.model("echo")
    if cell.pair.caller == OPENAI:
        client.completions.create(model=model, prompt="def f(x):", suffix="return y", max_tokens=50)
    else:
        client.generate(model=model, prompt="def f(x):", suffix="return y")
    lossy = cell.case.loss(cell.pair) is not None
    assert cell.sent().get("suffix") == (None if lossy else "return y")
