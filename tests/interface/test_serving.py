"""How the interface is handed out: one page for every address, hashed files, strict headers, nothing of a request in it."""

import re

import pytest

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page(yard, path="/", **headers):
    with yard.client(None) as client:
        return client.get(path, headers={**BROWSER, **headers})


def scripts(yard) -> list[str]:
    return re.findall(r'src="\./(assets/[^"]+\.js)"', page(yard).text)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/setup?token=x",
        "/models",
        "/models/edit?id=a%2Fb",
        "/nothing/here",
        "/healthy",
        "/openai",
        "/%3Cscript%3E",
    ],
)
def test_a_browser_gets_the_page_at_any_address(yard, path):
    answer = page(yard, path)
    assert answer.status_code == 200
    assert answer.text == page(yard).text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_page_has_no_inline_script_or_style(yard):
    text = page(yard).text
    assert scripts(yard)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"\son\w+=", text)


def test_programs_are_answered_as_programs(yard):
    with yard.client(None) as client:
        for path in ("/models", "/nothing"):
            assert client.get(path).status_code == 401, path
        for path in ("/api/v1/nothing", "/v1/nothing", "/openai/nothing", "/api/nothing"):
            assert client.get(path, headers=BROWSER).status_code in {401, 404}, path
        assert client.post("/models", headers=BROWSER).status_code == 401
        assert client.post("/").status_code == 405


def test_files_are_compressed_and_kept_for_ever(yard):
    (script,) = scripts(yard)
    with yard.client(None) as client:
        plain = client.get("/" + script, headers={"accept-encoding": "identity"})
        assert plain.headers["content-type"].startswith("text/javascript")
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "content-encoding" not in plain.headers
        packed = client.get("/" + script, headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert packed.content == plain.content
        again = client.get("/" + script, headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        refused = client.get("/" + script, headers={"accept-encoding": "gzip;q=0, br;q=0"})
        assert "content-encoding" not in refused.headers
        assert client.get("/theme.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/assets/", "/assets/none.js", "/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/..%2f..%2f..%2fmanagement.py",
     "/assets//etc/passwd", "/assets/%00", "/assets/index.html"],
)  # fmt: skip
def test_only_files_of_the_build_are_there(yard, path):
    with yard.client(None) as client:
        for headers in ({}, BROWSER):
            answer = client.get(path, headers=headers)
            assert answer.status_code in {404, 401} or "<base" in answer.text, path
            assert "def " not in answer.text and "root:" not in answer.text
