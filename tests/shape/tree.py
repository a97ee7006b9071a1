"""The repository's own files, without asking git: an unpacked release has the same rules."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "modelyard"

_IGNORED = {
    ".git", ".venv", "__pycache__", "dist", "build", "data", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis",
    ".import_linter_cache", ".peers", "node_modules",
}  # fmt: skip
_BUILT = SRC / "api" / "static"
_BINARY = {".png", ".ico", ".gguf", ".woff2", ".pyc", ".gz", ".db", ".lock"}


def sources() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def modules() -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of every module."""
    for path in sources():
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def text_files() -> Iterator[tuple[str, str]]:
    """(path from the root, text) of everything that is tracked and is text."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if _IGNORED.intersection(parts) or any(part.endswith(".egg-info") for part in parts):
            continue
        if path.is_relative_to(_BUILT):
            continue
        if path.is_file() and path.suffix not in _BINARY and path.name != ".env":
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def document(name: str) -> str:
    path = ROOT / name
    assert path.is_file(), f"{name} is missing: write it"
    return path.read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a `## heading`, up to the next one of that level."""
    match = re.search(rf"^## {re.escape(heading)}[ \t]*$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"there is no section `## {heading}`: add it"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all Markdown table rows, without heads and rules."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            found.pop()  # what stood above the rule was the head
        else:
            found.append(cells)
    return found
