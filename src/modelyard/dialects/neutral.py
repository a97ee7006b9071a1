"""Values of the hub's parameters that say what would be anyway: a target that cannot say them loses nothing."""

from collections.abc import Mapping
from typing import Any

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "store": (False,),
    "metadata": ({},),
    "logit_bias": ({},),
    "suffix": ("",),
    "user": ("",),
    "stop": ([],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
}


def says_nothing(name: str, value: Any) -> bool:
    """True for a parameter with the value that it has when it is not said."""
    return value in _NEUTRAL.get(name, ())
