"""Base models: which of them are in use, and where they can be loaded and unloaded."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from modelyard.canonical.records import ConnectionRow, ModelRow
from modelyard.control.lifecycle import backends, queries
from modelyard.control.lifecycle.backends import Place
from modelyard.control.lifecycle.queries import Standing
from modelyard.control.snapshot.compile import BaseModel
from modelyard.core.errors import Kind, Problem
from modelyard.db.engine import Database
from modelyard.policy.access import other_spelling, speaking


class Bases:
    """Looks at what is offered now (`base_models`, `connections`), at the rows of a file (`declared`) and at the stored ones."""

    def __init__(
        self,
        database: Database,
        base_models: Callable[[], Mapping[str, BaseModel]],
        connections: Callable[[], Sequence[ConnectionRow]],
        declared: Sequence[ModelRow],
    ) -> None:
        self._database = database
        self._base_models = base_models
        self._connections = connections
        self._declared = declared

    async def in_use(self, names: Collection[str]) -> set[str]:
        """Those of these base models that an active row uses. One whose own row is inactive is used by nobody."""
        async with self._database.read() as connection:
            stored = await queries.standing_on(connection, {*names, *map(other_spelling, names)})
        rows = self._in_force(stored)
        offers = self._base_models().__contains__
        overrides = {row_id: row for row_id, row in rows.items() if row.base_model_id is None}
        closed = {row_id for row_id, row in overrides.items() if not row.is_active}
        # A preset has no use of a base model while its own name is one, or while that of its base is switched off.
        stood_on = {
            self.offered_name(row.base_model_id)
            for row in rows.values()
            if row.base_model_id is not None
            and row.is_active
            and not offers(row.id)
            and row.base_model_id not in closed
        }
        used = set()
        for name in names:
            override = speaking(name, overrides, offers)
            if override.is_active if override is not None else name in stood_on:
                used.add(name)
        return used

    def _in_force(self, stored: Iterable[Standing]) -> dict[str, Standing]:
        """These rows and those of the file by id. What the file declares stands, whatever is stored under its id."""
        declared = (Standing(row.id, row.base_model_id, row.is_active) for row in self._declared)
        return {row.id: row for row in chain(stored, declared)}

    def able(self) -> dict[str, ConnectionRow]:
        """The connections whose backends load and unload, by id."""
        return {row.id: row for row in self._connections() if row.enable and backends.memory_of(row) is not None}

    def places(self, base_model: str, able: Mapping[str, ConnectionRow]) -> list[Place]:
        """Where among these connections a base model is offered, highest priority first."""
        found = self._base_models().get(self.offered_name(base_model) or base_model)
        if found is None:
            return []
        names = {target.connection.id: target.model for target in found.targets if target.connection.id in able}
        places = [Place(row=able[connection_id], model=name) for connection_id, name in names.items()]
        return sorted(places, key=lambda place: -place.row.priority)

    def offered_name(self, base_model: str) -> str | None:
        """The name under which a base model is offered now, `:latest` missing or not."""
        offered = self._base_models()
        return next((name for name in (base_model, other_spelling(base_model)) if name in offered), None)

    async def base_of(self, model: str) -> str:
        """The base model that a name stands for: a preset's base, or itself. Raises Problem MODEL_NOT_FOUND."""
        async with self._database.read() as connection:
            stored = await queries.of_names(connection, (model, other_spelling(model)))
        found = speaking(model, self._in_force(stored), self._base_models().__contains__)
        base = model if found is None else found.base_model_id or found.id
        known = self.offered_name(base)
        if known is not None:
            return known
        if found is None:
            raise Problem(Kind.MODEL_NOT_FOUND, "There is no such model.", param="model")
        raise Problem(Kind.MODEL_NOT_FOUND, f"No backend offers {base} at the moment.", param="model")
