"""Usage of an answer: Anthropic's figures to and from the hub's disjoint buckets (API reference, "Messages", `usage`)."""

from typing import Any

from modelyard.canonical.usage import Usage
from modelyard.dialects.reading import count_in

_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation",
    "output_tokens_details",
)  # fmt: skip


def merge(told: dict[str, Any], table: Any) -> None:
    """Add what one more `usage` object of a stream tells.

    Counts are cumulative, so of two that stand for the same the later one holds; what it leaves out stays.
    """
    if isinstance(table, dict):
        for name in _COUNTS:
            if table.get(name) is not None:
                told[name] = table[name]


def usage_of(table: Any) -> Usage | None:
    """What a `usage` object tells, None when it tells nothing."""
    told: dict[str, Any] = {}
    merge(told, table)
    if "input_tokens" not in told and "output_tokens" not in told:
        return None
    lifetimes, details = told.get("cache_creation"), told.get("output_tokens_details")
    hour = count_in(lifetimes, "ephemeral_1h_input_tokens")
    # Some servers tell the lifetimes and not their sum.
    written = max(
        count_in(told, "cache_creation_input_tokens"), hour + count_in(lifetimes, "ephemeral_5m_input_tokens")
    )
    output = count_in(told, "output_tokens")
    reasoning = min(count_in(details, "thinking_tokens"), output)
    return Usage(
        input=count_in(told, "input_tokens"),
        cached_input=count_in(told, "cache_read_input_tokens"),
        cache_write=written - hour,
        cache_write_1h=hour,
        output=output - reasoning,
        reasoning=reasoning,
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` of an answer."""
    fields: dict[str, Any] = {
        "input_tokens": usage.input + usage.audio_input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.all_output,
    }
    if usage.cache_write_1h:
        fields["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return fields
