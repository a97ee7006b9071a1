"""How much a model is to think: an effort in one word, a budget in tokens, and the one rule between the two.

A dialect whose scale is shorter takes the nearest of its own words.
"""

from collections.abc import Mapping

from modelyard.canonical.chat import Reasoning

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 4096,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
LEAST_BUDGET = 1024  # the smallest that an API takes

LOW_BUDGET = 1024
MEDIUM_BUDGET = 8192
"""Up to so many tokens a budget is called low, and medium; any more is high."""


def thinks(reasoning: Reasoning | None) -> bool:
    """True when thoughts are asked for."""
    return reasoning is not None and reasoning.enabled and reasoning.effort != "none"


def effort_of(reasoning: Reasoning) -> str | None:
    """One of EFFORTS: a budget is told by its size. None when thoughts are wanted and no measure was named."""
    if not reasoning.enabled:
        return "none"
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is None:
        return None
    return "low" if reasoning.budget <= LOW_BUDGET else "medium" if reasoning.budget <= MEDIUM_BUDGET else "high"


def budget_of(reasoning: Reasoning) -> int:
    """Tokens of thought for a request that asks for thoughts; medium where no measure was named."""
    if reasoning.budget is not None:
        return max(reasoning.budget, LEAST_BUDGET)
    return BUDGETS.get(reasoning.effort or "medium", BUDGETS["medium"])
