"""What one translated text delta costs: a backend's bytes in, the caller's bytes out, nothing else of a gateway.

Run as a process of its own (`python -m bench.deltas`), so that it can be pinned to a core and carries nothing of the
other measurements. Prints a JSON list of [the backend's operation, the caller's, microseconds of CPU of each round,
what is wrong with the translation or null].
"""

import gc
import json
import time

from bench import answers, bodies
from bench.sections import DELTA_ROUNDS, DELTAS, RESPONSES
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Asker, ChatTranslation
from modelyard.dialects.table import OPERATIONS
from modelyard.gateway.lanes import Translator

BACKENDS = {
    "openai.chat": answers.OPENAI,
    "anthropic.messages": answers.ANTHROPIC,
    "ollama.chat": answers.OLLAMA,
}
# With BACKENDS they make nine pairs, those of a dialect with itself included.
CALLERS = tuple(BACKENDS)

_ASKED = {
    "anthropic.messages": bodies.anthropic_tools(),
    RESPONSES: answers.compact({"model": answers.MODEL, "input": "What is the weather in Lisbon?", "stream": True}),
}


class Wrong(Exception):
    """The translation is not one: its cost means nothing."""


def _texts() -> list[str]:
    return [f" ~{number % 10_000:04d}~" for number in range(DELTAS)]


def _chat(operation: str) -> ChatTranslation:
    translation = OPERATIONS[operation].chat if operation in OPERATIONS else None
    if translation is None:
        raise Wrong(f"{operation} is not translated")
    return translation


def _begun(backend: str, caller: str) -> Translator:
    """A stream whose first delta has passed: the block is open, what follows are deltas alone."""
    fields = raw.split(_ASKED.get(caller, bodies.openai_tools()))
    asker = Asker("call-bench", answers.MODEL, answers.CREATED, fields)
    translator = Translator(_chat(backend).reader(), _chat(caller).writer(asker))
    dialect = BACKENDS[backend]
    translator.feed(b"".join((*dialect.opening, dialect.frame("First"))))
    return translator


def _check(backend: str, caller: str, events: list[bytes]) -> None:
    """Every text must come out of the very call that took it in, and the stream must end properly. Warms up as well."""
    translator = _begun(backend, caller)
    for event, text in zip(events, _texts(), strict=True):
        written = translator.feed(event)
        if text.encode() not in written:
            raise Wrong(f"{backend} for {caller}: {event[:300]!r} became {written[:300]!r}")
    translator.feed(b"".join(BACKENDS[backend].closing(DELTAS, True)))
    if not translator.complete:
        translator.end()
    if translator.fault is not None or not translator.complete or translator.deltas != DELTAS + 1:
        raise Wrong(f"{backend} for {caller}: {translator.deltas} deltas, {translator.fault or 'no fault'}")


def _microseconds(backend: str, caller: str, events: list[bytes]) -> float:
    feed = _begun(backend, caller).feed
    # What collections have to walk is what this stream made, as in a gateway, which freezes what stays.
    gc.collect()
    gc.freeze()
    before = time.process_time()
    for event in events:
        feed(event)
    return 1e6 * (time.process_time() - before) / len(events)


def main() -> None:
    # As the gateway has it; importing its constant would bring the database along.
    gc.set_threshold(20_000, 20, 20)
    events = {backend: [dialect.frame(text) for text in _texts()] for backend, dialect in BACKENDS.items()}
    pairs = [(backend, caller) for caller in (*CALLERS, RESPONSES) for backend in BACKENDS]
    costs: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    wrong: dict[tuple[str, str], str] = {}
    for backend, caller in pairs:
        try:
            _check(backend, caller, events[backend])
        except (Wrong, Problem) as problem:
            wrong[backend, caller] = str(problem)
    # Round by round over the pairs, so that a slow moment hits all of them alike.
    for _ in range(DELTA_ROUNDS):
        for backend, caller in pairs:
            if (backend, caller) not in wrong:
                costs[backend, caller].append(_microseconds(backend, caller, events[backend]))
    print(json.dumps([[*pair, costs[pair], wrong.get(pair)] for pair in pairs]))


if __name__ == "__main__":
    main()
