"""Going on from an earlier answer by its id, on a backend that remembers nothing (a real llama.cpp)."""

import openai
import pytest

from tests.data_plane.people import ANN, make_model, new_key, people_file
from tests.yard import run_yard

MODEL = "tiny-llama"


@pytest.fixture(scope="module")
def yard(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    with run_yard(folder / "data", people_file(folder / "yard.yaml")) as running:
        running.connect("box", engine.base_url, flavour="llama.cpp")
        make_model(running, "open", MODEL, access_control=None)
        make_model(running, MODEL, None, access_control=None)
        yield running


@pytest.fixture(scope="module")
def client(yard):
    with openai.OpenAI(base_url=yard.base_url, api_key=new_key(yard)["key"], max_retries=0) as opened:
        yield opened


def ask(client, text, **more):
    return client.responses.create(model=MODEL, input=text, max_output_tokens=5, **more)


def test_a_conversation_goes_on_by_id_whole_and_streamed(client):
    first = ask(client, "one", instructions="Be short.")
    second = ask(client, "two", previous_response_id=first.id)
    assert second.usage.input_tokens > first.usage.input_tokens
    third = list(ask(client, "three", previous_response_id=second.id, stream=True))[-1].response
    fourth = ask(client, "four", previous_response_id=third.id)
    assert fourth.usage.input_tokens > third.usage.input_tokens > second.usage.input_tokens


def test_an_answer_can_be_read_and_forgotten(client):
    made = ask(client, "one")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    client.responses.delete(made.id)
    for gone in (lambda: client.responses.retrieve(made.id), lambda: client.responses.delete(made.id)):
        with pytest.raises(openai.NotFoundError):
            gone()
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "two", previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


def test_nothing_is_kept_of_what_is_not_to_be_stored(client):
    made = ask(client, "one", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_another_persons_answer_is_not_there(yard, client):
    made = ask(client, "my secret")
    with openai.OpenAI(base_url=yard.base_url, api_key=new_key(yard, ANN)["key"], max_retries=0) as ann:
        with pytest.raises(openai.NotFoundError):
            ann.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            ann.responses.delete(made.id)
        with pytest.raises(openai.BadRequestError):
            ask(ann, "go on", previous_response_id=made.id)
    assert client.responses.retrieve(made.id).id == made.id


@pytest.mark.parametrize("given", ["", 5, [], {}, "\0", "resp_none", "x" * 5000])
def test_ids_that_lead_nowhere(client, given):
    with pytest.raises(openai.BadRequestError):
        ask(client, "one", extra_body={"previous_response_id": given})


def test_answers_outlive_the_process_and_expire(engine, tmp_path):
    environment = {"OPENAI_API_BASE_URL": engine.base_url}
    with run_yard(tmp_path / "data", environment) as yard:
        key = yard.make_key()
        with openai.OpenAI(base_url=yard.base_url, api_key=key) as client:
            made = ask(client, "one")
    with run_yard(tmp_path / "data", environment) as yard, openai.OpenAI(base_url=yard.base_url, api_key=key) as client:
        assert ask(client, "two", previous_response_id=made.id).output_text
    keeps_nothing = {**environment, "MODELYARD_RESPONSE_HOURS": "0"}
    with (
        run_yard(tmp_path / "data", keeps_nothing) as yard,
        openai.OpenAI(base_url=yard.base_url, api_key=key) as client,
    ):
        unkept = ask(client, "three")
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(unkept.id)
