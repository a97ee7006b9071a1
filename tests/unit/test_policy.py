# ruff: noqa: E501 - tables of cases
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.snapshot import Model, Principal, Published, Readers, Target
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import split
from modelyard.dialects.dialect import Head
from modelyard.dialects.openai import OPENAI
from modelyard.dialects.table import OPERATIONS
from modelyard.gateway.call import Call
from modelyard.gateway.gate import authorise
from modelyard.gateway.pipeline import Pipeline
from modelyard.policy.access import in_scope, may_use, usable
from modelyard.policy.credentials import MAX_TOKEN_LENGTH, Presented, forged, presented
from modelyard.policy.presets import APPLICATION_ONLY, VARIABLES, BadParameter, fill_in, read_preset
from modelyard.policy.routing import by_priority
from tests.unit.make import model, principal, snapshot, target

# --- access

ids = st.sampled_from(["u", "v", "w", "*"])
readers = st.builds(Readers, everyone=st.booleans(), user_ids=st.frozensets(ids), group_ids=st.frozensets(ids))
people = st.builds(
    principal, st.sampled_from(["u", "v"]), st.sampled_from(["user", "admin", "pending"]), group_ids=st.frozensets(ids)
)
bases = st.builds(model, st.just("base"), owner_id=st.none() | ids, readers=readers)
models = st.builds(
    model, st.just("m"), owner_id=st.none() | ids, readers=readers, base=st.none() | bases, opens_base=st.booleans()
)


def more(one: Readers, other: Readers) -> Readers:
    return Readers(
        everyone=one.everyone or other.everyone,
        user_ids=one.user_ids | other.user_ids,
        group_ids=one.group_ids | other.group_ids,
    )


def test_nobody_may_use_anything_by_default() -> None:
    assert not may_use(principal(), model(), snapshot())
    assert not may_use(principal(group_ids=frozenset({"g"})), model(owner_id="v"), snapshot())
    assert may_use(principal(role="admin", sees_all=True), model(), snapshot())
    assert may_use(principal(), model(owner_id="u"), snapshot())
    assert may_use(principal(), model(readers=Readers(everyone=True)), snapshot())
    assert may_use(principal(), model(), snapshot(open_catalogue=True))


@given(people, models, readers, readers)
def test_a_grant_never_takes_access_away(person: Principal, one: Model, added: Readers, below: Readers) -> None:
    base = None if one.base is None else replace(one.base, readers=more(one.base.readers, below))
    richer = replace(one, readers=more(one.readers, added), base=base)
    if may_use(person, one, snapshot()):
        assert may_use(person, richer, snapshot())
        assert may_use(replace(person, group_ids=person.group_ids | {"another"}), one, snapshot())
        assert may_use(person, one, snapshot(open_catalogue=True))


@given(people, models, st.booleans())
def test_pending_accounts_may_nothing_and_administrators_everything(person: Principal, one: Model, open_: bool) -> None:
    assert not may_use(replace(person, role="pending"), one, snapshot(open_catalogue=open_))
    assert may_use(replace(person, role="admin", sees_all=True), one, snapshot(open_catalogue=open_))


@given(people, models)
def test_a_preset_is_no_way_round_its_base(person: Principal, one: Model) -> None:
    if one.base is not None and not one.opens_base and may_use(person, one, snapshot()):
        assert may_use(person, replace(one.base, base=None), snapshot())


def test_scope_confines_whoever_it_is() -> None:
    one = model()
    for role in ("user", "admin"):
        confined = principal(role=role, models=frozenset({"other"}))
        assert not in_scope(confined, one)
        assert list(usable(confined, snapshot(one, open_catalogue=True))) == []
        assert in_scope(principal(models=frozenset({"m"})), one)
        assert in_scope(principal(models=None), one)
    assert not in_scope(principal(models=frozenset()), one)


