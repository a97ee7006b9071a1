"""Sound, pictures, rankings and moderations: they pass to backends that have them, with the same checks and accounts."""

import httpx2
import openai
import pytest

from tests.data_plane.canned import head, run_canned
from tests.data_plane.people import make_model, new_key, until
from tests.yard import run_yard

SOUND = b"ID3\x04" + bytes(range(256)) * 40


@pytest.fixture(scope="module")
def cut_short():
    with run_canned({"cut-sound": head("audio/mpeg") + b"5\r\nID3xx\r\n"}) as running:
        yield running


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    environment = {"OPENAI_API_BASE_URL": upstream.base_url}
    with run_yard(tmp_path_factory.mktemp("media") / "data", environment) as running:
        make_model(running, "voice", "echo", params={"system": "Hi."}, access_control=None)
        yield running


@pytest.fixture(scope="module")
def client(yard):
    with openai.OpenAI(base_url=yard.base_url, api_key=new_key(yard)["key"], max_retries=0) as opened:
        yield opened


def test_speech_comes_as_sound(client, upstream):
    answer = client.audio.speech.create(model="echo", voice="alloy", input="hello there", response_format="wav")
    assert answer.response.headers["content-type"] == "audio/wav"
    assert answer.content.startswith(b"RIFF")
    assert upstream.state()["requests"][-1]["path"] == "/v1/audio/speech"


def test_speech_is_streamed_as_it_comes(client):
    with client.audio.speech.with_streaming_response.create(
        model="slow-body", voice="alloy", input="one two three four"
    ) as answer:
        assert answer.status_code == 200
        assert sum(len(part) for part in answer.iter_bytes()) > 1000


def test_a_recording_is_written_down_and_the_model_is_named_in_the_backends_words(client, upstream, yard):
    sound = ("talk.wav", SOUND, "audio/wav")
    assert client.audio.transcriptions.create(model="echo", file=sound).text
    assert client.audio.transcriptions.create(model="voice", file=sound).text
    seen = upstream.state()["requests"][-1]
    assert 'name="model"' in seen["body"]
    assert "echo" in seen["body"]
    assert "voice" not in seen["body"]
    with yard.client(client.api_key) as plain:
        answer = plain.post("/v1/audio/translations", data={"model": "echo"}, files={"file": sound})
        assert answer.json()["text"]


def test_pictures_moderations_and_rankings(client, yard):
    assert client.images.generate(model="echo", prompt="a cat").data
    assert client.moderations.create(model="echo", input="hello").results
    with yard.client(client.api_key) as plain:
        ranked = plain.post("/v1/rerank", json={"model": "echo", "query": "cat", "documents": ["a cat", "a dog"]})
        assert ranked.status_code == 200, ranked.text
        assert len(ranked.json()["results"]) == 2


def test_each_of_them_is_in_the_books(yard):
    assert until(
        lambda: {"speech", "transcriptions", "images", "moderations", "rerank"} <= set(yard.usage("operation"))
    )
    assert yard.usage("operation")["speech"]["errors"] == 0


def test_a_preset_loses_its_prompt_and_says_so(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="voice", prompt="a cat", extra_headers={"x-modelyard-strict": "true"})
    assert caught.value.param == "system"


def test_a_backend_without_it_is_not_asked(yard, engine, client):
    yard.connect("box", engine.base_url, flavour="llama.cpp")
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="tiny-llama", prompt="a cat")
    assert "/v1/images/generations" in caught.value.message


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--x'),
        ("multipart/form-data; boundary=" + "y" * 200, b"--y--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\necho\r\n' * 2 + b"--x--\r\n",
        ),
    ],
)
def test_broken_forms(yard, client, content_type, body):
    with yard.client(client.api_key) as plain:
        answer = plain.post("/v1/audio/transcriptions", content=body, headers={"content-type": content_type})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_sound_that_is_cut_short_does_not_end_well(yard, cut_short, client):
    yard.connect("cut", cut_short.base_url, model_ids=["cut-sound"])
    with yard.client(client.api_key) as plain, pytest.raises(httpx2.RemoteProtocolError):
        plain.post("/v1/audio/speech", json={"model": "cut-sound", "input": "x", "voice": "alloy"})
