import json
import re
import tomllib
from pathlib import Path
from typing import Any

from modelyard import __version__
from modelyard.core.errors import Kind
from modelyard.settings import Settings
from modelyard.yardfile import Yard
from tests.shape.tree import ROOT, SRC, document, rows, section

NONE = {"", "-", "—", "none", "unset", "empty", "not set"}

# Files of a running installation or of its operator that the documents name.
NOT_OURS = {
    "yard.yaml",
    ".env",
    "ledger.db",
    "modelyard.db",
    "secret-key",
    "models.ini",
    "data/",
    "backups/",
    "journal/",
}
SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".css", ".html", ".cfg", ".ini"}


def spellings(default: Any) -> set[str]:
    """How a default may stand in the table."""
    if default is None or default in ("", [], {}):
        return NONE
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, float) and default.is_integer():
        return {str(default), str(int(default))}
    return {str(default)}


def test_settings_are_documented_and_documented_settings_exist() -> None:
    text = document("docs/settings.md")
    told = {cells[0].strip("`"): cells for cells in rows(section(text, "Settings"))}
    known = {field.alias: field for field in Settings.model_fields.values()}
    missing = sorted(str(name) for name in known.keys() - told.keys())
    assert not missing, f"docs/settings.md: add rows under `## Settings` for {missing}"
    unknown = sorted(told.keys() - known.keys())
    assert not unknown, (
        f"docs/settings.md: {unknown} is in no Settings; remove the row or move it to `## Not supported`"
    )
    wrong = []
    for name, field in known.items():
        cells = told[str(name)]
        assert cells[0] == f"`{name}`", f"docs/settings.md: write {name} as inline code"
        assert len(cells) == 3, f"docs/settings.md: the row of {name} must have the columns Variable, Default, Meaning"
        assert cells[2], f"docs/settings.md: the row of {name} has no meaning"
        default = field.get_default(call_default_factory=True)
        if cells[1].strip("`*_ ").lower() not in {one.lower() for one in spellings(default)}:
            wrong.append(f"{name} is {cells[1]!r}, must be one of {sorted(spellings(default))}")
        elif cells[1].strip("`*_ ").lower() not in NONE and not cells[1].startswith("`"):
            wrong.append(f"{name}: write its default as inline code")
    assert not wrong, f"docs/settings.md: {wrong}"


def test_settings_that_are_not_supported_have_a_reason() -> None:
    known = {field.alias for field in Settings.model_fields.values()}
    for cells in rows(section(document("docs/settings.md"), "Not supported")):
        name = cells[0].strip("`")
        assert cells[0] == f"`{name}`", f"docs/settings.md: write {name} as inline code"
        assert len(cells) == 2, f"docs/settings.md: the row of {name} must have the columns Variable, Why"
        assert len(cells[1]) > 5, f"docs/settings.md: say why {name} is not supported"
        assert name not in known, f"docs/settings.md: {name} is supported now; move its row to `## Settings`"


def test_every_error_is_documented() -> None:
    text = document("docs/errors.md")
    missing = [kind.code for kind in Kind if f"`{kind.code}`" not in text]
    assert not missing, f"docs/errors.md: say what these mean and what to do: {missing}"


def test_the_map_names_only_what_exists() -> None:
    text = re.sub(r"```.*?```", "", document("ARCHITECTURE.md"), flags=re.DOTALL)
    missing = [token for token in re.findall(r"`([^`\n]+)`", text) if looks_like_a_path(token) and not exists(token)]
    assert not missing, f"ARCHITECTURE.md: these are not in the repository; correct the name: {missing}"


def looks_like_a_path(token: str) -> bool:
    if not re.fullmatch(r"[\w.*/-]+", token) or token.startswith("/") or token in NOT_OURS:
        return False
    first = token.split("/", maxsplit=1)[0]
    begins = "/" in token and any((base / first).is_dir() for base in bases())
    return token.endswith("/") or Path(token).suffix in SUFFIXES or begins


def bases() -> list[Path]:
    return [ROOT, ROOT / "src", SRC]


def exists(token: str) -> bool:
    if any(any(base.glob(token.rstrip("/"))) for base in bases()) or (SRC / f"{token}.py").is_file():
        return True
    # A bare file name, where the section says which folder.
    return "/" not in token and any(any((ROOT / top).rglob(token)) for top in ("src", "tests", "docs", "bench"))


def test_the_changelog_has_this_version() -> None:
    heads = re.findall(r"^## \[?([^\]\s]+)\]?", document("CHANGELOG.md"), re.MULTILINE)
    wanted = {"unreleased", __version__}
    assert wanted & {head.lower() for head in heads}, (
        f"CHANGELOG.md: add a section `## Unreleased` or `## {__version__}`"
    )


def test_the_interface_has_the_labels_that_its_guide_names() -> None:
    words = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ui/src/text/en").glob("*.ts"))
    labels = re.findall(r"\*\*([^*]+)\*\*", section(document("docs/interface.md"), "How to"))
    assert labels
    missing = [label for label in labels if f'"{label}"' not in words]
    assert not missing, f"docs/interface.md, How to: no text of the interface is called {missing}"


def test_decisions_are_numbered_and_have_one_form() -> None:
    folder = ROOT / "docs" / "decisions"
    files = sorted(path for path in folder.glob("*.md") if path.name.lower() not in ("readme.md", "index.md"))
    assert files, "docs/decisions: write the decisions down"
    numbers = [re.match(r"(\d+)-[a-z0-9-]+\.md$", path.name) for path in files]
    odd = [path.name for path, number in zip(files, numbers, strict=True) if number is None]
    assert not odd, f"docs/decisions: name these like 0001-a-few-words.md: {odd}"
    found = [int(number[1]) for number in numbers if number is not None]
    first = found[0]
    assert first in (0, 1), f"docs/decisions: the first number is {first}, must be 1"
    assert found == list(range(first, first + len(found))), (
        f"docs/decisions: numbers must follow each other, once each: {found}"
    )
    for path in files:
        text = path.read_text(encoding="utf-8")
        missing = [
            head
            for head in ("Context", "Decision", "Consequences")
            if not re.search(rf"^#+ {head}\b", text, re.MULTILINE)
        ]
        assert not missing, f"{path.relative_to(ROOT)}: add the headings {missing}"


def test_the_schema_of_the_file_is_published() -> None:
    published = json.loads(document("docs/yard.schema.json"))
    told = {name: value for name, value in published.items() if name not in ("$schema", "$id")}
    assert told == Yard.model_json_schema(), "docs/yard.schema.json: write Yard.model_json_schema() into it again"


def test_there_is_one_version() -> None:
    project = tomllib.loads(document("pyproject.toml"))
    assert "version" in project["project"].get("dynamic", []), (
        "pyproject.toml: the version is dynamic, keep it in __init__.py only"
    )
    assert "version" not in project["project"], (
        "pyproject.toml: the version is in src/modelyard/__init__.py, remove this one"
    )
    path = project["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{__version__}"' in document(path), f"{path}: write the version as a plain string"
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", __version__), (
        f"{path}: {__version__} is not a version of PEP 440"
    )
