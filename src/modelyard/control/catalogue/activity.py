"""Which base models a change made active or inactive: told to the lifecycle once it is committed."""

from modelyard.canonical.records import ModelRow
from modelyard.control.catalogue.queries import Stored
from modelyard.control.context import Context


class Activity:
    """Collects over one transaction."""

    def __init__(self) -> None:
        self._activated: dict[str, None] = {}
        self._deactivated: dict[str, None] = {}
        self._switched_off: set[str] = set()

    def note(self, old: Stored | None, new: Stored | None) -> None:
        """A row was made (no old), changed, or removed (no new)."""
        before, after = _base_in_use(old), _base_in_use(new)
        if before == after:
            return
        if after is not None:
            self._activated[after] = None
        if before is not None:
            self._deactivated[before] = None
            if new is not None and before == new.row.id:
                self._switched_off.add(before)

    def tell(self, context: Context) -> None:
        """After the commit."""
        lifecycle = context.control.lifecycle
        if self._deactivated:
            lifecycle.deactivated(context.actor, list(self._deactivated))
        # What is told last counts. A base that its own row switched off is used by nobody, whatever became active on it.
        activated = [name for name in self._activated if name not in self._switched_off]
        if activated:
            lifecycle.activated(context.actor, activated)


def _base_in_use(stored: Stored | None) -> str | None:
    return base_of(stored.row) if stored is not None and stored.row.is_active else None


def base_of(row: ModelRow) -> str:
    """The base model that a row stands on, or that it overrides."""
    return row.base_model_id or row.id
