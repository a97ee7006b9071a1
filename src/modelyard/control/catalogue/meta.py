"""What stands in a row's `meta` twice, or for nothing: one rule for forms, imports and documents."""

import json
from collections.abc import Mapping
from typing import Any

from modelyard.core.errors import Kind, Problem

TAGS = "tags"
PROMPTS = "suggestion_prompts"


def tidied(given: Mapping[str, Any]) -> dict[str, Any]:
    """`meta` with texts among its tags as objects, and with equal tags and equal suggestions once, where the first stands.

    All else is kept as it was sent. Raises Problem MALFORMED for a tag that is null; `without_null_tags` is for what is not
    sent but kept.
    """
    meta = dict(given)
    if isinstance(meta.get(TAGS), list):
        meta[TAGS] = _tags(meta[TAGS])
    if isinstance(meta.get(PROMPTS), list):
        meta[PROMPTS] = list({json.dumps(prompt, sort_keys=True): prompt for prompt in meta[PROMPTS]}.values())
    return meta


def without_null_tags(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """`meta` of a row or a document without tags that are null: they name nothing, and older versions kept them."""
    tags = kept.get(TAGS)
    if not isinstance(tags, list) or not any(map(_is_null, tags)):
        return kept
    return {**kept, TAGS: [tag for tag in tags if not _is_null(tag)]}


def _is_null(tag: Any) -> bool:
    return tag is None or (isinstance(tag, Mapping) and tag.get("name", "") is None)


def tag_key(name: str) -> str:
    """Two names with the same key are one tag; empty for a name that is none."""
    return name.strip().casefold()


def _tags(given: list[Any]) -> list[Any]:
    """What a later one of equal tags holds beside its name goes to the first."""
    tags: list[Any] = []
    known: dict[str, dict[str, Any]] = {}
    for place, sent in enumerate(given):
        if _is_null(sent):
            raise Problem(
                Kind.MALFORMED, f"meta.tags.{place} is null: leave it out, or give it a name.", param="meta.tags"
            )
        tag = {"name": sent} if isinstance(sent, str) else dict(sent) if isinstance(sent, Mapping) else sent
        name = tag.get("name") if isinstance(tag, dict) else None
        key = tag_key(name) if isinstance(name, str) else ""
        if key in known:
            known[key].update({field: value for field, value in tag.items() if field not in known[key]})
            continue
        tags.append(tag)
        if key:
            known[key] = tag
    return tags
