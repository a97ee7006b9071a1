"""What is stored beside a catalogue row so that it can be found: its search text, its place among names, its tags."""

from collections.abc import Mapping
from typing import Any

from modelyard.control.catalogue.meta import tag_key

MAX_TAGS = 1000  # of one row
MAX_TAG_LENGTH = 100


def sort_name(name: str) -> str:
    """The key that names are ordered by."""
    return name.casefold()


def search_text(model_id: str, name: str, base_model_id: str | None, meta: Mapping[str, Any]) -> str:
    """Everything that a search looks at but the owner, case-folded."""
    return "\n".join([name, model_id, base_model_id or "", str(meta.get("description") or "")]).casefold()


def tags_of(meta: Mapping[str, Any]) -> dict[str, str]:
    """Case-folded tag to the tag as it was written: `meta.tags` holds names, or objects with a name."""
    found: dict[str, str] = {}
    tags = meta.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        name = tag.get("name") if isinstance(tag, Mapping) else tag
        if isinstance(name, str) and tag_key(name):
            found.setdefault(tag_key(name), name.strip())
    return found
