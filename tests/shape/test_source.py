import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from modelyard.dialects.flavours import FLAVOURS, KINDS
from tests.shape.tree import ROOT, SRC, modules, sources, text_files

MAX_LINES = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}


def listed(found: list[str]) -> str:
    return "\n  " + "\n  ".join(found)


def test_imports_point_down() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"move the code or the import so that it points down:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    )


def test_files_stay_readable() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in sources()
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    ]
    assert not long, f"split these by what they are about, {MAX_LINES} lines at most:{listed(long)}"


def test_names_say_what_is_inside() -> None:
    vague = [
        str(path.relative_to(ROOT)) for path in SRC.rglob("*") if path.stem in VAGUE and path.suffix in ("", ".py")
    ]
    assert not vague, f"name these after what they hold:{listed(vague)}"


def test_no_global_state() -> None:
    found = [
        f"{name}:{node.lineno}" for name, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.Global)
    ]
    assert not found, f"hand the value down from the composition root (app.py) instead of `global`:{listed(found)}"


def test_only_the_settings_read_the_environment() -> None:
    found = []
    for name, tree in modules():
        if name == "src/modelyard/settings.py":
            continue
        for node in ast.walk(tree):
            attribute = isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb")
            imported = (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and {a.name for a in node.names} & {"environ", "getenv"}
            )
            if (attribute and isinstance(node.value, ast.Name) and node.value.id == "os") or imported:  # type: ignore[attr-defined]
                found.append(f"{name}:{node.lineno}")  # type: ignore[attr-defined]
    assert not found, f"add a field to settings.Settings and hand its value down:{listed(found)}"


def test_nothing_runs_data_as_code() -> None:
    found = []
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in (
                    "eval",
                    "exec",
                    "compile",
                    "__import__",
                    "yaml.load",
                    "yaml.unsafe_load",
                    "yaml.full_load",
                    "os.system",
                    "os.popen",
                ):
                    found.append(f"{name}:{node.lineno}: {called}")
            elif isinstance(node, ast.Import | ast.ImportFrom):
                imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                for module in imported:
                    if module.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
                        found.append(f"{name}:{node.lineno}: import {module}")
                    if module.split(".")[0] == "subprocess" and name != "src/modelyard/serve.py":
                        found.append(f"{name}:{node.lineno}: subprocess (serve.py only)")
    assert not found, f"read data with msgspec or yaml.safe_load, start processes in serve.py only:{listed(found)}"


def test_no_path_of_one_machine() -> None:
    machine = re.compile(r"(?<![\w.])/" + r"(?:work|root|home/\w+|Users/\w+)/")
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if machine.search(line) and not name.startswith("tests/shape/")
    ]
    assert not found, f"write paths from the repository's root or take them from a setting:{listed(found)}"


def test_links_between_documents_lead_somewhere() -> None:
    found = []
    for name, text in text_files():
        if not name.endswith(".md"):
            continue
        for link in re.findall(r"\]\(<?([^)\s>]+)>?\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if re.match(r"[a-z]+:|#", link):
                continue
            if link.startswith("/") or not (ROOT / name).parent.joinpath(link.partition("#")[0]).exists():
                found.append(f"{name}: {link}")
    assert not found, (
        f"point these at a file that exists, from the document's own folder, or write the whole URL:{listed(found)}"
    )


def test_public_functions_say_what_they_do() -> None:
    found: list[str] = []
    for name, tree in modules():
        if name.split("/")[2] in ("gateway", "policy", "dialects"):
            found += [f"{name}:{node.lineno}: {node.name}" for node in undocumented(tree.body)]
    assert not found, f"add a docstring, or a leading underscore when nobody else calls it:{listed(found)}"


def undocumented(body: list[ast.stmt]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions and methods without a docstring. Trivial ones (a property, a Protocol's `...`, one statement) need none."""
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += undocumented(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            is_property = any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)
            if not is_property and len(node.body) > 1 and ast.get_docstring(node) is None:
                found.append(node)
    return found


def test_no_provider_is_a_special_case() -> None:
    names = {*FLAVOURS, *KINDS}
    found = []
    for name, tree in modules():
        if name == "src/modelyard/dialects/flavours.py":
            continue
        for node in ast.walk(tree):
            values: list[ast.AST] = []
            if isinstance(node, ast.Compare):
                values = [node.left, *node.comparators]
            elif isinstance(node, ast.MatchValue):
                values = [node.value]
            literals = [one.value for value in values for one in ast.walk(value) if isinstance(one, ast.Constant)]
            if names.intersection(one for one in literals if isinstance(one, str)):
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")  # type: ignore[attr-defined]
    assert not found, (
        f"make the difference a field of Flavour and its value a row of FLAVOURS (dialects/flavours.py):{listed(found)}"
    )
