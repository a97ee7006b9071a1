"""Rules of the web interface's source, beside what its types and its own tests hold."""

import re
import subprocess
import sys
from pathlib import Path

from tests.shape.tree import ROOT

SOURCE = ROOT / "ui" / "src"
MADE = "schema.d.ts"  # generated: `make client`
MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "misc", "manager", "base", "common"}

# Ways in which text that somebody else wrote could become markup or a program.
DANGEROUS = (
    r"\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function\(|srcdoc|[\"'`]javascript:"
)
# Words for people stand in the catalogue (ui/src/text), not in components.
WORDED = r'\b(?:label|title|placeholder|aria-label|description|help)="[A-Z][a-z]'


def files() -> list[Path]:
    return [path for path in SOURCE.rglob("*") if path.suffix in {".ts", ".svelte"} and path.name != MADE]


def found(pattern: str, *suffixes: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files()
        if path.suffix in suffixes
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_text_becomes_markup_or_a_program() -> None:
    assert found(DANGEROUS, ".ts", ".svelte") == []


def test_words_stand_in_the_catalogue() -> None:
    assert found(WORDED, ".svelte") == []


def test_colours_are_tokens() -> None:
    assert (
        found(r"#[0-9a-fA-F]{3,8}\b(?!\})|\b(?:bg|text|border)-(?:gray|red|blue|green|zinc|slate)-\d", ".svelte") == []
    )


def test_files_stay_readable() -> None:
    long = [f"{path}: {count}" for path in files() if (count := len(path.read_text("utf-8").splitlines())) > MAX_LINES]
    assert long == []


def test_names_say_what_is_inside() -> None:
    assert [str(path) for path in files() if path.name.split(".")[0] in VAGUE] == []


def test_the_typed_client_is_that_of_the_api(tmp_path: Path) -> None:
    document, client = tmp_path / "openapi.json", tmp_path / MADE
    document.write_bytes(subprocess.check_output([sys.executable, ROOT / "scripts/openapi-document"]))
    generate = [
        ROOT / "scripts/npm",
        ROOT / ".venv",
        "exec",
        "--silent",
        "--",
        "openapi-typescript",
        document,
        "-o",
        client,
    ]
    subprocess.run(generate, check=True, capture_output=True)
    assert client.read_text("utf-8") == (SOURCE / "api" / MADE).read_text("utf-8"), "run `make client`"


def test_every_address_of_the_navigation_is_a_page() -> None:
    pages = set(re.findall(r'path: "(/[a-z]+)"', (SOURCE / "app/pages.ts").read_text("utf-8")))
    routes = set(re.findall(r'^  "(/[a-z/]*)":', (SOURCE / "app/router.ts").read_text("utf-8"), re.MULTILINE))
    assert pages
    assert pages <= routes
