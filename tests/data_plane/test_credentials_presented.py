"""How a key may be shown, and that no oddity in a header is a fault of the server."""

import json
import socket

import pytest

from tests.data_plane.people import ANN, BEN, CHAT, assert_openai_error, chat, new_key, people_file
from tests.servers import PATIENCE
from tests.yard import run_yard

SHARED = "sk-my-shared-prefix-0123456789abcdef"


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("credentials")
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, **people_file(folder / "yard.yaml")}
    with run_yard(folder / "data", environment) as running:
        yield running


@pytest.mark.parametrize(
    "form",
    [
        {"authorization": "Bearer {}"}, {"authorization": "bearer {}"}, {"authorization": "BEARER  {}"},
        {"x-api-key": "{}"}, {"api-key": "{}"}, {"X-API-Key": "{}"},
        {"authorization": "Basic Zm9vOmJhcg==", "x-api-key": "{}"}, {"authorization": "Bearer {}", "x-api-key": "wrong"},
    ],
)  # fmt: skip
def test_a_key_is_taken_from_every_usual_header(yard, form):
    key = new_key(yard)["key"]
    headers = {name: value.format(key) for name, value in form.items()}
    with yard.client(None) as client:
        answer = client.post(CHAT, json=chat("echo"), headers=headers)
        assert answer.status_code == 200, answer.text
        assert client.get("/v1/models", headers=headers).status_code == 200


def raw_request(yard, *lines: bytes) -> bytes:
    """The answer to GET /v1/models with these header lines, as raw bytes; b"" when the connection was closed."""
    with socket.create_connection(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        head = [b"GET /v1/models HTTP/1.1", b"host: 127.0.0.1", b"connection: close", *lines, b"", b""]
        try:
            connection.sendall(b"\r\n".join(head))
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer


KEY = b"0123456789abcdef"


@pytest.mark.parametrize(
    "line",
    [
        b"authorization: Bearer " + b"a" * 1_000_000, b"x-api-key: " + b"a" * 1_000_000, b"cookie: " + b"a" * 1_000_000,
        b"authorization: Bearer " + b"a" * 513, b"authorization:", b"authorization: ", b"authorization: Bearer",
        b"authorization: Bearer ", b'authorization: Bearer "quoted"', b"authorization: Bearer '; drop table keys; --",
        "authorization: Bearer ключ".encode(), b"authorization: Bearer \xff\xfe", b"x-api-key: \xed\xa0\x80",
        b"authorization: Bearer \\u0000", b"authorization: Bearer %00", b"authorization: Bearer a\tb",
        b"authorization: Bearer \x01\x7f", b"authorization: Bearer a\x00b", b"x-api-key: \x00", b"authorization: Digest x",
        b"authorization: Bearer Bearer x", b"cookie: modelyard_session=", b"cookie: modelyard_session=\xff\xff",
        b'cookie: modelyard_session="\\000"', b"cookie: ;;;=;", b"cookie: a[b]=c; modelyard_session=x",
        b"authorization: null", b"api-key: undefined", b"authorization: Bearer ${KEY}",
    ],
    ids=range(29),
)  # fmt: skip
def test_odd_credentials_are_refused_and_nothing_more(yard, line):
    answer = raw_request(yard, line)
    status = int(answer.split(b" ", 2)[1]) if answer else 0
    assert status in (400, 401, 403, 431), answer[:300]
    assert yard.process.poll() is None


def test_many_headers_are_refused_and_nothing_more(yard):
    answer = raw_request(yard, *(b"x-%d: y" % number for number in range(5000)))
    assert int(answer.split(b" ", 2)[1]) in (400, 401, 431)


def test_two_keys_that_begin_alike_are_two_keys(upstream, tmp_path):
    users = [
        {"email": f"{name}@example.com", "name": name, "role": "user", "keys": [{"name": "k", "key": SHARED + ending}]}
        for name, ending in (("one", "A"), ("two", "B"))
    ]
    (tmp_path / "yard.yaml").write_text(json.dumps({"users": users}))
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "MODELYARD_CONFIG": str(tmp_path / "yard.yaml")}
    with run_yard(tmp_path / "data", environment) as yard:
        for name, ending in (("one", "A"), ("two", "B")):
            with yard.client(SHARED + ending) as client:
                assert client.get("/api/v1/auths/").json()["name"] == name
        for wrong in (SHARED, SHARED + "C", SHARED + "AB", SHARED + "a"):
            with yard.client(wrong) as client:
                assert_openai_error(client.get("/v1/models"), 401)


def test_keys_of_two_people_are_not_mixed_up(yard):
    first, second = new_key(yard, ANN)["key"], new_key(yard, BEN)["key"]
    with yard.client(first) as ann, yard.client(second) as ben:
        assert ann.get("/api/v1/auths/").json()["id"] == ANN
        assert ben.get("/api/v1/auths/").json()["id"] == BEN
    with yard.client(first) as both:
        assert both.get("/api/v1/auths/", headers={"x-api-key": second}).json()["id"] == ANN


def test_a_cookie_of_another_sites_page_is_not_believed(yard):
    key = new_key(yard)["key"]
    with yard.client(None) as client:
        answer = client.post(CHAT, json=chat("echo"), headers={"cookie": f"modelyard_session={key}"})
        assert_openai_error(answer, 403)
        answer = client.post(
            CHAT, json=chat("echo"), headers={"cookie": f"modelyard_session={key}", "sec-fetch-site": "cross-site"}
        )
        assert_openai_error(answer, 403)
