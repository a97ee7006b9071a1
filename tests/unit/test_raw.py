# ruff: noqa: PT017 - either outcome is right
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.core import raw
from tests.unit.make import json_bytes

# msgspec calls half a surrogate pair truncated: refused like other garbage, and tested as such below.
whole = json_bytes.filter(lambda value: b"\\ud800" not in value)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.dictionaries(names, whole, max_size=6), st.sampled_from([b"", b" ", b"\n\t "]))
def test_values_keep_their_bytes_and_keys_their_order(values: dict[str, bytes], space: bytes) -> None:
    inner = b",".join(
        space + json.dumps(name).encode() + space + b":" + space + value + space for name, value in values.items()
    )
    fields = raw.split(space + b"{" + inner + b"}" + space)
    assert [(name, bytes(value)) for name, value in fields.items()] == list(values.items())
    again = raw.split(raw.join(fields))
    assert [(name, bytes(value)) for name, value in again.items()] == list(values.items())


@given(st.lists(whole, max_size=5))
def test_lists_keep_their_bytes(values: list[bytes]) -> None:
    items = raw.split_list(raw.Raw(b"[" + b" , ".join(values) + b"]"))
    assert [bytes(item) for item in items] == values
    assert bytes(raw.join_list(items)) == b"[" + b",".join(values) + b"]"


@pytest.mark.parametrize(
    "spelling", [b"1.0e+5", b'"\\u0061\\/"', b"[1 , 2]", b"1e400", b"-0", b"100000000000000000000001"]
)
def test_spelling_stays(spelling: bytes) -> None:
    assert raw.join(raw.split(b'{ "a" : ' + spelling + b" }")) == b'{"a":' + spelling + b"}"


def test_of_a_key_given_twice_the_last_one_stands() -> None:
    assert raw.join(raw.split(b'{"a":1,"b":2,"a":3}')) == b'{"a":3,"b":2}'
    assert bytes(raw.split(b'{"a":1,"\\u0061":2}')["a"]) == b"2"


@pytest.mark.parametrize(
    "garbage",
    [b"", b" ", b"null", b"[]", b'"a"', b"1", b"{", b"}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":01}', b"{'a':1}", b'{"a":1}x',
     b'{"a":NaN}', b"{1:2}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"<html>", b'{"a":"\n"}', b'{"\xff":1}', b'{"\\ud800":1}'],
)  # fmt: skip
def test_garbage_is_not_json(garbage: bytes) -> None:
    with pytest.raises(raw.NotJson):
        raw.split(garbage)


@given(st.binary(max_size=30))
def test_random_bytes_give_fields_or_not_json(data: bytes) -> None:
    for read in (raw.split, lambda data: raw.split_list(raw.Raw(data)), lambda data: raw.value_of(raw.Raw(data))):
        try:
            read(data)
        except raw.NotJson as error:
            assert str(error)


@pytest.mark.parametrize("depth", [500, 900, 1100, 5_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_told_and_never_a_recursion_error(depth: int, opening: bytes, closing: bytes) -> None:
    deep = opening * depth + b"1" + closing * depth
    for read in (
        lambda: raw.split(b'{"a":' + deep + b"}"),
        lambda: raw.split_list(raw.Raw(b"[" + deep + b"]")),
        lambda: raw.value_of(raw.Raw(deep)),
    ):
        try:
            read()
        except raw.NotJson as error:
            assert "deep" in str(error)


@given(json_bytes)
def test_value_of_and_raw_of(data: bytes) -> None:
    try:
        value = raw.value_of(raw.Raw(data))
    except raw.NotJson:
        return
    assert raw.value_of(raw.raw_of(value)) == value
