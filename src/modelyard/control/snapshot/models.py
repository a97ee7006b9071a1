"""Rows of the catalogue, compiled one by one. Pure: everything is given, nothing is fetched."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.canonical.snapshot import PENDING, Model, Preset, Principal, Readers
from modelyard.control.catalogue.grants import MODEL, PERMISSIONS, PRINCIPALS, access_control_of
from modelyard.control.snapshot.compile import NOBODY, BaseModel, readers_of
from modelyard.control.transaction import COMMAND_LINE, SYSTEM
from modelyard.core import log
from modelyard.dialects.openai.listing import write_model
from modelyard.dialects.openai.parameters import preset_controls
from modelyard.policy.access import reads
from modelyard.policy.presets import BadParameter, in_hub, read_preset

_log = log.get(__name__)

PROFILE_IMAGE = "profile_image_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may read a model, and its `access_control` as people are shown it."""

    readers: Readers
    control: Mapping[str, Any] | None


# Whoever runs the command line is an administrator; a file belongs to the operator as well.
OPERATORS = frozenset({COMMAND_LINE.user_id, SYSTEM.user_id})

PRIVATE = Access(readers=NOBODY, control={})


def compile_access(grants: Collection[GrantRow]) -> Access:
    """What the grants on one model say."""
    known = [
        grant for grant in grants if grant.permission in PERMISSIONS and grant.principal_type in PRINCIPALS.values()
    ]
    return Access(readers=readers_of(known), control=access_control_of(known)) if known else PRIVATE


def without(access: Access, user_ids: frozenset[str], group_ids: frozenset[str]) -> Access:
    """What is left of it when everything that was granted to these is gone. The same object when it names none of them."""
    if user_ids.isdisjoint(access.readers.user_ids) and group_ids.isdisjoint(access.readers.group_ids):
        return access
    gone = {"user_ids": user_ids, "group_ids": group_ids}
    return compile_access(
        [
            GrantRow(
                resource_type=MODEL,
                resource_id="",
                principal_type=PRINCIPALS[field],
                principal_id=name,
                permission=permission,
            )
            for permission, lists in (access.control or {}).items()
            for field, names in lists.items()
            for name in names
            if name not in gone[field]
        ]
    )


def compile_base(name: str, base: BaseModel, override: ModelRow | None, access: Access, *, preset_wins: bool) -> Model:
    """A base model, with the row that is laid over it if there is one. Without a row only administrators may use it."""
    if override is None:
        return Model(
            id=name,
            name=name,
            owner_id=None,
            readers=NOBODY,
            entry=base.entry,
            targets=base.targets,
            about=base.about,
        )
    return Model(
        id=name,
        name=override.name,
        owner_id=None,  # an administrator made it; what they may do with it is their role's
        readers=access.readers,
        entry=write_model(name, override.name, base.owned_by, override.created_at),
        targets=base.targets,
        preset=_overlay_of(override, preset_wins=preset_wins),
        max_tokens=_whole(override.meta.get("max_tokens")),
        created=override.created_at,
        about=base.about,
        info=_info_of(override, access),
    )


def compile_preset(
    row: ModelRow,
    base: Model | None,
    access: Access,
    owner: Principal | None,
    *,
    preset_wins: bool,
    known: Model | None = None,
) -> Model:
    """A preset over a base. One whose base is missing stays listed: its backend may come back.

    `owner` is who `row.user_id` stands for. `known` is the same preset as it was compiled from this very row and access
    before; what does not depend on its base or its owner is taken from it.
    """
    return Model(
        id=row.id,
        name=row.name,
        owner_id=row.user_id,
        readers=access.readers,
        entry=write_model(row.id, row.name, "modelyard", row.created_at) if known is None else known.entry,
        targets=base.targets if base is not None else (),
        base=base,
        preset=_overlay_of(row, preset_wins=preset_wins) if known is None else known.preset,
        opens_base=base is not None and _opens(row, base, owner),
        max_tokens=_whole(row.meta.get("max_tokens")) or (base.max_tokens if base is not None else None),
        created=row.created_at,
        about=base.about if base is not None else {},
        info=_info_of(row, access) if known is None else known.info,
    )


def _opens(row: ModelRow, base: Model, owner: Principal | None) -> bool:
    if row.user_id is None or row.user_id in OPERATORS:
        return True
    return owner is not None and owner.role != PENDING and reads(owner, base.readers, base.owner_id)


def _info_of(row: ModelRow, access: Access) -> dict[str, Any]:
    meta = row.meta
    if PROFILE_IMAGE in meta:
        meta = {name: value for name, value in meta.items() if name != PROFILE_IMAGE}
    return {
        "id": row.id,
        "user_id": row.user_id,
        "base_model_id": row.base_model_id,
        "name": row.name,
        "meta": meta,
        "access_control": access.control,
        "is_active": row.is_active,
        "updated_at": row.updated_at,
        "created_at": row.created_at,
    }


def _overlay_of(row: ModelRow, *, preset_wins: bool) -> Preset | None:
    if not row.params:
        return None
    try:
        preset = read_preset(row.params, preset_wins=preset_wins)
        return in_hub(preset, preset_controls(preset.params))
    except BadParameter as error:
        # Rows are checked when they are written; one that slipped through must not take the catalogue down.
        _log.error("a model's parameters were left out", model=row.id, error=str(error))
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
