"""Writes a Modelfile that Ollama accepts, and says what one cannot hold."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modelyard.control.modelfile import parameters
from modelyard.control.modelfile.parsing import ROLES, SINGLE, TRIPLE, Instruction, Modelfile, parse
from modelyard.core.errors import Problem
from modelyard.policy.presets import BadParameter, read_preset

# Of the file that a row was made from: what a catalogue row has no field for.
_KEPT = ("adapter", "draft", "renderer", "parser", "requires", "license")

# What `meta` holds for this conversion itself, or what everyone has.
_UNTOLD = frozenset({"ollama", "profile_image_url"})


class Written(NamedTuple):
    """A Modelfile, and sentences on what it could not hold."""

    text: str
    notes: list[str]


def write(modelfile: Modelfile) -> str:
    """The text of a Modelfile: `parse` reads the same instructions from it. Raises ValueError for one that no text says."""
    return "".join(f"{_line(one)}\n" for one in modelfile.instructions)


def _line(one: Instruction) -> str:
    head = f"{one.name.upper()} {one.key} " if one.key else f"{one.name.upper()} "
    forms = (f"{head}{one.value}", f"{head}{SINGLE}{one.value}{SINGLE}", f"{head}{TRIPLE}{one.value}{TRIPLE}")
    for form in forms if _is_plain(one) else forms[1:]:
        if _says(form, one):
            return form
    raise ValueError(f"no Modelfile can hold this {one.name.upper()}")


def _is_plain(one: Instruction) -> bool:
    """True for what needs no quotes. A `#` in the open is a trap for whoever reads the file."""
    return bool(one.value) and "\n" not in one.value and "#" not in one.value


def _says(form: str, wanted: Instruction) -> bool:
    """True when exactly this instruction is read from a line or lines, without a word on how Ollama would read it."""
    try:
        read = parse(form if wanted.name == "from" else f"{form}\nFROM x")
    except Problem:
        return False
    expected = (wanted,) if wanted.name == "from" else (wanted, Instruction("from", "x"))
    return read.instructions == expected and not read.notes


def of_row(model_id: str, name: str, base: str | None, params: Mapping[str, Any], meta: Mapping[str, Any]) -> Written:
    """The Modelfile of a catalogue row: its base, parameters and system prompt, and what it was imported with."""
    notes: list[str] = []
    wanted = [Instruction("from", base or model_id)]
    kept = _origin(meta)
    wanted += [one for one in kept.instructions if one.name in _KEPT] if kept else []
    template = params.get("template")
    template = template if isinstance(template, str) and template else kept.last("template") if kept else None
    if template:
        wanted.append(Instruction("template", template))
    wanted += _parameters(params, notes)
    system = params.get("system")
    if isinstance(system, str) and system.strip():
        wanted.append(Instruction("system", _clean(system)))
        if "{{" in system:
            notes.append("The system prompt has {{VARIABLES}}: Ollama does not fill them in.")
    wanted += _messages(params.get("messages"), kept)
    notes += _unsaid(params, meta)
    return Written(f"# {' '.join(_clean(name).split())}\n" + _text(wanted, notes), notes)


def _text(wanted: Iterable[Instruction], notes: list[str]) -> str:
    lines = []
    for one in wanted:
        try:
            lines.append(_line(one))
        except ValueError:
            softened = Instruction(one.name, one.value.replace(TRIPLE, "'''"), one.key)
            try:
                lines.append(_line(softened))
                notes.append(f"{one.name.upper()}: a line ends in \"\"\", which no Modelfile can hold; written as '''.")
            except ValueError:
                notes.append(f"{one.name.upper()} {one.key}: its value cannot stand in a Modelfile and was left out.")
    return "".join(f"{line}\n" for line in lines)


def _origin(meta: Mapping[str, Any]) -> Modelfile | None:
    """The Modelfile that the row was imported from, when it can still be read."""
    ollama = meta.get("ollama")
    content = ollama.get("modelfile") if isinstance(ollama, Mapping) else None
    try:
        return parse(content) if isinstance(content, str) else None
    except Problem:
        return None


def _parameters(params: Mapping[str, Any], notes: list[str]) -> list[Instruction]:
    try:
        values = dict(read_preset(params).params)
    except BadParameter as error:
        notes.append(f"{error}: the parameters were left out.")
        return []
    if "num_predict" not in values and "max_tokens" in values:
        values["num_predict"] = values.pop("max_tokens")
    for name in ("template", "adapter"):
        values.pop(name, None)
    lines = []
    for name, value in values.items():
        if name not in parameters.KNOWN or name in parameters.REFUSED:
            notes.append(f"params.{name}: Ollama has no such parameter in a Modelfile.")
            continue
        if name in parameters.WARNED_OF:
            notes.append(f"params.{name}: current versions of Ollama accept it and leave it out of account.")
        lines += [Instruction("parameter", _clean(_spelled(item)), name) for item in _items(name, value)]
    return [one for one in lines if one.value]


def _items(name: str, value: Any) -> list[Any]:
    return list(value) if name in parameters.LISTS and isinstance(value, list) else [value]


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _messages(given: Any, kept: Modelfile | None) -> list[Instruction]:
    if not isinstance(given, list):
        return kept.every("message") if kept else []
    return [
        Instruction("message", _clean(one["content"]), one["role"])
        for one in given
        if isinstance(one, Mapping)
        and one.get("role") in ROLES
        and isinstance(one.get("content"), str)
        and one["content"].strip()
    ]


def _clean(text: str) -> str:
    """Without what `parse` does not hand on: carriage returns and control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        one for one in text if one in "\n\t" or (one >= " " and not "\x7f" <= one <= "\x9f" and one != "\ufeff")
    )


def _unsaid(params: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    notes = []
    application = [
        name
        for name in ("function_calling", "stream_response", "stream_delta_chunk_size", "reasoning_tags", "locked",
                     "strict", "model_controls", "compact_token_threshold", "tool_approval_mode", "note_id")
        if params.get(name) is not None
    ]  # fmt: skip
    notes += [f"params.{name}: a Modelfile has no place for it." for name in application]
    notes += [
        f"meta.{name}: a Modelfile has no place for it."
        for name, value in meta.items()
        if name not in _UNTOLD and value not in (None, [], {}, "")
    ]
    return notes
