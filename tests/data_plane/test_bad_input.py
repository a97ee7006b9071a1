"""Bad requests: told in OpenAI's shape, with the right status, and never as a fault of the server."""

import json
import socket
import time

import httpx2
import openai
import pytest

from tests.data_plane.people import (
    ANN,
    CHAT,
    PENNYS_KEY,
    assert_openai_error,
    chat,
    expire,
    make_model,
    new_key,
    people_file,
)
from tests.servers import PATIENCE
from tests.yard import ADMIN_KEY, run_yard

MAX_BODY = 200_000


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad-input")
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "MODELYARD_MAX_BODY_BYTES": str(MAX_BODY),
        **people_file(folder / "yard.yaml"),
    }
    with run_yard(folder / "data", environment) as running:
        make_model(running, "for-ann", "echo", access_control={"read": {"user_ids": [ANN]}}, params={"system": "Hi."})
        make_model(running, "for-nobody", "echo")
        yield running


@pytest.fixture(scope="module")
def client(yard):
    with yard.client(new_key(yard)["key"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def ann(yard):
    with yard.client(new_key(yard, ANN)["key"]) as opened:
        yield opened


MESSAGES = '"messages":[{"role":"user","content":"x"}]'


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"nonsense", b"[]", b"[{}]", b'"text"', b"null", b"1", b"{}trailing", b'{"model":}', b"\xef\xbb\xbf{}",
        b'{"model":"echo",' + MESSAGES.encode() + b"}}", b'{"model":"echo","model"}', b"\x00", b'{"a\x00b":1}', b'{"\xff":1}',
        b"model=echo&messages=hi", b"\x1f\x8b\x08\x00", b"{'model':'echo'}", b'{"x":NaN}', b'{"x":01}', b'{"x":"a\tb"}',
        b'{"x":"\\ud800"}', b'{"\\ud800":1}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings"])
def test_a_body_that_is_no_json_object(client, path, body):
    assert_openai_error(client.post(path, content=body), 400)


def test_half_an_emoji_is_not_called_a_truncated_body(client):
    """JavaScript cuts strings between surrogates, and sends the half as an escape: say what is wrong with it."""
    body = b'{"model":"echo","messages":[{"role":"user","content":"\\ud83d cut here"}]}'
    answer = client.post(CHAT, content=body)
    if answer.status_code != 200:
        told = assert_openai_error(answer, 400)
        assert "truncated" not in told["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (f'"model":1,{MESSAGES}', "model"),
        (f'"model":["echo"],{MESSAGES}', "model"),
        (f'"model":{{}},{MESSAGES}', "model"),
        (f'"model":true,{MESSAGES}', "model"),
        (f'"model":"\\ud800",{MESSAGES}', None),
        (f'"model":"echo","stream":1,{MESSAGES}', "stream"),
        (f'"model":"echo","stream":"true",{MESSAGES}', "stream"),
        (f'"model":"echo","stream":[],{MESSAGES}', "stream"),
        (f'"model":"echo","max_tokens":"5",{MESSAGES}', "max_tokens"),
        (f'"model":"echo","max_tokens":1.5,{MESSAGES}', "max_tokens"),
        (f'"model":"echo","max_tokens":true,{MESSAGES}', "max_tokens"),
        (f'"model":"echo","max_tokens":[],{MESSAGES}', "max_tokens"),
        (f'"model":"echo","max_completion_tokens":"5",{MESSAGES}', "max_completion_tokens"),
        (f'"model":"echo","stream":true,"stream_options":"usage",{MESSAGES}', "stream_options"),
        (f'"model":"echo","stream":true,"stream_options":[1],{MESSAGES}', "stream_options"),
        ('"model":"echo"', "messages"),
        ('"model":"echo","messages":null', "messages"),
        ('"model":"echo","messages":[]', "messages"),
        ('"model":"echo","messages":[ ]', "messages"),
        ('"model":"echo","messages":[\n\t]', "messages"),
        ('"model":"echo","messages":"hi"', "messages"),
        ('"model":"echo","messages":{"role":"user"}', "messages"),
        ('"model":"echo","messages":5', "messages"),
    ],
)
def test_wrong_types_are_named(client, fields, param):
    told = assert_openai_error(client.post(CHAT, content=f"{{{fields}}}".encode()), 400)
    assert told["param"] == param


@pytest.mark.parametrize(
    "messages",
    [
        "[]", "[ ]", "[1]", "[null]", "[[]]", '["x"]', '[{"role":5}]', '[{"role":null}]', '[{"role":"system","content":5}]',
        '[{"role":"system","content":{"a":1}}]', '[{"role":"system","content":true}]',
    ],
)  # fmt: skip
def test_odd_messages_to_a_model_with_a_system_prompt_are_the_callers_fault(ann, upstream, messages):
    """Or the backend's to judge, but then as they were written."""
    answer = ann.post(CHAT, content=f'{{"model":"for-ann","messages":{messages}}}'.encode())
    if answer.status_code == 200:
        sent = upstream.state()["requests"][-1]["body"]
        assert "'" not in sent, f"Python's spelling of a value went to the backend: {sent}"
        assert "True" not in sent
    else:
        assert_openai_error(answer, 400)


def test_odd_numbers_of_tokens_are_not_a_fault_of_the_server(client):
    for value in ("0", "-1", "99999999999999999999999999", "null", "1e3"):
        answer = client.post(CHAT, content=f'{{"model":"echo","max_tokens":{value},{MESSAGES}}}'.encode())
        assert answer.status_code in (200, 400), (value, answer.text)


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"model":"echo","x":' + b"[" * 50_000 + b"]" * 50_000 + b"," + MESSAGES.encode() + b"}",
        b'{"model":"echo","x":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"," + MESSAGES.encode() + b"}",
        b'{"model":"echo","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"model":' + b"[" * 50_000 + b"]" * 50_000 + b"," + MESSAGES.encode() + b"}",
        b'{"model":"echo","max_tokens":' + b"[" * 50_000 + b"]" * 50_000 + b"," + MESSAGES.encode() + b"}",
        b'{"model":"echo","stream":true,"stream_options":{"a":' + b"[" * 500 + b"]" * 500 + b"}," + MESSAGES.encode() + b"}",
        b'{"model":"echo","stream":true,"stream_options":{"a":"\xff"},' + MESSAGES.encode() + b"}",
        b'{"model":"echo","stream":true,"stream_options":{"a":"\xff","include_usage":true},' + MESSAGES.encode() + b"}",
        b'{"model":"\xff",' + MESSAGES.encode() + b"}",
        b'{"model":"echo","messages":[{"role":"user","content":"\xff\xfe"}]}',
        b'{"model":"echo","max_tokens":"\xff",' + MESSAGES.encode() + b"}",
        b'{"model":"echo","max_tokens":5,"n":"\xff",' + MESSAGES.encode() + b"}",
    ],
    ids=["lists", "objects", "messages", "model", "max-tokens", "stream-options", "options-utf8", "options-utf8-usage",
         "model-utf8", "content-utf8", "max-tokens-utf8", "n-utf8"],
)  # fmt: skip
@pytest.mark.parametrize("model", ["echo", "for-ann"])
def test_hostile_bodies_never_are_a_fault_of_the_server(ann, yard, hostile, model):
    with yard.client(new_key(yard)["key"]) as admin:
        answer = admin.post(CHAT, content=hostile.replace(b'"echo"', b'"%b"' % model.encode(), 1))
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400:
            assert_openai_error(answer, 400)


