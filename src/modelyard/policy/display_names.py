"""What people are shown in place of a model's id."""

from collections.abc import Mapping
from typing import Any

from modelyard.canonical.snapshot import Model

OLLAMA = "ollama"


def is_preset(model: Model) -> bool:
    """True for a preset. Only a preset can be without a target: its base may be missing."""
    return model.base is not None or not model.targets


def shown_name(model: Model) -> str:
    """The name of the model's row; of a base model without one, what its backend calls it."""
    if model.info is not None or is_preset(model) or model.targets[0].connection.kind == OLLAMA:
        return model.name
    return offered_name(model.id, model.about, model.targets[0].connection.kind)


def offered_name(name: str, about: Mapping[str, Any], kind: str) -> str:
    """The name that a backend of this kind gives a model in its own list (`about`), else the model's."""
    if kind != OLLAMA:  # its names are ids
        for field in ("name", "display_name"):
            told = about.get(field)
            if isinstance(told, str) and 0 < len(told) <= 256 and told.isprintable():
                return told
    return name
