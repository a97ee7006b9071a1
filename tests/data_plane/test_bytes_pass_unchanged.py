"""What the caller wrote reaches the backend, and what the backend wrote reaches the caller, byte for byte."""

import pytest

from modelyard.core import raw
from tests.data_plane.canned import ANSWER, Canned, chunk, head, run_canned, streamed, whole
from tests.data_plane.people import CHAT, new_key, settled
from tests.yard import run_yard

ODD_ANSWER = (
    b'{ "usage" : {"prompt_tokens":12,"completion_tokens":3e0,"total_tokens":15}, "x":1.0 ,"big":12345678901234567890123,'
    b'"tiny":1e-5, "esc":"\\u00e9\\/\\ud83d\\ude00","raw":"\xc3\xa9\xe2\x80\xa8", "choices":[ ] ,\n\t"id":"z" }\n'
)
DELTA = b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"h\\u00e9\xc3\xa9 1.0"},"finish_reason":null}], "n": 1.0}\n\n'
NULLED = b'data:{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":null}\r\n\r\n'
COMMENT = b": OPENROUTER PROCESSING\n\n"
NAMED = b'event: chunk\nid: 7\nretry: 10\ndata: {"choices":[{"delta":{},\ndata: "index":0}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
DONE = b"data: [DONE]\n\n"
EVENTS = [COMMENT, DELTA, NULLED, NAMED, FINISH, USAGE, DONE]
BYTEWISE = b"".join(EVENTS)


@pytest.fixture(scope="module")
def backend():
    scripts = {
        "plain": whole(ANSWER),
        "odd": whole(ODD_ANSWER),
        "stream": streamed(*EVENTS),
        "bytewise": head() + b"".join(chunk(BYTEWISE[i : i + 1]) for i in range(len(BYTEWISE))) + b"0\r\n\r\n",
        "one-chunk": streamed(BYTEWISE),
        "until-close": b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + BYTEWISE,
        "no-last-blank": streamed(DELTA, FINISH, USAGE, b"data: [DONE]\n"),
        "usage-with-choice": streamed(
            DELTA, FINISH[:-3] + b',"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n', DONE
        ),
        "typed": streamed(*EVENTS, content_type="Text/Event-Stream; Charset=UTF-8"),
    }
    with run_canned(scripts) as running:
        yield running


@pytest.fixture(scope="module")
def yard(backend, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("bytes") / "data", {"OPENAI_API_BASE_URL": backend.base_url}) as running:
        yield running


@pytest.fixture(scope="module")
def client(yard):
    with yard.client(new_key(yard)["key"]) as opened:
        yield opened


def sent(client, backend: Canned, body: bytes) -> bytes:
    answer = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    return backend.last.body


MESSAGES = b'[ {"role" : "user",\n "content": "a\\u0000b \\ud83d\\ude00 \xf0\x9f\x98\x80 \\/ \xe2\x80\xa8"} ]'


@pytest.mark.parametrize(
    "value",
    [
        b"1.0", b"-0.0", b"1e-5", b"1E+2", b"12345678901234567890123", b"0.1000000000000000055511151231257827",
        b'"\\u00e9\\/\\u0000"', b'"\xc3\xa9"', b'{ "b":1.0 , "a" :[ 1,\t2 ] , "b":2}', b"[ ]", b"null", b"false", b"1e400",
    ],
)  # fmt: skip
def test_every_spelling_of_an_unknown_field_arrives_as_it_was_written(client, backend, value):
    body = b'{"zeta":%b,"model":"plain","alpha":%b,"messages":%b}' % (value, value, MESSAGES)
    assert sent(client, backend, body) == body


def test_only_the_model_differs_when_a_prefix_is_taken_off(yard, client, backend):
    yard.connect("prefixed", backend.base_url, prefix_id="pre")
    body = b'{"temperature":1.0,"model":"%b","messages":%b,"seed":12345678901234567890123}'
    assert sent(client, backend, body % (b"pre.plain", MESSAGES)) == body % (b"plain", MESSAGES)


