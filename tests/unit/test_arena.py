"""What an arena entry draws from, for whom, and how likely each is."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from modelyard.canonical.snapshot import Arena, Model, Readers
from modelyard.control.people.reasons import number_behind
from modelyard.control.settings import table
from modelyard.control.snapshot import pace
from modelyard.control.snapshot.arena import compile_arena, in_force
from modelyard.core.errors import Kind, Problem
from modelyard.gateway.gate import authorise, chosen, find
from modelyard.policy.access import usable
from modelyard.policy.arena import drawn
from tests.unit.make import model, principal, snapshot

OPEN = Readers(everyone=True)
A, B, C = (model(name, readers=OPEN) for name in ("a", "b", "c"))
CLOSED = model("closed")


def entry(*model_ids: str, excludes: bool = False) -> Arena:
    return Arena(model=model("arena", readers=OPEN), row={}, model_ids=model_ids, excludes=excludes)


def answers(one: Arena, *models: Model, who: Any = None, serves: Any = lambda _: True, **more: Any) -> set[str | None]:
    """Everything that is drawn in many draws."""
    picture, lots = snapshot(*models, **more), random.Random(7)
    found = [drawn(who or principal(), one, picture, serves, lots.random) for _ in range(200)]
    return {None if each is None else each.id for each in found}


def test_it_draws_from_its_list_from_all_but_its_list_or_from_all() -> None:
    assert answers(entry("a", "b"), A, B, C) == {"a", "b"}
    assert answers(entry("a", "b", excludes=True), A, B, C) == {"c"}
    assert answers(entry(), A, B, C) == {"a", "b", "c"}
    assert answers(entry(excludes=True), A, B, C) == {"a", "b", "c"}


def test_only_what_the_caller_may_use_is_drawn() -> None:
    assert answers(entry(), A, CLOSED) == {"a"}
    assert answers(entry("closed"), A, CLOSED) == {None}
    assert answers(entry("closed"), A, CLOSED, who=principal(role="admin", sees_all=True)) == {"closed"}
    assert answers(entry(), A, who=principal(role="pending")) == {None}


def test_what_is_gone_or_inactive_or_cannot_answer_is_not_drawn() -> None:
    assert answers(entry("a", "gone"), A) == {"a"}
    assert answers(entry("a", "off"), A, closed=frozenset({"off"})) == {"a"}
    assert answers(entry(), A, B, serves=lambda one: one is B) == {"b"}
    assert answers(entry()) == {None}
    assert answers(entry("a", "b", "c", excludes=True), A, B, C) == {None}


def test_names_are_known_with_and_without_latest() -> None:
    latest = model("llama:latest", readers=OPEN)
    assert answers(entry("llama"), A, latest) == {"llama:latest"}
    assert answers(entry("llama", excludes=True), A, latest) == {"a"}


def test_a_key_confined_to_the_entry_gets_what_its_owner_may_use() -> None:
    assert answers(entry("a", "closed"), A, CLOSED, who=principal(models=frozenset({"arena"}))) == {"a"}


@pytest.mark.parametrize("others", [0, 1000])
def test_each_is_as_likely_as_the_others_however_many_are_closed(others: int) -> None:
    picture = snapshot(A, B, C, *(model(f"x{number}") for number in range(others)))
    lots = random.Random(1)
    rounds = 600
    counts = Counter(
        found.id
        for _ in range(rounds)
        if (found := drawn(principal(), entry(), picture, lambda _: True, lots.random)) is not None
    )
    assert counts.total() == rounds
    assert all(abs(counts[name] - rounds / 3) < 70 for name in "abc"), counts


def resolved(name: str, lots: Sequence[float] = (0.0,), **more: Any) -> str:
    arena = entry("a", "b")
    picture = snapshot(A, B, C, arena={"arena": arena}, **more)
    found = authorise(principal(), find(picture, name), picture, name)
    return chosen(principal(), found, picture, lambda _: True, iter(lots).__next__).id


def test_the_gate_resolves_an_entry_and_leaves_models_alone() -> None:
    assert resolved("arena", [0.0]) == "a"
    assert resolved("arena", [0.999]) == "b"
    assert resolved("arena:latest", [0.0]) == "a"
    assert resolved("c") == "c"


def test_an_entry_without_an_answer_is_refused_and_names_nothing() -> None:
    arena = Arena(model=model("arena", readers=OPEN), row={}, model_ids=("closed",))
    picture = snapshot(CLOSED, arena={"arena": arena})
    with pytest.raises(Problem) as refused:
        chosen(principal(), arena.model, picture, lambda _: True, random.random)
    assert refused.value.kind is Kind.MODEL_NOT_FOUND
    assert "closed" not in refused.value.message


def test_an_entry_that_is_not_open_is_not_told_from_none() -> None:
    arena = Arena(model=model("arena"), row={}, model_ids=("a",))
    picture = snapshot(A, arena={"arena": arena})
    problems = []
    for name in ("arena", "absent"):
        with pytest.raises(Problem) as refused:
            authorise(principal(), find(picture, name), picture, name)
        problems.append((refused.value.kind, refused.value.message.replace(name, "")))
    assert problems[0] == problems[1]
    assert list(usable(principal(), picture)) == [A]


def test_settings_compile_to_entries_and_wrong_access_opens_nothing() -> None:
    rows = [
        {"id": "all", "name": "All", "meta": {"access_control": None}},
        {"id": "some", "name": "Some", "meta": {"model_ids": ["a", "a", "b"], "filter_mode": "exclude"}},
        {"id": "wrong", "name": "Wrong", "meta": {"access_control": {"read": 7}}},
        {"id": "granted", "name": "G", "meta": {"access_grants": [
            {"principal_type": "group", "principal_id": "g", "permission": "read"}]}},
        {"id": "bare", "name": "Bare", "meta": None},
    ]  # fmt: skip
    arena = compile_arena({table.ARENA_ENABLED: True, table.ARENA_MODELS: rows})
    assert arena["all"].model.readers == OPEN
    assert (arena["some"].model_ids, arena["some"].excludes) == (("a", "b"), True)
    assert arena["wrong"].model.readers == arena["bare"].model.readers == Readers()
    assert arena["granted"].model.readers == Readers(group_ids=frozenset({"g"}))
    assert compile_arena({table.ARENA_ENABLED: False, table.ARENA_MODELS: rows}) == {}
    assert list(compile_arena({table.ARENA_ENABLED: True})) == ["arena-model"]


def test_a_model_keeps_its_name_and_without_models_there_is_no_arena() -> None:
    arena = {"a": entry(), "off": entry(), "arena": entry()}
    assert list(in_force(arena, {"a"}, {"a"}, {"off"})) == ["arena"]
    assert in_force(arena, {}, {}, {}) == {}


async def test_counting_what_is_open_behind_an_entry_gives_the_loop_back_after_each_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind an entry there may be all models, and whoever may call it may ask."""
    monkeypatch.setattr(pace, "SLICE_SECONDS", 0.0)
    picture = snapshot(A, *(model(f"closed {number}") for number in range(300)), B)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert await number_behind(principal(), entry(), picture) == 2
    beside.cancel()
    assert turns > 300, "a turn for each model, when a slice is no time at all"
    assert await number_behind(principal(), entry("a", "a:latest", "gone"), picture) == 1, "by whatever names"
