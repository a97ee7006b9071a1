# ruff: noqa: E501 - tables of cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.endpoint import Endpoint, parse_base_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("http", "h", 80, "")),
        ("https://h", ("https", "h", 443, "")),
        ("http://h:8080/", ("http", "h", 8080, "")),
        ("https://H.Example/v1/", ("https", "h.example", 443, "/v1")),
        (" http://h/a/b// ", ("http", "h", 80, "/a/b")),
        ("http://[::1]:11434/v1", ("http", "::1", 11434, "/v1")),
        ("HTTP://h", ("http", "h", 80, "")),
        ("http://h:", ("http", "h", 80, "")),
        ("http://127.0.0.1:65535", ("http", "127.0.0.1", 65535, "")),
    ],
)
def test_good_ones(url: str, expected: tuple[str, str, int, str]) -> None:
    assert parse_base_url(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "h", "h:80", "//h", "ftp://h", "file:///etc/passwd", "unix:/x", "http://", "http:///v1", "http://:80", "http://u:p@h",
     "http://u@h", "http://:p@h", "http://h?x=1", "http://h#x", "http://h:99999", "http://h:-1", "http://h:x", "http://[::1", "http:h",
     "http://h:0", "http://a b", "http://h\0", "http://h\x7f", "http://a\\b"],
)  # fmt: skip
def test_bad_ones_are_told_in_a_sentence(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_base_url(url)
    assert len(str(caught.value)) > 10
    assert ":p@" not in str(caught.value)


@given(st.lists(st.sampled_from(["http", "https", "://", "h", ".", ":", "8", "0", "/", "[", "]", "::1", "@", "?", "#", " ", "\n", "é", "%", "\\"]), max_size=9)
       .map("".join) | st.text(max_size=12))  # fmt: skip
def test_any_text_gives_parts_or_a_value_error(url: str) -> None:
    for text in (url, "http://" + url, "http://h" + url):
        try:
            scheme, host, port, path = parse_base_url(text)
        except ValueError:
            continue
        assert scheme in ("http", "https")
        assert host
        assert 1 <= port <= 65535
        assert path == "" or path.startswith("/")
        assert not path.endswith("/")


def test_origin() -> None:
    assert Endpoint(scheme="http", host="::1", port=80).origin == "http://[::1]:80"
    assert Endpoint(scheme="https", host="h", port=443, path="/v1", headers=(("a", "b"),)).origin == "https://h:443"
