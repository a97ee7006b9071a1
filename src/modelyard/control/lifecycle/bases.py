"""Base models: which of them are in use, and where they can be loaded and unloaded."""

from collections.abc import Callable, Collection, Mapping, Sequence

from modelyard.canonical.records import ConnectionRow, ModelRow
from modelyard.control.lifecycle import backends, queries
from modelyard.control.lifecycle.backends import Place
from modelyard.control.snapshot.compile import BaseModel
from modelyard.core.errors import Kind, Problem
from modelyard.db.engine import Database
from modelyard.policy.access import other_spelling


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
        spelled = {spelling: name for name in names for spelling in (other_spelling(name), name)}
        async with self._database.read() as connection:
            stored = await queries.standing_on(connection, spelled)
        fixed = {row.id for row in self._declared}
        rows = [(row.id, row.base_model_id, row.is_active) for row in self._declared]
        rows += [row for row in stored if row[0] not in fixed]
        used, hidden = set(), set()
        for row_id, base, is_active in rows:
            name = spelled.get(base or row_id)
            if name is not None and is_active:
                used.add(name)
            elif name is not None and base is None:
                hidden.add(name)
        return used - hidden

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
        names = (model, other_spelling(model))
        declared = {row.id: (row.id, row.base_model_id) for row in self._declared}
        found = next((declared[name] for name in names if name in declared), None)
        if found is None:
            async with self._database.read() as connection:
                found = await queries.base_of(connection, names)
        base = (found[1] or found[0]) if found is not None else model
        known = self.offered_name(base)
        if known is not None:
            return known
        if found is None:
            raise Problem(Kind.MODEL_NOT_FOUND, "There is no such model.", param="model")
        raise Problem(Kind.MODEL_NOT_FOUND, f"No backend offers {base} at the moment.", param="model")