@pytest.mark.parametrize(
    "name", ["nope", "", "a" * 10_000, "../../etc/passwd", "\x00", "日本", "echo\n", "{{7*7}}", "ECHO"]
)
def test_an_unknown_model(client, name):
    if name:
        told = assert_openai_error(client.post(CHAT, json=chat(name)), 404, "model_not_found")
        assert told["param"] == "model"
    else:
        assert_openai_error(client.post(CHAT, json=chat(name)), 400)


def test_no_model_and_no_default(client):
    for body in (chat(None), {**chat(None), "model": None}):
        told = assert_openai_error(client.post(CHAT, json=body), 400)
        assert told["param"] == "model"
        assert "DEFAULT_MODEL" in told["message"]


def test_a_model_that_one_may_not_see_is_not_told_apart_from_one_that_does_not_exist(ann, client):
    hidden = assert_openai_error(ann.post(CHAT, json=chat("for-nobody")), 404)
    unknown = assert_openai_error(ann.post(CHAT, json=chat("for-someone")), 404)
    assert json.dumps(hidden).replace("for-nobody", "for-someone") == json.dumps(unknown)
    assert client.post(CHAT, json=chat("for-nobody")).status_code == 200, "administrators may"
    assert ann.get("/v1/models/for-nobody").status_code == 404
    assert [row["id"] for row in ann.get("/v1/models").json()["data"]] == ["for-ann"]


def test_outside_the_scope_of_a_key(yard):
    with yard.client(new_key(yard, models=["echo"])["key"]) as scoped:
        assert scoped.post(CHAT, json=chat("echo")).status_code == 200
        assert_openai_error(scoped.post(CHAT, json=chat("lorem")), 403, "out_of_scope")
        assert_openai_error(scoped.get("/v1/models/lorem"), 403, "out_of_scope")
        assert [row["id"] for row in scoped.get("/v1/models").json()["data"]] == ["echo"]
        assert_openai_error(scoped.post(CHAT, json=chat("nope")), 404)
    with yard.client(new_key(yard, dialects=["anthropic"])["key"]) as other:
        assert_openai_error(other.post(CHAT, json=chat("echo")), 403, "out_of_scope")
        assert_openai_error(other.get("/v1/models"), 403, "out_of_scope")
    with yard.client(new_key(yard, ANN, models=["for-nobody"])["key"]) as wishful:
        assert_openai_error(wishful.post(CHAT, json=chat("for-nobody")), 404)


