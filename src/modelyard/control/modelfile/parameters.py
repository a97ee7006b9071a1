"""The parameters of a Modelfile, by the types that Ollama gives them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from modelyard.control.modelfile.parsing import Instruction

WHOLE = frozenset(
    {
        "num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx", "num_batch", "num_gpu", "main_gpu",
        "num_thread", "draft_num_predict", "mirostat",
    }
)  # fmt: skip
FRACTIONS = frozenset(
    {
        "top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty",
        "mirostat_tau", "mirostat_eta", "tfs_z",
    }
)  # fmt: skip
TRUTHS = frozenset({"use_mmap", "use_mlock"})
LISTS = frozenset({"stop"})

# Ollama has dropped these: it warns, or refuses the file (tfs_z).
WITHOUT_EFFECT = frozenset({"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "num_gqa", "numa"})
WARNED_OF = frozenset({"use_mlock", "mirostat", "mirostat_tau", "mirostat_eta"})
REFUSED = frozenset({"tfs_z"})

KNOWN = WHOLE | FRACTIONS | TRUTHS | LISTS

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Dropped(NamedTuple):
    """A parameter that was not taken over, and why."""

    name: str
    value: str
    why: str


def _truth(text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise ValueError(text)
    return text in _TRUE


def _whole(text: str) -> int:
    if len(text) > 20 or not text.isascii() or "_" in text:
        raise ValueError(text)
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not text.isascii() or "_" in text or value - value != 0:  # not a number, or infinite
        raise ValueError(text)
    return value


_TYPES: Mapping[str, tuple[Callable[[str], Any], str]] = {
    **dict.fromkeys(WHOLE, (_whole, "a whole number")),
    **dict.fromkeys(FRACTIONS, (_fraction, "a number")),
    **dict.fromkeys(TRUTHS, (_truth, "true or false")),
}


def typed(instructions: Iterable[Instruction]) -> tuple[dict[str, Any], list[Dropped]]:
    """(name -> value, what was dropped) of PARAMETER instructions. Of several the last counts; `stop` collects."""
    values: dict[str, Any] = {}
    dropped = []
    for one in instructions:
        name = one.key.lower()
        if name in LISTS:
            values.setdefault(name, []).append(one.value)
        elif name in WITHOUT_EFFECT:
            dropped.append(Dropped(one.key, one.value, "Ollama no longer reads this parameter"))
        elif name not in _TYPES:
            dropped.append(Dropped(one.key, one.value, "it is not a parameter of Ollama"))
        else:
            read, what = _TYPES[name]
            try:
                values[name] = read(one.value)
            except (ValueError, OverflowError):
                dropped.append(Dropped(one.key, one.value, f"it must be {what}"))
    return values, dropped
