"""Small values for tests, and strategies that several files share."""

import itertools
import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from modelyard.canonical.endpoint import Endpoint
from modelyard.canonical.snapshot import Accent, Connection, Model, Principal, Readers, Snapshot, Target
from modelyard.dialects.flavours import FLAVOURS


def target(
    name: str = "a", *, priority: int = 0, weight: int = 1, upstream: str = "m", accent: Accent | None = None
) -> Target:
    return Target(
        connection=Connection(
            id=name,
            name=name,
            kind="openai",
            flavour="openai",
            endpoint=Endpoint(scheme="http", host="h", port=1),
            priority=priority,
            weight=weight,
        ),
        model=upstream,
        upstream_model=msgspec.Raw(json.dumps(upstream).encode()),
        accent=accent or FLAVOURS["openai"].accent,
        headers=(),
    )


def principal(user_id: str = "u", role: str = "user", **more: Any) -> Principal:
    return Principal(user_id=user_id, name="Name", email="name@example.com", role=role, **more)


def model(name: str = "m", *, owner_id: str | None = None, readers: Readers | None = None, **more: Any) -> Model:
    return Model(id=name, name=name, owner_id=owner_id, readers=readers or Readers(), entry=b"{}", **more)


def snapshot(*models: Model, **more: Any) -> Snapshot:
    return Snapshot(version=1, credentials={}, models={one.id: one for one in models}, connections={}, **more)


def cut(data: bytes, marks: list[int]) -> list[bytes]:
    """`data` cut at these places (taken modulo its length)."""
    places = sorted({mark % (len(data) + 1) for mark in marks} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


marks = st.lists(st.integers(0, 10**6), max_size=12)

# Values that are JSON for a lenient reader and trouble for a strict one.
_oddities = st.sampled_from(
    [
        b"1e999", b"-1e999", b"9" * 400, b"9" * 5000, b'"\xff"', b'"\\ud800"', b'"\\u0000"', b"-0", b"-1", b"0.0", b"1.0",
        b"[ ]", b"[]", b"{ }", b"{}", b"[null]", b"[[]]", b"[{}]", b'""', b'"[DONE]"', b"[" * 300 + b"]" * 300,
        b'{"a":1e999}', b'{"include_usage":"yes"}', b'[{"role":"\xff","content":""}]', b'[{"role":"system","content":{}}]',
        b'[{"role":"system"}]', b'[{"role":null,"content":[]}]', b'{"role":"user"}', b"true", b"false", b"null",
    ]
)  # fmt: skip
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
json_bytes = _plain | _oddities


def object_of(*names: str) -> st.SearchStrategy[bytes]:
    """A JSON object with some of these keys and random values."""
    pairs = st.lists(st.tuples(st.sampled_from(names), json_bytes), max_size=6)
    return pairs.map(
        lambda found: b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in found) + b"}"
    )
