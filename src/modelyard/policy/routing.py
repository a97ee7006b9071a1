"""In which order a call tries its targets. A strategy is a pure function and a row in STRATEGIES."""

from collections.abc import Callable, Mapping, Sequence

from modelyard.canonical.snapshot import Snapshot, Target

# The setting that names fallbacks (`control.settings.table`), and its entry for all other models.
FALLBACKS = "models.fallbacks"
EVERY_MODEL = "*"

Strategy = Callable[[Sequence[Target], float], Sequence[Target]]

# Answers after which another target may do better. 408 and 409 are transient at the providers that send them; 404 says
# that this backend no longer has the model.
RETRYABLE_STATUS = frozenset({404, 408, 409, 429, 500, 502, 503, 504, 529})

# Upstreams that refuse our credential: the caller's own request is not at fault, another key may be accepted.
REFUSED_CREDENTIAL = frozenset({401, 403})


def fallbacks(snapshot: Snapshot, model_id: str) -> Sequence[str]:
    """The names of the models that are tried when every target of this one has failed, in order.

    Those of the model itself, else those for all models (`*`), else the one of FALLBACK_MODEL.
    """
    known = snapshot.settings.get(FALLBACKS)
    if known:
        found: Sequence[str] = known.get(model_id) or known.get(EVERY_MODEL) or ()
        if found:
            return found
    return (snapshot.fallback_model,) if snapshot.fallback_model else ()


def by_priority(targets: Sequence[Target], draw: float) -> Sequence[Target]:
    """Highest priority first; within one priority by weighted lot, so keys and hosts share the load.

    `draw` is a random number in [0, 1).
    """
    if len(targets) < 2:
        return targets
    tiers: dict[int, list[Target]] = {}
    for target in targets:
        tiers.setdefault(target.connection.priority, []).append(target)
    return [target for priority in sorted(tiers, reverse=True) for target in _drawn(tiers[priority], draw)]


def _drawn(tier: list[Target], draw: float) -> list[Target]:
    """The tier rotated to the target that the lot falls on."""
    mark = draw * sum(target.connection.weight for target in tier)
    for index, target in enumerate(tier):
        mark -= target.connection.weight
        if mark < 0:
            return tier[index:] + tier[:index]
    return tier


STRATEGIES: Mapping[str, Strategy] = {"priority": by_priority}
