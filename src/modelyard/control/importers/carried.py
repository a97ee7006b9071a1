"""What an importer yields: a document, the secrets that it refers to, and every field that could not be carried."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from modelyard.control.catalogue.images import FIELD, take_image
from modelyard.control.catalogue.service import MAX_META_BYTES, MAX_PARAMS_BYTES
from modelyard.control.yard.document import Yard, YardConnection, YardModel
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.seal import mask
from modelyard.policy.presets import BadParameter, read_preset

MAX_SHOWN = 80
_SECRET_NAME = re.compile(
    r"key|token|secret|passw|credential|authorization|salt|database_url|redis_url|dsn", re.IGNORECASE
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Left:
    """A field that could not be carried: where it stands, a short form of its value (secrets masked), and why."""

    place: str
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What was read from another system. `yard` has secrets as `${NAME}`; `secrets` has those that the file held.

    A name that is not among `secrets` is one that the file takes from its environment.
    """

    yard: Yard
    secrets: Mapping[str, str] = field(repr=False)
    left: list[Left]


class Collector:
    """Gathers what is carried and what is left."""

    def __init__(self) -> None:
        self.yard = Yard()
        self.secrets: dict[str, str] = {}
        self.left: list[Left] = []
        self._ids: set[str] = set()

    def leave(self, place: str, value: Any, why: str) -> None:
        """Note a field that is not carried. The value is shown in short; one whose place names a secret is masked."""
        self.left.append(Left(place, shown(place, value), why))

    def secret(self, name: str, value: str) -> str:
        """Keep a secret; `${NAME}`, by which the document refers to it. A name that is taken gets a number."""
        name = re.sub(r"\W", "_", name, flags=re.ASCII).upper()
        free, number = name, 1
        while self.secrets.get(free, value) != value:
            number += 1
            free = f"{name}_{number}"
        self.secrets[free] = value
        return f"${{{free}}}"

    def add_model(self, place: str, fields: dict[str, Any]) -> None:
        """Carry a catalogue row, without those parts of it that nothing here could hold."""
        fields = storable(fields)
        fields["params"] = self._sound_params(place, fields.get("params"))
        fields["meta"] = self._sound_meta(place, fields.get("meta"))
        model_id = fields.get("id")
        if not isinstance(model_id, str) or not model_id.isprintable() or model_id != model_id.strip():
            self.leave(
                f"{place}.id", model_id, "an id has 1 to 256 printable characters, without white space around it"
            )
            return
        if fields.get("base_model_id") == model_id:
            fields["base_model_id"] = None  # a row that stands on itself is an override
        if model_id in self._ids:
            self.leave(place, model_id, "a model with this id was there before it in the file")
            return
        try:
            self.yard.models.append(YardModel.model_validate(fields))
        except ValidationError as error:
            self._refused(place, model_id, error)
            return
        self._ids.add(model_id)

    def has_model(self, model_id: str) -> bool:
        return model_id in self._ids

    def add_connection(self, place: str, fields: dict[str, Any]) -> bool:
        """Carry a connection. False when it could not be."""
        try:
            self.yard.connections.append(YardConnection.model_validate(storable(fields)))
        except ValidationError as error:
            self._refused(place, fields.get("name"), error)
            return False
        return True

    def _refused(self, place: str, what: Any, error: ValidationError) -> None:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        self.leave(place, what, f"it was left out as a whole: {faults}")

    def _sound_params(self, place: str, params: Any) -> dict[str, Any]:
        if params is None:
            return {}
        if not isinstance(params, dict):
            self.leave(f"{place}.params", params, "it is not an object")
            return {}
        fault = _size_fault(params, MAX_PARAMS_BYTES)
        if fault is not None:
            self.leave(f"{place}.params", "", fault)
            return {}
        sound = {}
        for name, value in params.items():
            try:
                read_preset({name: value})
            except BadParameter as error:
                self.leave(f"{place}.params.{name}", value, f"{error}")
            else:
                sound[name] = value
        return sound

    def _sound_meta(self, place: str, given: Any) -> dict[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self.leave(f"{place}.meta", given, "it is not an object")
            return {}
        meta: dict[str, Any] = given
        try:
            rest, _ = take_image(meta)
        except Problem as problem:
            self.leave(f"{place}.meta.{FIELD}", meta[FIELD], problem.message)
            meta = {name: value for name, value in meta.items() if name != FIELD}
            rest = meta
        fault = _size_fault(rest, MAX_META_BYTES)
        if fault is not None:
            self.leave(f"{place}.meta", "", fault)
            return {}
        return meta

    def done(self) -> Carried:
        """All of it. Sections that nothing was found for are left out of the document: they are not compared."""
        filled = {name: value for name in Yard.model_fields if (value := getattr(self.yard, name))}
        return Carried(yard=Yard.model_construct(set(filled), **filled), secrets=self.secrets, left=self.left)


def shown(place: str, value: Any) -> str:
    """A short form of a value for a person. Secrets are masked, below it too."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(_masked(value), ensure_ascii=False, default=str)
        except (ValueError, RecursionError):
            text = "..."
    if _SECRET_NAME.search(place.rpartition(".")[2]) and value not in (None, True, False, "", [], {}):
        text = mask(text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: mask(str(item)) if _SECRET_NAME.search(str(name)) and isinstance(item, str) else _masked(item)
            for name, item in value.items()
        }
    return [_masked(item) for item in value] if isinstance(value, list) else value


def storable(value: Any) -> Any:
    """A JSON-like value without what no database can store: NUL and halves of characters."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(str(name)): storable(item) for name, item in value.items()}
    # YAML knows dates and bytes, JSON does not.
    plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else str(value)


def _size_fault(value: Any, most: int) -> str | None:
    try:
        return f"it is larger than {most // 1024} KiB" if len(raw.encode(value)) > most else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return "it holds what JSON cannot say"
