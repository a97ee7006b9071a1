"""A Modelfile as one preset over the model that its FROM names."""

import re
from typing import Any

from modelyard.control.importers.carried import Carried, Collector
from modelyard.control.modelfile.parameters import typed
from modelyard.control.modelfile.parsing import Modelfile, is_path, parse
from modelyard.core.errors import Kind, Problem

# What a row has no field for. The file stays with the row, and an export has it again.
_KEPT = {
    "template": "a backend's own template is used",
    "adapter": "a backend loads adapters by itself",
    "draft": "a backend loads draft models by itself",
    "renderer": "it is Ollama's own",
    "parser": "it is Ollama's own",
    "requires": "it is Ollama's own",
    "license": "it has no effect",
    "message": "no conversation is put before a caller's",
}


def read(content: bytes | str, model_id: str, name: str | None = None, base: str | None = None) -> Carried:
    """The preset `model_id`. `base` is for a FROM that names a file instead of a model. Raises Problem."""
    modelfile = parse(content)
    collector = Collector()
    for note in modelfile.notes:
        collector.leave(note.partition(":")[0].lower(), "#", note.partition(": ")[2].rstrip("."))
    collector.add_model("Modelfile", row_of(collector, modelfile, _text(content), model_id, name, base))
    if not collector.yard.models:
        raise Problem(Kind.MALFORMED, "; ".join(one.why for one in collector.left) + ".")
    return collector.done()


def row_of(
    collector: Collector, modelfile: Modelfile, text: str, model_id: str, name: str | None, base: str | None
) -> dict[str, Any]:
    """The fields of the catalogue row. Raises Problem when FROM names a file and no base is given."""
    told = modelfile.last("from") or ""
    if base is None and (is_path(told) or re.match(r"@?sha256[:-]", told)):
        raise Problem(
            Kind.MALFORMED,
            f"FROM names a file ({told[:100]}), not a model. Make a model of it first (`ollama create`), "
            "and give its name as the base.",
        )
    if base is not None and base != told:
        collector.leave("FROM", told, f"the base is {base}, as you said")
    for number, one in enumerate(modelfile.every("from")[:-1], 1):
        collector.leave(f"FROM ({number})", one.value, "the last FROM counts")
    params, dropped = typed(modelfile.every("parameter"))
    for lost in dropped:
        collector.leave(f"PARAMETER {lost.name}", lost.value, lost.why)
    system = modelfile.last("system")
    if system and system.strip():
        params["system"] = system
    for kind, why in _KEPT.items():
        for one in modelfile.every(kind):
            head = f"{kind.upper()} {one.key}".strip()
            collector.leave(head, one.value, f"kept with the model and in its export, without effect here: {why}")
    return {
        "id": model_id,
        "name": name or model_id,
        "base_model_id": base or told,
        "params": params,
        "meta": {"ollama": {"modelfile": text}},
    }


def _text(content: bytes | str) -> str:
    """The file as text; `parse` has read it already."""
    if isinstance(content, str):
        return content
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding)


def id_of(file_name: str) -> str:
    """The id of a model from the name of its file: `Modelfile.mario` and `mario.modelfile` are both `mario`."""
    name = re.sub(r"(?i)^modelfile[._-]+|[._-]*modelfile$|\.txt$", "", file_name)
    if not name:
        raise Problem(Kind.MALFORMED, "The name of the file does not say what the model is called: give its id.")
    return name
