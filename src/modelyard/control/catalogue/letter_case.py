"""Patterns by which a database finds text without regard to case, in any script, where no folded text is stored.

Databases fold ASCII only, or by a locale that nobody chose; a pattern that names every spelling of a letter does not
depend on either. A letter that folds to two (`ß`) is found by itself, not by the two.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain

# Where letters with two cases are.
_CASED = (
    (0x41, 0x2D00), (0xA640, 0xABC0), (0xFF21, 0xFF5B), (0x10400, 0x10D00), (0x118A0, 0x118E0), (0x16E40, 0x16E80),
    (0x1E900, 0x1E944),
)  # fmt: skip
_GLOB_SPECIAL = frozenset("*?[")


def glob_pattern(text: str) -> str:
    """SQLite: `column GLOB pattern` is true when the column holds this text."""
    return f"*{''.join(_globs(text))}*"


def regular_expression(text: str) -> str:
    """PostgreSQL: `column ~ pattern` is true when the column holds this text."""
    return "".join(_expressions(text))


def _globs(text: str) -> Iterator[str]:
    for letter in text:
        spellings = _spellings(letter)
        yield f"[{spellings}]" if len(spellings) > 1 or letter in _GLOB_SPECIAL else letter


def _expressions(text: str) -> Iterator[str]:
    for letter in text:
        spellings = _spellings(letter)
        if len(spellings) > 1:
            yield f"[{spellings}]"
        else:
            yield letter if letter.isalnum() or not letter.isascii() else f"\\{letter}"


def _spellings(letter: str) -> str:
    folded = letter.casefold()
    return "".join(dict.fromkeys([letter, *(folded if len(folded) == 1 else ""), *_unfolded().get(folded, "")]))


@cache
def _unfolded() -> Mapping[str, str]:
    """Folded text to the letters that fold to it."""
    found: dict[str, str] = {}
    for code in chain.from_iterable(range(*cased) for cased in _CASED):
        letter = chr(code)
        folded = letter.casefold()
        if folded != letter:
            found[folded] = found.get(folded, "") + letter
    return found
