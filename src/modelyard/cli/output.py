"""What commands write: tables and JSON on standard output, notes and problems as lines on standard error.

Names, addresses and answers come from other machines, so nothing of them reaches the terminal as a control character,
nor rich as markup.
"""

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

# Beside a terminal there is no width to fit into; this one keeps a row on a line.
FILE_WIDTH = 240

# ECMA-48: a string (OSC, DCS, SOS, PM, APC) up to its terminator, a CSI sequence, any other escape sequence.
# Strings are bounded, so that one which never ends does not hide the rest of an answer.
_STRING = r"(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}"
_CSI = r"(?:\x1b\[|\x9b)[0-?]{0,256}[ -/]{0,16}"
_OTHER = r"\x1b[ -/]{0,16}"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
_OBEYED = re.compile(rf"{_STRING}(?:\x07|\x1b\\|\x9c)|{_CSI}[@-~]|{_OTHER}[0-OQ-WYZ\\`-~]|{_CONTROL}")
_BEGUN = re.compile(rf"(?:{_STRING}\x1b?|{_CSI}|{_OTHER})\Z")


class TerminalFilter:
    """Takes escape sequences and control characters but tab and line feed out of a text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What may be written now. A sequence that has begun and not ended is held back."""
        text = self._held + piece
        begun = _BEGUN.search(text)
        end = begun.start() if begun is not None else len(text)
        self._held = text[end:]
        return _OBEYED.sub("", text[:end])

    def end(self) -> str:
        """What is left: the characters of a sequence that never ended."""
        rest, self._held = self._held, ""
        return _OBEYED.sub("", rest)


def one_line(text: str) -> str:
    """A text as one line without anything that a terminal would obey."""
    terminal = TerminalFilter()
    return " ".join((terminal.feed(text) + terminal.end()).split())


def note(message: str) -> None:
    """A line for a person beside what the command is for."""
    sys.stderr.write(f"{one_line(message)}\n")


def say(message: str) -> None:
    """A line that the command is for."""
    sys.stdout.write(f"{one_line(message)}\n")


def stop(message: str) -> NoReturn:
    """End the program with a problem in one line and exit code 1."""
    note(message)
    raise SystemExit(1)


def write_json(value: Any) -> None:
    """A value for scripts. ASCII, so that it is as safe in a terminal as in a pipe."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


STYLES = {"ok": "green", "failed": "bold red", "switched off": "dim"}


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str | int | None]], when_empty: str) -> None:
    """A table, or one sentence when it has no rows. Whole numbers stand to the right."""
    if not rows:
        say(when_empty)
        return
    # Imported here, because rich is not needed for `--help` of a command.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        counts = any(isinstance(row[number], int) for row in rows)
        table.add_column(column, justify="right" if counts else "left", overflow="fold")
    for row in rows:
        cells = ["" if value is None else one_line(str(value)) for value in row]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def moment(seconds: float | None) -> str | None:
    """A time as a person reads it, in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