@pytest.mark.parametrize(("named", "other"), [("twin", "twin:latest"), ("twin:latest", "twin")])
def test_the_other_spelling_of_a_name_is_not_forgiven_where_it_is_another_model(named: str, other: str) -> None:
    everyone = Readers(everyone=True)
    one, another = model(named, readers=everyone), model(other, readers=everyone)
    confined = principal(models=frozenset({named}))
    both, alone = snapshot(one, another), snapshot(another)
    assert list(usable(confined, both)) == [one]
    assert authorise(confined, one, both, named) is one
    with pytest.raises(Problem) as caught:
        authorise(confined, another, both, other)
    assert caught.value.kind is Kind.OUT_OF_SCOPE
    assert list(usable(confined, alone)) == [another]
    assert authorise(confined, another, alone, named) is another


def test_the_fallback_model_does_not_lead_out_of_a_keys_scope() -> None:
    """A key confined to `m` must not reach the fallback model, though its owner may use it with another key."""
    everyone = Readers(everyone=True)
    asked = model("m", readers=everyone, targets=(target("a"),))
    fallback = model("f", readers=everyone, targets=(target("b"),))
    known = snapshot(asked, fallback, fallback_model="f")
    nothing: Any = None
    pipeline = Pipeline(Published(known), nothing, nothing, nothing, by_priority, nothing, nothing)
    call = Call(
        id="c",
        dialect=OPENAI,
        operation=OPERATIONS["openai.chat"],
        fields=split(b'{"messages":[{"role":"user","content":"hi"}]}'),
        head=Head(model="m", stream=False, output_bound=None),
        size=0,
        digest=None,
        received=0.0,
        created=0,
    )
    attempts = pipeline._route(call, principal(models=frozenset({"m"})), asked, known)
    assert [attempt.target.connection.name for attempt in attempts] == ["a"]
    assert len(pipeline._route(call, principal(), asked, known)) == 2


# --- credentials

header_names = st.sampled_from(
    [b"authorization", b"x-api-key", b"api-key", b"cookie", b"host", b"origin", b"sec-fetch-site", b"x"]
)
header_values = st.binary(max_size=30) | st.sampled_from(
    [b"Bearer abc", b"bearer  abc ", b"Bearer", b"Bearer ", b"Basic abc", b"modelyard_session=tok", b"\xff\xfe", b"null",
     b"http://h", b"same-origin", b"cross-site", b'a="\\777"; modelyard_session="x"', b"x" * 2000]
)  # fmt: skip
header_lists = st.lists(st.tuples(header_names, header_values), max_size=5)


@given(header_lists)
def test_garbage_in_headers_is_no_credential_and_no_exception(headers: list[tuple[bytes, bytes]]) -> None:
    found = presented(headers)
    if found is not None:
        assert len(found.token) <= MAX_TOKEN_LENGTH
        assert found.token, "an empty credential is none"
        assert found.ambient is False or any(name == b"cookie" for name, _ in headers)


@given(st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "QUERY"]), header_lists)
def test_forged_never_raises_and_lets_reading_pass(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert (
        forged(method, headers) is False
        if method in ("GET", "HEAD", "OPTIONS")
        else forged(method, headers) in (True, False)
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"authorization", b"Bearer abc")], Presented("abc", ambient=False)),
        ([(b"authorization", b"bEaReR  abc ")], Presented("abc", ambient=False)),
        ([(b"x-api-key", b" k ")], Presented("k", ambient=False)),
        ([(b"api-key", b"k")], Presented("k", ambient=False)),
        ([(b"x-api-key", b"one"), (b"api-key", b"two")], Presented("one", ambient=False)),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"k")], Presented("k", ambient=False)),
        ([(b"authorization", b"Bearer a"), (b"x-api-key", b"k")], Presented("a", ambient=False)),
        ([(b"cookie", b"a=1; modelyard_session=tok; b=2")], Presented("tok", ambient=True)),
        ([(b"cookie", b"modelyard_session=tok"), (b"x-api-key", b"k")], Presented("k", ambient=False)),
        ([(b"cookie", b"a=1")], None),
        ([(b"cookie", b"modelyard_session=")], None),
        ([(b"authorization", b"Bearer " + b"x" * 513)], None),
        ([(b"authorization", b"Basic abc")], None),
        ([(b"x-api-key", b"  ")], None),
        ([], None),
    ],
)
def test_what_a_request_shows(headers: list[tuple[bytes, bytes]], expected: Presented | None) -> None:
    assert presented(headers) == expected


