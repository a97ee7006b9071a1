"""What one call consumed, in disjoint buckets: their sum is the total, nothing is counted twice."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of one call. `input` is without cached, written and audio ones, `output` without reasoning and audio ones.

    `cache_write` are tokens written to a prompt cache for its usual lifetime, `cache_write_1h` those kept for an hour.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0

    @property
    def all_input(self) -> int:
        """Every token of the prompt, cached or not."""
        return self.input + self.cached_input + self.cache_write + self.cache_write_1h + self.audio_input

    @property
    def all_output(self) -> int:
        """Every token that was produced."""
        return self.output + self.reasoning + self.audio_output

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.all_input + self.all_output


NOTHING = Usage()

MOST_TOKENS = 2**40


def count(tokens: float | None) -> int:
    """A number of tokens that the books can hold: a backend may claim anything."""
    return int(min(max(tokens, 0), MOST_TOKENS)) if tokens is not None and tokens == tokens else 0  # noqa: PLR0124 - NaN
