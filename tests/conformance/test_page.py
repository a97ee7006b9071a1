"""docs/conformance.md is what the table of cases says: nobody wrote a cell by hand."""

import re

from tests.conformance.page import PAGE, render, sdks


def without_versions(page: str) -> str:
    """The page without the versions of the SDKs, which may move before the matrix is run again."""
    return re.sub(r"\b(openai|anthropic|ollama) \d[\w.]*", r"\1", page)


def test_the_page_is_what_the_cases_say() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert without_versions(told) == without_versions(render()), (
        "docs/conformance.md: run `python -m tests.conformance --write docs/conformance.md`"
    )


def test_the_page_names_the_sdks() -> None:
    assert re.findall(r"\b(openai|anthropic|ollama) \d", sdks()) == ["openai", "anthropic", "ollama"]
