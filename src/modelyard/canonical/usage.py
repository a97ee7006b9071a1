"""What one call consumed, in disjoint buckets: their sum is the total, nothing is counted twice."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of one call. `input` is without cached ones, `output` without reasoning ones."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.input + self.cached_input + self.cache_write + self.output + self.reasoning


NOTHING = Usage()
