# ruff: noqa: PT017 - either outcome is right
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser

from modelyard.core import raw
from modelyard.core.multipart import MAX_FIELD_BYTES, MAX_PARTS, NotAForm, read_form

TYPE = "multipart/form-data; boundary=xyz"
CRLF = b"\r\n"


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + CRLF


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


FILE = part("file", b"RIFF\x00\xff\r\n--xy\r\n\x00", '; filename="a.wav"\r\nContent-Type: audio/wav')
GOOD = form(part("model", b"whisper-1"), FILE, part("stream", b"true"), part("prompt", "größe\n".encode()))


def read(body: bytes, content_type: str = TYPE) -> dict[str, Any]:
    return {name: raw.value_of(value) for name, value in read_form(content_type, body).fields.items()}


def test_short_text_fields_are_read_as_json() -> None:
    assert read(GOOD) == {"model": "whisper-1", "stream": True, "prompt": "größe\n"}
    assert read(form(part("stream", b"False"))) == {"stream": False}
    assert read(form(part("stream", b"maybe"))) == {"stream": "maybe"}
    assert read(form(part("n", b"2"), part("temperature", b"0"))) == {"n": "2", "temperature": "0"}


def test_what_is_no_short_text_is_passed_over() -> None:
    assert (
        read(form(part("a", b"\xff"), part("b", b"x" * (MAX_FIELD_BYTES + 1)), part("c", b"x", '; filename="c"'))) == {}
    )


def test_only_the_model_changes() -> None:
    assert read_form(TYPE, GOOD).with_model("up/stream-größe") == GOOD.replace(b"whisper-1", "up/stream-größe".encode())
    assert read_form(TYPE, GOOD).content_type == TYPE


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_missing_model_is_put_in_front(before: bytes) -> None:
    body = before + form(FILE)
    changed = read_form(TYPE, body).with_model("m")
    assert read(changed) == {"model": "m"}
    assert changed.endswith(form(FILE))
    assert read(read_form(TYPE, before + b"--xyz--").with_model("m")) == {"model": "m"}


def test_an_empty_model_is_replaced() -> None:
    body = form(FILE, part("model", b""))
    assert read_form(TYPE, body).with_model("m") == form(FILE, part("model", b"m"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form(part("model", b"a"), part("model", b"b")), "more than once"),
        (form(part("model", b"a", '; filename="x"')), "short text"),
        (form(part("model", b"\xff")), "short text"),
        (form(part("model", b"x" * (MAX_FIELD_BYTES + 1))), "short text"),
        (form(part("model", b"YQ==", "\r\nContent-Transfer-Encoding: base64")), "short text"),
        (form(part("model", b"", "\r\nX:")), "short text"),
        (form(part("mo\\del", b"a")), "backslash"),
        (form(part("", b"a")), "no name"),
        (form(part("x", b"a", '; name="model"')), "two ways"),
        (form(part("x", b"a", "; name*=utf-8''model")), "two ways"),
        (form(part("x", b"a", '\r\nContent-Disposition: form-data; name="model"')), "two headers"),
        (form(b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n"), "Content-Disposition"),
        (form(b"--xyz\r\n\r\nx\r\n"), "Content-Disposition"),
        (form(part("file", b'a\n--xyz\nContent-Disposition: form-data; name="model"\n\nb')), "boundary"),
        (form(part("file", b'a\r--xyz\rContent-Disposition: form-data; name="model"\r\rb')), "boundary"),
        (form(*[part("x", b"")] * (MAX_PARTS + 1)), "more than"),
        (form(part("x", b"a", "".join(f"\r\nX-{n}: 1" for n in range(20)))), "malformed"),
        (form(part("x", b"a", "\r\nX: " + "y" * 10_000)), "malformed"),
        (GOOD[:-6], "last boundary"),
        (GOOD[:40], "last boundary"),
        (b"", "last boundary"),
        (b"{}", "malformed"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(NotAForm, match=says):
        read_form(TYPE, body)


@pytest.mark.parametrize(
    "content_type",
    [
        "", "application/json", "multipart/form-data", "multipart/mixed; boundary=xyz",
        *(
            "multipart/form-data; " + options
            for options in (
                "boundary=", "boundary=" + "x" * 71, 'boundary="a\\"b"', "boundary=ü", "boundary*=xyz",
                "boundary=abc; boundary=xyz", "boundary=xyz;BOUNDARY*=utf-8''abc",
            )
        ),
    ],
)  # fmt: skip
def test_a_content_type_without_a_boundary(content_type: str) -> None:
    with pytest.raises(NotAForm, match="content type"):
        read_form(content_type, GOOD)


def test_a_thousand_parts_are_read() -> None:
    assert len(read(form(*[part(f"x{n}", b"") for n in range(MAX_PARTS)]))) == MAX_PARTS


def test_a_quoted_boundary_and_an_epilogue() -> None:
    assert read(GOOD + b"epilogue", 'Multipart/Form-Data; charset=utf-8; Boundary="xyz"')["model"] == "whisper-1"


def test_what_common_clients_send() -> None:
    files = {"file": ('größe "x".wav', b"\x00\xff" * 50, "audio/wav")}
    request = httpx.Request("POST", "http://h", data={"model": "a", "prompt": "b", "stream": "true"}, files=files)
    found = read_form(request.headers["content-type"], request.read())
    assert {name: raw.value_of(value) for name, value in found.fields.items()} == {
        "model": "a",
        "prompt": "b",
        "stream": True,
    }
    assert found.with_model("a") == request.read()


names = st.sampled_from(["model", "file", "prompt", "stream", "x"])
values = st.binary(max_size=30) | st.sampled_from([b"\r\n--xyz", b"--xyz", b"\r\n", b"-", b"\r\n--xyz--", b"true", b""])
mores = st.sampled_from(["", '; filename="f"', "\r\nContent-Type: text/plain", "; filename*=utf-8''x", "\r\nX:"])
bodies = st.lists(st.builds(part, names, values, mores), max_size=5).map(lambda parts: form(*parts)) | st.lists(
    st.sampled_from([b"--xyz", b"\r\n", b"--", b"Content-Disposition: form-data; name=model", b": ", b"a", b"\xff", b"\n", b" "])
    | st.binary(max_size=5),
    max_size=20,
).map(b"".join)  # fmt: skip


@given(bodies, st.sampled_from(["m", "größe", "-", "xyz--"]))
def test_fuzz(body: bytes, name: str) -> None:
    try:
        found = read_form(TYPE, body)
    except NotAForm:
        return
    changed = found.with_model(name)
    again = read_form(TYPE, changed)
    assert raw.value_of(again.fields["model"]) == name
    assert again.with_model("z") == found.with_model("z")
    assert {**found.fields, "model": b""} == {**again.fields, "model": b""}
    if "model" in found.fields:
        assert found.with_model(raw.value_of(found.fields["model"])) == body


@given(st.text(max_size=60) | st.text(max_size=20).map(lambda text: "multipart/form-data; " + text))
def test_fuzz_the_content_type(content_type: str) -> None:
    try:
        read_form(content_type, GOOD)
    except NotAForm as error:
        assert str(error)


def test_the_parser_tells_positions_in_the_body() -> None:
    """What `with_model` rests on: a body that is written at once is told by places in that very body, each part once."""
    told: list[tuple[bool, int, int]] = []
    parser = MultipartParser(b"xyz", {"on_part_data": lambda data, start, end: told.append((data is GOOD, start, end))})
    parser.write(GOOD)
    assert [GOOD[start:end] for _, start, end in told][::2] == [b"whisper-1", b"true"]
    assert all(same for same, _, _ in told)
