"""Usage of chat and text completions: the API's figures to and from the hub's disjoint buckets."""

from typing import Any

from modelyard.canonical.chat import Timings
from modelyard.canonical.usage import Usage, count
from modelyard.dialects.reading import count_in

NANOSECONDS_PER_MS = 1_000_000
MINUTE = 60
HOUR = 3600


def usage_of(wire: Any) -> Usage | None:
    """What `usage` tells, None when it is none. Cached and audio tokens are counted within the prompt there, reasoning
    and audio within the completion."""
    if not isinstance(wire, dict):
        return None
    inside, outside = wire.get("prompt_tokens_details"), wire.get("completion_tokens_details")
    return disjoint(
        count_in(wire, "prompt_tokens", "input_tokens"),
        count_in(wire, "completion_tokens", "output_tokens"),
        count_in(wire, "total_tokens") if "completion_tokens" in wire else 0,
        cached=count_in(inside, "cached_tokens") or count_in(wire, "prompt_cache_hit_tokens"),
        written=count_in(inside, "cache_write_tokens"),
        heard=count_in(inside, "audio_tokens"),
        reasoning=count_in(outside, "reasoning_tokens"),
        spoken=count_in(outside, "audio_tokens"),
    )


def disjoint(
    prompt: int, completion: int, total: int, *, cached: int, written: int, heard: int, reasoning: int, spoken: int
) -> Usage:
    """Buckets that do not overlap, from counts that do: none may be larger than what holds it.

    xAI and Gemini leave the thoughts out of the completion and count them in the total only.
    """
    apart = max(total - prompt - completion, 0)
    completion += apart
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    heard = min(heard, prompt - cached - written)
    reasoning = min(max(reasoning, apart), completion)
    spoken = min(spoken, completion - reasoning)
    return Usage(
        input=prompt - cached - written - heard,
        cached_input=cached,
        cache_write=written,
        output=completion - reasoning - spoken,
        reasoning=reasoning,
        audio_input=heard,
        audio_output=spoken,
    )


def timings_of(wire: Any) -> Timings | None:
    """llama.cpp's `timings` (its server's README, "Timings and context usage"), which are in milliseconds."""
    if not isinstance(wire, dict) or "predicted_ms" not in wire:
        return None
    prompt = _nanoseconds(wire.get("prompt_ms"))
    output = _nanoseconds(wire.get("predicted_ms"))
    return Timings(total=prompt + output, prompt=prompt, output=output)


def _nanoseconds(milliseconds: Any) -> int:
    known = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return count(milliseconds * NANOSECONDS_PER_MS) if known else 0


def write_usage(usage: Usage, timings: Timings | None = None) -> dict[str, Any]:
    """`usage` of an answer; with a local backend's timings also the figures that clients of Open WebUI know."""
    inside: dict[str, Any] = {"cached_tokens": usage.cached_input, "audio_tokens": usage.audio_input}
    written = usage.cache_write + usage.cache_write_1h
    if written:
        inside["cache_write_tokens"] = written  # OpenRouter's name; the API itself does not charge for it
    fields: dict[str, Any] = {
        "prompt_tokens": usage.all_input,
        "completion_tokens": usage.all_output,
        "total_tokens": usage.total,
        "prompt_tokens_details": inside,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if timings is not None:
        fields |= _timed(usage, timings)
    return fields


def _timed(usage: Usage, timings: Timings) -> dict[str, Any]:
    """Durations in nanoseconds and speeds in tokens per second, under the names that Open WebUI gives them."""
    return {
        "input_tokens": usage.all_input,
        "output_tokens": usage.all_output,
        "response_token/s": _speed(usage.all_output, timings.output),
        "prompt_token/s": _speed(usage.all_input, timings.prompt),
        "total_duration": timings.total,
        "load_duration": timings.load,
        "prompt_eval_count": usage.all_input,
        "prompt_eval_duration": timings.prompt,
        "eval_count": usage.all_output,
        "eval_duration": timings.output,
        "approximate_total": _spelled(timings.total),
    }


def _speed(tokens: int, nanoseconds: int) -> float | str:
    return round(tokens / (nanoseconds / 1e9), 2) if nanoseconds > 0 else "N/A"


def _spelled(nanoseconds: int) -> str:
    seconds = round(nanoseconds / 1e9)
    return f"{seconds // HOUR}h{seconds % HOUR // MINUTE}m{seconds % MINUTE}s"
