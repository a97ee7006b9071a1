"""Usage of an answer: Anthropic's figures to and from the hub's disjoint buckets (API reference, "Messages", `usage`)."""

from typing import Any

from modelyard.canonical.usage import Usage, count


def usage_of(*tables: Any) -> Usage | None:
    """What these `usage` objects tell together, None when none of them tells anything.

    Counts are cumulative, so of two that stand for the same the later one holds; what it leaves out stays.
    """
    told: dict[str, Any] = {}
    for table in tables:
        if isinstance(table, dict):
            told.update((name, value) for name, value in table.items() if value is not None)
    if "input_tokens" not in told and "output_tokens" not in told:
        return None
    lifetimes, details = told.get("cache_creation"), told.get("output_tokens_details")
    hour = _number(lifetimes, "ephemeral_1h_input_tokens")
    # Some servers tell the lifetimes and not their sum.
    written = max(_number(told, "cache_creation_input_tokens"), hour + _number(lifetimes, "ephemeral_5m_input_tokens"))
    output = _number(told, "output_tokens")
    reasoning = min(_number(details, "thinking_tokens"), output)
    return Usage(
        input=_number(told, "input_tokens"),
        cached_input=_number(told, "cache_read_input_tokens"),
        cache_write=written - hour,
        cache_write_1h=hour,
        output=output - reasoning,
        reasoning=reasoning,
    )


def _number(table: Any, name: str) -> int:
    value = table.get(name) if isinstance(table, dict) else None
    return count(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


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
