"""What the report is made of: targets, numbers and tables in Markdown."""

# ruff: noqa: RUF001 -- the report is for people: a dash is what is meant

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

NOTHING = "–"


@dataclass(frozen=True)
class Target:
    text: str
    limit: float
    unit: str
    figure: float | None
    # Most figures must stay under their limit; rates must be over it.
    at_least: bool = False
    digits: int = 2

    def row(self) -> list[str]:
        sign = "≥" if self.at_least else "≤"
        wanted = f"{sign} {self.limit:g} {self.unit}".strip()
        if self.figure is None:
            return [self.text, wanted, NOTHING, "not measured"]
        reached = self.figure >= self.limit if self.at_least else self.figure <= self.limit
        return [self.text, wanted, f"{self.figure:.{self.digits}f} {self.unit}".strip(), "yes" if reached else "**no**"]


def median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    marks = ["---"] + ["---:"] * (len(heads) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows)]