@pytest.mark.parametrize("other", [b'prefs={"a": 1}', b"x y", b"=", b"\xe9=1", b"a=[b", b"flag", b'q="half'])
def test_another_applications_cookie_does_not_end_our_session(other: bytes) -> None:
    """Cookies are shared by all ports of a host, so `localhost` carries what every other application there has set."""
    for line in (b"modelyard_session=tok; " + other, other + b"; modelyard_session=tok"):
        assert presented([(b"cookie", line)]) == Presented("tok", ambient=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"sec-fetch-site", b"same-origin")], False),
        ([(b"sec-fetch-site", b"none")], False),
        ([(b"sec-fetch-site", b"same-site")], True),
        ([(b"sec-fetch-site", b"cross-site"), (b"origin", b"http://h"), (b"host", b"h")], True),
        ([(b"origin", b"http://h:1"), (b"host", b"h:1")], False),
        ([(b"origin", b"http://h:1"), (b"host", b"h:2")], True),
        ([(b"origin", b"http://h.evil"), (b"host", b"h")], True),
        ([(b"origin", b"null"), (b"host", b"h")], True),
        ([(b"origin", b"http://h")], True),
        ([(b"host", b"h")], True),
        ([], True),
    ],
)
def test_forgery(headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert forged("POST", headers) is expected
    assert forged("GET", headers) is False


# --- presets


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"temperature": "0.5"}, {"temperature": 0.5}),
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"max_tokens": "12"}, {"max_tokens": 12}),
        ({"max_tokens": 12.0}, {"max_tokens": 12}),
        ({"use_mmap": "True", "use_mlock": "no"}, {"use_mmap": True, "use_mlock": False}),
        ({"use_mmap": 1}, {"use_mmap": True}),
        ({"stop": "x"}, {"stop": ["x"]}),
        ({"stop": ["x", 1]}, {"stop": ["x", "1"]}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"temperature": None}, {}),
        ({"anything": {"a": [1]}}, {"anything": {"a": [1]}}),
        (
            {"custom_params": {"a": "1", "b": "[1]", "c": "text", "d": '{"x":1}'}},
            {"a": 1, "b": [1], "c": "text", "d": {"x": 1}},
        ),
        ({"custom_params": {"temperature": "0.3"}, "temperature": 1}, {"temperature": 0.3}),
        (
            {"x": {"a": 1, "b": {"c": 1}}, "custom_params": {"x": {"b": {"d": 2}}}},
            {"x": {"a": 1, "b": {"c": 1, "d": 2}}},
        ),
        ({"x": {"a": 1}, "custom_params": {"x": "5"}}, {"x": 5}),
        ({"custom_params": None}, {}),
        (dict.fromkeys(APPLICATION_ONLY - {"custom_params", "locked"}, "x"), {}),
    ],
)
def test_what_a_preset_sets(given_: dict[str, Any], expected: dict[str, Any]) -> None:
    before = msgspec.json.encode(given_)
    preset = read_preset(given_)
    assert preset.params == expected
    assert all(type(preset.params[name]) is type(value) for name, value in expected.items())
    assert msgspec.json.encode(given_) == before


@pytest.mark.parametrize(
    "params",
    [{"temperature": "hot"}, {"temperature": []}, {"max_tokens": "1.5"}, {"max_tokens": {}}, {"top_k": "x"}, {"seed": 1, "num_ctx": "x"},
     {"temperature": 10**400}, {"max_tokens": float("inf")}, {"custom_params": {"temperature": "9" * 400}},
     {"custom_params": [1]}, {"custom_params": "x"}, {"locked": 5}, {"locked": "temperature"}, {"custom_params": {"a": "\ud800"}}],
)  # fmt: skip
def test_a_value_that_cannot_be_is_a_bad_parameter(params: dict[str, Any]) -> None:
    """BadParameter is all that the catalogue's door (422) and the compiler (the row is left out) are ready for."""
    with pytest.raises(BadParameter):
        read_preset(params)


