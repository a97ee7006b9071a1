"""How much a model may think, and what the API does not take together with it (guide "Extended thinking")."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from modelyard.canonical.chat import Reasoning
from modelyard.dialects.reading import note
from modelyard.dialects.reasoning import LEAST_BUDGET, budget_of, effort_of

USUAL_OUTPUT = 4096
LEAST_TOP_P = 0.95

ADAPTIVE = "adaptive"
"""`Accent.reasoning` of models that measure their thoughts themselves and take an effort instead of a budget."""


class Thought(NamedTuple):
    """`thinking` of a request, the effort beside it (None: not said), and the bound of the output that goes with both.

    `thinking` is None where the bound leaves no room for thoughts.
    """

    thinking: dict[str, Any] | None
    effort: str | None
    max_tokens: int


def think(reasoning: Reasoning, bound: int | None, limit: int | None, *, adaptive: bool = False) -> Thought:
    """How to say that a model is to think. `bound` is the caller's `max_tokens`, `limit` the model's own maximum."""
    told: dict[str, Any] = {"type": "enabled"}
    if reasoning.summary is not None and reasoning.summary != "auto":
        told["display"] = "omitted" if reasoning.summary == "omitted" else "summarized"
    budget = budget_of(reasoning)
    if bound is None:
        bound = limit or budget + USUAL_OUTPUT
    if adaptive:
        told["type"] = ADAPTIVE
        told.setdefault("display", "summarized")  # else these models show nothing of what they think
        effort = effort_of(reasoning)
        return Thought(told, "low" if effort == "minimal" else effort, bound)
    if budget >= bound:
        budget = max(bound * 3 // 4, LEAST_BUDGET)
    if budget >= bound:
        return Thought(None, None, bound)
    told["budget_tokens"] = budget
    return Thought(told, None, bound)


def conflicts(fields: Mapping[str, Any]) -> list[str]:
    """Those of these fields (decoded) that the API refuses while the model thinks."""
    found = []
    if fields.get("temperature") not in (None, 1):
        found.append("temperature")
    if fields.get("top_k") is not None:
        found.append("top_k")
    top_p = fields.get("top_p")
    if isinstance(top_p, (int, float)) and top_p < LEAST_TOP_P:
        found.append("top_p")
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        found.append("tool_choice")
    return found


def give_way(fields: dict[str, Any], losses: list[str]) -> None:
    """Take out of a request what the API refuses while the model thinks. A forced call becomes a free one."""
    for name in conflicts(fields):
        note(losses, name)
        value = fields.pop(name)
        if name == "tool_choice" and value.get("disable_parallel_tool_use"):
            fields[name] = {"type": "auto", "disable_parallel_tool_use": True}


def can_think(messages: Sequence[Any]) -> bool:
    """False where the conversation forbids it: the answer has begun, or the calls that it goes on from had no thoughts.

    `messages` may be the last two alone.
    """
    last = messages[-1] if messages else None
    if _role(last) == "assistant":
        return False
    if len(messages) < 2 or not _has(last, "tool_result") or _role(messages[-2]) != "assistant":
        return True
    content = messages[-2].get("content")
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return True
    return not _has(messages[-2], "tool_use") or content[0].get("type") in ("thinking", "redacted_thinking")


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _has(message: Any, kind: str) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(isinstance(one, dict) and one.get("type") == kind for one in content)