@pytest.mark.parametrize(
    "key", [None, "sk-my-wrong", ADMIN_KEY[:-1], ADMIN_KEY + "x", ADMIN_KEY.upper(), "Bearer " + ADMIN_KEY]
)
def test_a_bad_key(yard, key):
    with yard.client(key) as stranger:
        for answer in (
            stranger.post(CHAT, json=chat("echo")),
            stranger.get("/v1/models"),
            stranger.get("/v1/models/x"),
        ):
            assert_openai_error(answer, 401, "invalid_api_key")
        assert_openai_error(stranger.post(CHAT, content=b"{"), 401)


def test_someone_who_waits_for_approval(yard):
    with yard.client(PENNYS_KEY) as penny:
        assert_openai_error(penny.post(CHAT, json=chat("echo")), 403)
        assert_openai_error(penny.get("/v1/models"), 403)


def test_a_key_that_expires(yard):
    key = new_key(yard, expires_at=int(time.time()) + 3600)
    with yard.client(key["key"]) as client:
        assert client.get("/v1/models").status_code == 200
        expire(yard, key)
        assert_openai_error(client.post(CHAT, json=chat("echo")), 401)
        assert_openai_error(client.get("/v1/models"), 401)


def test_a_revoked_key_is_refused_at_once(yard):
    key = new_key(yard)
    with yard.client(key["key"]) as client:
        assert client.post(CHAT, json=chat("echo")).status_code == 200
        assert yard.admin.delete(f"/api/v1/keys/{key['id']}").status_code == 200
        assert_openai_error(client.post(CHAT, json=chat("echo")), 401)
        assert_openai_error(client.get("/v1/models"), 401)


def test_wrong_methods(client):
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert_openai_error(client.request(method, CHAT), 405)
    for path in ("/v1/models", "/v1/models/echo"):
        assert_openai_error(client.post(path), 405)
    assert client.head("/v1/models").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/nope", "/v1/", "/v1//chat/completions", "/v1/chat/completions/x", "/v1/models_of_others",
             "/v1/respond", "/v1/%2e%2e/api/v1/keys", "/v1/" + "x" * 5000, "/v1/%ff%00"],
)  # fmt: skip
def test_unknown_paths(client, path):
    assert_openai_error(client.get(path), 404)
    assert_openai_error(client.post(path, json={}), 404)


def test_a_body_that_says_it_is_too_large(yard, client):
    body = json.dumps(chat("echo", text="x" * MAX_BODY)).encode()
    assert_openai_error(client.post(CHAT, content=body), 413)
    assert client.post(CHAT, json=chat("echo", text="x" * (MAX_BODY - 1000))).status_code == 200


def test_a_body_of_exactly_the_limit_passes(client):
    body = json.dumps(chat("echo")).encode()
    assert client.post(CHAT, content=body + b" " * (MAX_BODY - len(body))).status_code == 200
    assert_openai_error(client.post(CHAT, content=body + b" " * (MAX_BODY - len(body) + 1)), 413)


def test_a_body_that_turns_out_too_large(client):
    def parts():
        yield b'{"model":"echo","messages":[{"role":"user","content":"'
        for _ in range(40):
            yield b"x" * 10_000

    try:
        answer = client.post(CHAT, content=parts())
    except httpx2.TransportError:
        pytest.fail("the connection was closed instead of an answer")
    assert_openai_error(answer, 413)


def test_an_endless_body_is_refused_while_it_is_sent(yard):
    key = new_key(yard)["key"]
    with socket.create_connection(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {key}"]
        connection.sendall("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode())
        for _ in range(30):
            connection.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_strangers_large_body_is_refused_without_being_wanted(yard):
    with socket.create_connection(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "content-length: 199999", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")


def test_the_connection_goes_on_after_a_refusal(client):
    for _ in range(3):
        assert client.post(CHAT, content=b"{").status_code == 400
        assert client.post(CHAT, json=chat("echo")).status_code == 200


@pytest.mark.parametrize(
    ("model", "fields", "error"),
    [
        ("nope", {}, openai.NotFoundError),
        ("echo", {"max_tokens": "5"}, openai.BadRequestError),
        ("lorem", {}, openai.PermissionDeniedError),
    ],
)
def test_an_sdk_raises_the_right_error_for_bad_input(yard, model, fields, error):
    key = new_key(yard, models=["echo", "nope"])["key"]
    with openai.OpenAI(base_url=yard.base_url, api_key=key, max_retries=0) as sdk, pytest.raises(error) as raised:
        sdk.chat.completions.create(**chat(model, **fields))
    assert raised.value.request_id
    assert raised.value.body["message"]


def test_an_sdk_raises_for_a_bad_key(yard):
    with (
        openai.OpenAI(base_url=yard.base_url, api_key="sk-my-x", max_retries=0) as sdk,
        pytest.raises(openai.AuthenticationError),
    ):
        sdk.models.list()
