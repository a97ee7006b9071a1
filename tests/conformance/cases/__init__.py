"""The rows of the matrix, a module for each group. The order here is that of the page."""

from tests.conformance.cases import (
    endings,
    failing,
    media,
    others,
    presets,
    real,
    responses,
    steering,
    text,
    thinking,
    tools,
)
from tests.conformance.matrix import Case

GROUPS = (text, real, tools, media, thinking, steering, presets, endings, failing, others, responses)

CASES: tuple[Case, ...] = tuple(case for group in GROUPS for case in group.CASES.rows)
