"""One act on many rows: enable, disable, hide, show, delete, tag, untag, share. A table of what each does to one row."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.control.catalogue.editing import Edit, rights_given
from modelyard.control.catalogue.images import put_back
from modelyard.control.catalogue.indexing import tags_of
from modelyard.control.catalogue.meta import tag_key
from modelyard.control.catalogue.queries import Stored
from modelyard.core.errors import Kind, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an act needs beside the row."""

    tags: list[str] = field(default_factory=list)
    access: Mapping[str, Any] = field(default_factory=dict)
    batch_id: str = ""


async def _set_active(edit: Edit, stored: Stored, active: bool) -> None:
    await edit.set_active(stored, active)


async def _set_meta(edit: Edit, stored: Stored, meta: dict[str, Any]) -> None:
    await edit.batch.update(stored, {"meta": put_back(meta, stored.image)})


async def _hide(edit: Edit, stored: Stored, hidden: bool) -> None:
    await _set_meta(edit, stored, {**stored.row.meta, "hidden": hidden})


async def _tag(edit: Edit, stored: Stored, wanted: Wanted) -> None:
    names = tags_of(stored.row.meta)
    for tag, name in tags_of({"tags": wanted.tags}).items():
        names.setdefault(tag, name)
    await _set_meta(edit, stored, {**stored.row.meta, "tags": [{"name": name} for name in names.values()]})


async def _untag(edit: Edit, stored: Stored, wanted: Wanted) -> None:
    gone = set(map(tag_key, wanted.tags))
    kept = [name for tag, name in tags_of(stored.row.meta).items() if tag not in gone]
    await _set_meta(edit, stored, {**stored.row.meta, "tags": [{"name": name} for name in kept]})


async def _share(edit: Edit, stored: Stored, wanted: Wanted) -> None:
    """Adds to who may read and write; who may already stays."""
    rights = rights_given(stored.row.id, wanted.access)
    if rights is None:
        raise Problem(Kind.MALFORMED, "To share, send access_grants or access_control.", param="access_grants")
    await edit.share(stored, list(dict.fromkeys([*stored.rights, *rights])))


# What these do to a base model without a row needs one; the others leave it as it is.
MAKES_ROWS = frozenset({"disable", "hide", "tag", "share"})

Act = Callable[[Edit, Stored, Wanted], Awaitable[None]]

ACTS: Mapping[str, Act] = {
    "enable": lambda edit, stored, wanted: _set_active(edit, stored, True),
    "disable": lambda edit, stored, wanted: _set_active(edit, stored, False),
    "hide": lambda edit, stored, wanted: _hide(edit, stored, True),
    "show": lambda edit, stored, wanted: _hide(edit, stored, False),
    "delete": lambda edit, stored, wanted: edit.remove(stored, wanted.batch_id),
    "tag": _tag,
    "untag": _untag,
    "share": _share,
}
