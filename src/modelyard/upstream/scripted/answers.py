"""What scripts say: pure functions from a call to the blocks of its answer."""

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from typing import Any

from modelyard.upstream.scripted.form import Answer, Block, Call, Finish, Kind, Usage, encode

LOREM = [
    *("lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do", "eiusmod", "tempor"),
    *("incididunt", "ut", "labore", "et", "dolore", "magna", "aliqua", "ut", "enim", "ad", "minim", "veniam", "quis"),
]
HUGE = 20_000_000
# U+2028 ends a line for str.splitlines but not in SSE; the emoji is joined from four; the é is e + combining accent.
UNICODE = ["Grüße, ", "日本語 ", "👩\u200d👩\u200d👧 ", "e\u0301 ", "line\u2028separator ", "\x85 ", "العربية ", "𝄞"]
THOUGHT = ["Let me ", "think. ", "The user ", "wants ", "an answer."]
REDACTED = base64.b64encode(b"what nobody but the provider may read").decode()
REFUSED = ["I'm sorry, ", "but I cannot ", "help with that."]
# The arguments of the first and the second tool call, in fragments that split tokens and strings.
ARGUMENTS = [['{"ci', 'ty": "Zür', 'ich", "da', 'ys": ', "3}"], ['{"city"', ': "Pa', 'ris", "days', '": 5}']]
MOST_DEPTH = 16  # of a JSON schema
TOOLS = ["get_weather", "get_time"]  # where the request offers none


def words(text: str) -> list[str]:
    """The words of a text, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def fragments(text: str, size: int = 5) -> list[str]:
    """The text in pieces of this many characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def says(pieces: Callable[[Call], list[str]], kind: Kind = Kind.TEXT) -> Callable[[Call], list[Block]]:
    """An answer of one block."""
    return lambda call: [Block(kind, pieces(call))]


def echo(call: Call) -> list[str]:
    """The last user message (or the prompt), word by word."""
    return words(call.asked.said)


def lorem(call: Call) -> list[str]:
    """As many words as the script has events."""
    return [f"{word} " for word in itertools.islice(itertools.cycle(LOREM), call.events)]


def lorem_past_the_fault(call: Call) -> list[str]:
    """Enough words for a fault after n events to have something behind it."""
    return [f"{word} " for word in itertools.islice(itertools.cycle(LOREM), call.events + 8)]


def tool_calls(count: int) -> Callable[[Call], list[Block]]:
    """Calls of the first `count` tools on offer, or of as many as there are."""

    def blocks(call: Call) -> list[Block]:
        offered = (call.asked.tools or TOOLS)[:count]
        return [Block(Kind.TOOL, ARGUMENTS[number], name, number) for number, name in enumerate(offered)]

    return blocks


def tool_loop(call: Call) -> list[Block]:
    """A call of the first tool, and once there are results, these."""
    results = call.asked.tool_results
    if not results:
        return tool_calls(1)(call)
    return [Block(Kind.TEXT, words(" ".join(["The tools said:", *(result["text"] for result in results)])))]


def thinking(call: Call) -> list[Block]:
    """A thought, then the echo."""
    return [Block(Kind.THINKING, THOUGHT), Block(Kind.TEXT, echo(call))]


def redacted(call: Call) -> list[Block]:
    """A thought, one that nobody may read, then the echo."""
    return [Block(Kind.THINKING, THOUGHT), Block(Kind.REDACTED, [REDACTED]), Block(Kind.TEXT, echo(call))]


def thinking_tool(call: Call) -> list[Block]:
    """A thought, a sentence, then a tool call."""
    said = Block(Kind.TEXT, ["I shall ", "look that up."])
    return [Block(Kind.THINKING, THOUGHT), said, *tool_calls(1)(call)]


def json_object(call: Call) -> list[str]:
    """An object that satisfies the schema of the request, as far as that is simple."""
    schema = call.asked.format
    value = instance(schema, schema) if isinstance(schema, dict) else {"answer": call.asked.said}
    return fragments(encode(value).decode())


def see(call: Call) -> list[str]:
    """What the request showed, as a compact JSON."""
    return fragments(encode({"form": call.form.name, **call.asked.seen()}).decode(), 24)


def sign(thought: str) -> str:
    """A signature that tells whether the thought comes back as it was."""
    return base64.b64encode(hashlib.shake_256(thought.encode("utf-8", "surrogatepass")).digest(48)).decode()


def instance(schema: Any, root: dict[str, Any], depth: int = 0) -> Any:
    """A value that satisfies a simple JSON schema: the first of what it leaves open."""
    if not isinstance(schema, dict) or depth > MOST_DEPTH:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.rpartition("/")[2]
        return instance((root.get("$defs") or root.get("definitions") or {}).get(name), root, depth + 1)
    choices = next((schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)), None)
    if choices is not None:
        return instance(choices[0], root, depth + 1)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind, least = schema.get("type"), schema.get("minimum", 1)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        return {name: instance(one, root, depth + 1) for name, one in (schema.get("properties") or {}).items()}
    one = instance(schema.get("items"), root, depth + 1)
    simple = {"string": "text", "integer": least, "number": least, "boolean": True}
    return [one] * max(1, schema.get("minItems", 1)) if kind == "array" else simple.get(str(kind))


def answer(call: Call) -> Answer:
    """The script's answer within the limits of the request. A word or piece counts as one token."""
    script, asked = call.script, call.asked
    blocks, stop = script.blocks(call), None
    tools = bool(blocks) and blocks[-1].kind is Kind.TOOL
    finish = script.finish or (Finish.TOOLS if tools else Finish.STOP)
    if script.stops and asked.stops:
        stop, finish = asked.stops[0], Finish.STOP_SEQUENCE
        text = "".join(block.text for block in blocks)
        blocks = [Block(Kind.TEXT, words(text.partition(stop)[0]))]
    if asked.limit is not None and 0 < asked.limit < sum([len(block.pieces) for block in blocks]):
        blocks, stop, finish = _shortened(blocks, asked.limit), None, Finish.LENGTH
    return Answer(blocks, finish, script.usage or _usage(call, blocks), stop)


def _shortened(blocks: list[Block], limit: int) -> list[Block]:
    kept = []
    for block in blocks:
        if limit > 0:
            kept.append(Block(block.kind, block.pieces[:limit], block.name, block.number))
        limit -= len(block.pieces)
    return kept


def _usage(call: Call, blocks: list[Block]) -> Usage:
    said = thoughts = 0
    for block in blocks:
        said += len(block.pieces)
        if block.kind in (Kind.THINKING, Kind.REDACTED):
            thoughts += len(block.pieces)
    return Usage(input=len(words("\n".join(call.asked.texts))), output=said, reasoning=thoughts)


def logprob(token: str) -> dict[str, Any]:
    """The log-probability of a token, with two alternatives, in the form of OpenAI and Ollama."""
    alternatives = [{"token": token, "logprob": -0.25}, {"token": token.upper(), "logprob": -1.75}]
    tops = [{**one, "bytes": list(str(one["token"]).encode())} for one in alternatives]
    return {**tops[0], "top_logprobs": tops}
