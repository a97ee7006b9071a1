"""docs/conformance.md, written from the table of cases; whoever writes the file has run every cell before."""

from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from tests.conformance.asking import ANTHROPIC, DIALECTS, OLLAMA, OPENAI
from tests.conformance.cases import CASES
from tests.conformance.lab import REAL
from tests.conformance.matrix import ABSENT, LOSS, PAIRS, PASS, Case, Pair

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

WORDS = {OPENAI: "OpenAI", ANTHROPIC: "Anthropic", OLLAMA: "Ollama"}
SHORT = {OPENAI: "O", ANTHROPIC: "A", OLLAMA: "L"}
UPSTREAMS = {True: "real", False: "scripted"}

NOTHING = "\N{EN DASH}"

INTRODUCTION = f"""\
# Conformance

Callers speak three dialects to Modelyard, and so do backends. A call whose caller and backend speak the same one passes
as it is; any other is translated. This page says what of it works.

Each cell is a test (`tests/conformance`): the official SDK of the caller's dialect asks a running server, which asks an
upstream of the backend's dialect. The page is written by `python -m tests.conformance --write docs/conformance.md`, and
only when every cell did what it says here. The SDKs were {{sdks}}.

The columns are caller → backend: **O** is OpenAI (chat completions; the last group is the Responses API), **A** is
Anthropic (messages), **L** is Ollama (chat).

- ✓: it works, and nothing is lost.
- loss: it works but for what the note names, because the backend's dialect has no word for it. The answer's header
  `x-modelyard-loss` names exactly these fields. With `x-modelyard-strict: true` such a call is refused (400) instead.
- {NOTHING}: there is nothing to test, because one of the two dialects has no such notion. The note says why.

The last column says what answered. *scripted* is Modelyard's own scripted upstream, which speaks all three dialects,
refuses what the real APIs refuse, and misbehaves on command. *real* is llama.cpp for an OpenAI or an Anthropic backend,
and for Ollama what a real server (0.32.15) answered, recorded and replayed (`tests/corpus/ollama`).
"""


def sdks() -> str:
    """The SDKs and their versions."""
    return ", ".join(f"{name} {version(name)}" for name in DIALECTS)


class _Notes:
    """Footnotes, each text once, numbered in the order of their first use."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def render() -> str:
    """The whole page."""
    notes = _Notes()
    tables = [_table(group, list(cases), notes) for group, cases in groupby(CASES, key=lambda case: case.group)]
    told = "\n".join(f"{number}. {text}" for number, text in enumerate(notes.texts, 1))
    parts = [INTRODUCTION.format(sdks=sdks()), _sums(), *tables, f"## Notes\n\n{told}\n"]
    return "\n".join(parts)


def _sums() -> str:
    found = [case.expected(pair) for case in CASES for pair in PAIRS]
    return (
        f"{len(CASES)} rows, {len(found)} cells: {found.count(PASS)} pass, {found.count(LOSS)} with a named loss, "
        f"{found.count(ABSENT)} with nothing to test.\n"
    )


def _table(group: str, cases: list[Case], notes: _Notes) -> str:
    columns = [f"{SHORT[pair.caller]} → {SHORT[pair.target]}" for pair in PAIRS]
    lines = [
        f"## {group}",
        "",
        f"| | {' | '.join(columns)} | upstream |",
        f"|---|{'---|' * len(columns)}---|",
    ]
    for case in cases:
        cells = [_cell(case, pair, notes) for pair in PAIRS]
        lines.append(f"| {case.title} | {' | '.join(cells)} | {UPSTREAMS[case.upstream == REAL]} |")
    return "\n".join(lines) + "\n"


def _cell(case: Case, pair: Pair, notes: _Notes) -> str:
    absence = case.absence(pair)
    if absence is not None:
        return f"{NOTHING} <sup>{notes.number(absence)}</sup>"
    loss = case.loss(pair)
    if loss is None:
        return "✓"
    names = ", ".join(f"`{name}`" for name in loss.fields)
    return f"loss <sup>{notes.number(f'{names}: {loss.reason}')}</sup>"