def test_an_unstreamed_call_is_not_asked_for_usage(client, backend):
    body = b'{"model":"plain","messages":%b,"stream":false}' % MESSAGES
    assert sent(client, backend, body) == body


def test_a_stream_is_asked_for_usage_and_nothing_else_changes(client, backend):
    body = b'{"top_p":1.0,"stream":true,"model":"stream","messages":%b%b}'
    wanted = b',"stream_options":{"include_usage":true}'
    assert sent(client, backend, body % (MESSAGES, b"")) == body % (MESSAGES, wanted)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"null", b'{"include_usage":true}'),
        (b'{"include_usage":false,"x":1.0}', b'{"include_usage":true,"x":1.0}'),
        (
            b'{"x":[ 1.0 ],"include_obfuscation":false}',
            b'{"x":[ 1.0 ],"include_obfuscation":false,"include_usage":true}',
        ),
        (b'{"include_usage":true}', b'{"include_usage":true}'),
    ],
)
def test_other_stream_options_are_kept(client, backend, given, expected):
    body = b'{"stream_options":%b,"stream":true,"model":"stream","messages":%b}'
    assert sent(client, backend, body % (given, MESSAGES)) == body % (expected, MESSAGES)


def test_text_completions_and_embeddings_pass_unchanged_too(client, backend):
    for path, field in (("/v1/completions", b'"prompt":[ 1,2.0 ]'), ("/v1/embeddings", b'"input":"\\u00e9 "')):
        body = b'{"model":"plain",%b,"dimensions":8.0}' % field
        assert client.post(path, content=body).status_code == 200
        assert backend.last.body == body
        assert backend.last.path == path


def test_the_callers_credential_and_headers_do_not_go_to_the_backend(client, backend):
    client.post(CHAT, content=b'{"model":"plain","messages":[{}]}', headers={"cookie": "a=b", "x-mine": "secret"})
    told = backend.last.headers
    assert "authorization" not in told
    assert "cookie" not in told
    assert "x-mine" not in told
    assert "x-forwarded-for" not in told


def test_an_answer_comes_byte_for_byte(client):
    answer = client.post(CHAT, content=b'{"model":"odd","messages":[{}]}')
    assert answer.content == ODD_ANSWER
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(ODD_ANSWER))


@pytest.mark.parametrize("model", ["stream", "bytewise", "one-chunk", "until-close", "typed"])
@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_comes_byte_for_byte_except_for_usage_that_was_not_asked_for(client, model, asked):
    options = {"stream_options": {"include_usage": True}} if asked else {}
    body = raw.encode({"model": model, "messages": [{}], "stream": True, **options})
    answer = client.post(CHAT, content=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.content == b"".join(event for event in EVENTS if asked or event is not USAGE)


def test_an_explicit_no_to_usage_is_honoured(client):
    body = {"model": "stream", "messages": [{}], "stream": True, "stream_options": {"include_usage": False}}
    assert USAGE not in client.post(CHAT, json=body).content


def test_a_last_event_without_its_blank_line_still_arrives(client):
    answer = client.post(CHAT, json={"model": "no-last-blank", "messages": [{}], "stream": True})
    assert answer.content == DELTA + FINISH + DONE


def test_usage_that_shares_its_chunk_with_a_choice_is_left_in(client):
    answer = client.post(CHAT, json={"model": "usage-with-choice", "messages": [{}], "stream": True})
    assert b'"usage":{"prompt_tokens":5' in answer.content
    assert answer.content.endswith(DONE)


def test_bytes_that_are_no_text_are_refused_or_passed_but_never_a_fault(yard, backend):
    key, passed = new_key(yard), 0
    for options in (b'{"a":"\xff"}', b'{"a":"\xff","include_usage":true}', b'{"include_usage":"\xff"}'):
        body = b'{"model":"stream","stream":true,"messages":[{}],"stream_options":%b}' % options
        with yard.client(key["key"]) as client:
            answer = client.post(CHAT, content=body)
        assert answer.status_code in (200, 400), (options, answer.text)
        passed += answer.status_code == 200
    rows = settled(yard, key["id"], passed, linger=0.4)
    assert [row["status"] for row in rows] == ["ok"] * passed
