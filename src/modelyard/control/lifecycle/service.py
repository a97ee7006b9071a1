"""Follows the catalogue: what is activated is loaded where its backend can, what is deactivated is unloaded."""

from collections.abc import Collection

from modelyard.control.transaction import Actor


class Lifecycle:
    """Loads and unloads in the background. Routes tell it after their change was committed."""

    def activated(self, actor: Actor, base_models: Collection[str]) -> None:
        """These base models have a row that was made active just now (their own ids, or what a preset stands on)."""

    def deactivated(self, actor: Actor, base_models: Collection[str]) -> None:
        """These base models lost an active row: each is unloaded unless another active row still uses it."""