def test_locks_and_the_old_order() -> None:
    params = {"temperature": 1, "top_p": 1, "locked": ["top_p"], "system": "s"}
    assert read_preset(params).locked == {"top_p"}
    assert read_preset(params, preset_wins=True).locked == {"temperature", "top_p"}
    assert read_preset(params).system == "s"
    for empty in ("", "  ", None, 5):
        assert read_preset({"system": empty}).system is None


NOW = datetime(2026, 3, 1, 13, 4, 5, tzinfo=UTC)


def test_variables() -> None:
    text = "{{CURRENT_DATE}} {{ CURRENT_TIME }} {{CURRENT_WEEKDAY}} {{CURRENT_TIMEZONE}} {{USER_NAME}} {{USER_EMAIL}}"
    assert fill_in(text, principal(), NOW) == "2026-03-01 01:04:05 PM Sunday UTC Name name@example.com"
    assert fill_in("{{CURRENT_DATETIME}}", principal(), NOW) == "2026-03-01 01:04:05 PM"
    assert fill_in("{{USER_NAME}}", replace(principal(), name=""), NOW) == "Unknown"


@pytest.mark.parametrize(
    "payload",
    ["{{7*7}}", "{{config}}", "{{ self.__class__ }}", "{% for x in y %}", "${USER_NAME}", "{USER_NAME}", "{0.__class__}", "{{}}",
     "{{ user_name }}", "{{PASSWORD}}", "{{USER_NAME", "USER_NAME}}", "%s %(x)s", "\\1 \\g<0>", "{{USER NAME}}", "{{USER_NAME|upper}}"],
)  # fmt: skip
def test_anything_else_stays_as_it_was_written(payload: str) -> None:
    assert fill_in(payload, principal(), NOW) == payload
    person = replace(principal(), name=payload + "{{USER_EMAIL}}")
    assert fill_in("I am {{USER_NAME}}.", person, NOW) == f"I am {payload}{{{{USER_EMAIL}}}}."


@given(st.lists(st.sampled_from(["{{", "}}", " ", "USER_NAME", "X", "{", "\n", *VARIABLES]), max_size=10).map("".join))
def test_filling_in_is_a_single_pass(text: str) -> None:
    nested = replace(principal(), name="{{USER_EMAIL}}", email="{{USER_NAME}}")
    filled = fill_in(text, nested, NOW)
    if not any("{{" in text and name in text for name in VARIABLES):
        assert filled == text


@given(st.dictionaries(st.sampled_from(["temperature", "max_tokens", "stop", "use_mmap", "x", "system", "locked", "custom_params"]),
                       st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.text(max_size=3), max_size=2)
                       | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)))  # fmt: skip
def test_any_params_give_a_preset_or_a_bad_parameter(params: dict[str, Any]) -> None:
    try:
        preset = read_preset(params)
    except BadParameter:
        return
    for value in preset.params.values():
        raw.raw_of(value)


# --- routing

targets = st.lists(
    st.builds(target, st.sampled_from("abc"), priority=st.integers(-2, 2), weight=st.integers(1, 5)), max_size=6
)


@given(targets, st.floats(0, 1, exclude_max=True))
def test_the_order_is_a_permutation_that_respects_priority(given_: list[Target], draw: float) -> None:
    ordered = by_priority(given_, draw)
    assert sorted(map(id, ordered)) == sorted(map(id, given_))
    priorities = [one.connection.priority for one in ordered]
    assert priorities == sorted(priorities, reverse=True)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_weights_are_shares_of_the_draws(weights: list[int]) -> None:
    given_ = [target(str(index), weight=weight) for index, weight in enumerate(weights)]
    draws = 2000
    firsts = [by_priority(given_, step / draws)[0].connection.name for step in range(draws)]
    for index, weight in enumerate(weights):
        assert abs(firsts.count(str(index)) / draws - weight / sum(weights)) <= 2 / draws
