"""How an answer ends, and what it consumed."""

from modelyard.upstream.scripted.answers import REFUSED
from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI
from tests.conformance.cases.text import ENDED
from tests.conformance.matrix import Absent, Cases, Cell

CASES = Cases("Ends and usage")

LIMITED = {OPENAI: "length", ANTHROPIC: "max_tokens", OLLAMA: "length"}
NO_REFUSALS = Absent("*>ollama", "Ollama tells nobody that a model refused.")


@CASES.add("max_tokens reached")
def length(cell: Cell) -> None:
    for answer in cell.both("length", "Hello", params={"max_tokens": 100}):
        assert answer.stop == LIMITED[cell.pair.caller]


@CASES.add("A stop sequence")
def stop_sequence(cell: Cell) -> None:
    for answer in cell.both("stop-sequence", "one two STOP three", params={"stop": ["STOP"]}):
        assert answer.text == "one two "
        if cell.pair.caller == ANTHROPIC == cell.target:
            assert (answer.stop, answer.stop_sequence) == ("stop_sequence", "STOP")
        else:
            # Only Anthropic tells a stop sequence from an end of its own.
            assert answer.stop == ENDED[cell.pair.caller]


@CASES.add("An end for a reason that nobody knows")
def odd_finish(cell: Cell) -> None:
    for answer in cell.both("odd-finish", "Hello"):
        assert answer.text == "Hello"
        passes = cell.pair.caller == cell.target
        assert answer.stop == ("gave_up" if passes else ENDED[cell.pair.caller])


@CASES.add("A pause that the model makes", Absent("*>openai|ollama", "Only Anthropic's models make pauses."))
def pause(cell: Cell) -> None:
    for answer in cell.both("pause", "Hello"):
        assert answer.text == "Hello"
        assert answer.stop == {OPENAI: "stop", ANTHROPIC: "pause_turn", OLLAMA: "stop"}[cell.pair.caller]


@CASES.add("A stream without its closing mark, but with the reason for its end")
def no_done(cell: Cell) -> None:
    answer = cell.stream("no-done", "one two")
    assert (answer.text, answer.stop) == ("one two", ENDED[cell.pair.caller])


@CASES.add("An answer that calls itself plain text, whole and streamed")
def wrong_type(cell: Cell) -> None:
    for answer in cell.both("wrong-type", "one two"):
        assert (answer.text, answer.stop) == ("one two", ENDED[cell.pair.caller])


@CASES.add("A refusal in words", NO_REFUSALS)
def refusal(cell: Cell) -> None:
    for answer in cell.both("refusal", "Do harm"):
        if cell.pair.caller == OPENAI == cell.target:
            assert answer.refusal == "".join(REFUSED)
        else:
            assert (answer.refusal or answer.text) == "".join(REFUSED)
        if cell.pair.caller == ANTHROPIC:
            assert answer.stop == "refusal"
        elif cell.pair.caller == OPENAI and cell.target == ANTHROPIC:
            assert answer.stop == "content_filter"


@CASES.add("Cut off by a filter", NO_REFUSALS)
def content_filter(cell: Cell) -> None:
    told = {OPENAI: "content_filter", ANTHROPIC: "refusal", OLLAMA: "stop"}
    for answer in cell.both("content-filter", "Hello"):
        assert answer.stop == told[cell.pair.caller]


@CASES.add("Tokens in and out, whole and streamed")
def usage(cell: Cell) -> None:
    for answer in cell.both("echo", "one two three", system="Be brief."):
        assert answer.usage is not None
        assert (answer.usage.input, answer.usage.output) == (5, 3)


@CASES.add("Tokens read from and written to a cache, and thought")
def buckets(cell: Cell) -> None:
    for answer in cell.both("cached-usage", "one two three"):
        assert answer.usage is not None
        assert (answer.usage.input, answer.usage.output) == (165, 30)
        if OLLAMA not in (cell.pair.caller, cell.target):
            assert answer.usage.cached == 40
            assert answer.usage.written == 25
            # A stream of Anthropic's tells the thoughts' tokens with its last count.
            assert answer.usage.reasoning == 12
