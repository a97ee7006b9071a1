"""Embeddings between the OpenAI and the Ollama dialect."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from modelyard.canonical.chat import MAX_PARTS, Controls, OutputFormat, Reasoning
from modelyard.canonical.embeddings import EmbeddingReply, EmbeddingRequest
from modelyard.canonical.snapshot import Accent
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Asker, EmbeddingTranslation, Recipient
from modelyard.dialects.ollama.embeddings import EMBED
from modelyard.dialects.ollama.embeddings import EMBEDDINGS as OLLAMA_EMBEDDINGS
from modelyard.dialects.openai.embeddings import EMBEDDINGS as OPENAI
from tests.unit.make import json_bytes, object_of, target

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"
ALL = (OPENAI, EMBED, OLLAMA_EMBEDDINGS)
TO = Recipient(target(upstream="up"), None)


def fields(**values: Any) -> raw.Fields:
    return raw.split(json.dumps(values).encode())


def asker(**values: Any) -> Asker:
    return Asker("id1", "ours", 1_790_000_000, fields(**values))


def recorded(case: str) -> bytes:
    return str(json.loads((CORPUS / f"{case}.json").read_text())["body"]).encode()


def written(translation: EmbeddingTranslation, request: EmbeddingRequest, to: Recipient = TO) -> tuple[Any, list[str]]:
    body, losses = translation.write_request(request, to)
    return json.loads(body), losses


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1, 2], [3]], [[1, 2], [3]]), ("", [""]),
        (list(range(MAX_PARTS + 5)), [list(range(MAX_PARTS + 5))]),
    ],
)  # fmt: skip
def test_inputs_of_openai_callers(given_input: Any, inputs: Any):
    request = OPENAI.read_request(
        fields(model="m", input=given_input, encoding_format="base64", dimensions=8, user="u", x=1)
    )
    assert (request.inputs, request.dimensions) == (inputs, 8)
    assert (request.controls.params, request.unread) == ({"user": "u"}, ["x"])


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({}, "input"), ({"input": []}, "input"), ({"input": 3}, "input"), ({"input": ["a", 1]}, "input"),
        ({"input": [[1], []]}, "input"), ({"input": [True]}, "input"), ({"input": [["a"]]}, "input"),
        ({"input": None}, "input"), ({"input": ["a"] * (MAX_PARTS + 1)}, "input"),
        ({"input": "a", "dimensions": "8"}, "dimensions"), ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"), ({"input": "a", "user": 3}, "user"),
    ],
)  # fmt: skip
def test_wrong_requests_of_openai_callers(values: dict[str, Any], param: str):
    with pytest.raises(Problem) as caught:
        OPENAI.read_request(fields(**values))
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, param)


def test_requests_of_ollama_callers():
    request = EMBED.read_request(
        fields(input=["a", "b"], dimensions=4, truncate=False, keep_alive="5m", options={"num_ctx": 9, "odd": 1})
    )
    assert (request.inputs, request.dimensions, request.unread) == (["a", "b"], 4, ["options.odd"])
    assert request.controls.params == {"truncate": False, "keep_alive": "5m", "num_ctx": 9}
    assert EMBED.read_request(fields(input="a", dimensions=0)).dimensions is None
    request = OLLAMA_EMBEDDINGS.read_request(fields(prompt="a", dimensions=4))
    assert (request.inputs, request.dimensions, request.unread) == (["a"], None, ["dimensions"])
    for translation in (EMBED, OLLAMA_EMBEDDINGS):
        for values in ({}, {"input": [], "prompt": ""}, {"input": 3, "prompt": 3}, {"input": [1], "prompt": ["a"]}):
            with pytest.raises(Problem) as caught:
                translation.read_request(fields(**values))
            assert caught.value.kind is Kind.INVALID_REQUEST


def test_requests_for_openai_targets():
    params = {"user": "u", "keep_alive": "5m", "temperature": 0.5, "n": 1}
    request = EmbeddingRequest(
        inputs=["a", [1, 2]],
        dimensions=4,
        controls=Controls(params=params, output=OutputFormat(), reasoning=Reasoning()),
    )
    body, losses = written(OPENAI, request)
    assert body == {"model": "up", "input": ["a", [1, 2]], "dimensions": 4, "user": "u"}
    assert losses == ["keep_alive", "temperature", "response_format", "reasoning_effort"]
    accent = Accent(
        dialect="openai", paths={}, translate={}, refuses=frozenset({"user"}), renames={"dimensions": "size"}
    )
    body, losses = written(OPENAI, request, Recipient(target(upstream="up", accent=accent), None))
    assert body == {"model": "up", "input": ["a", [1, 2]], "size": 4}
    assert losses[-1] == "user"


def test_requests_for_ollama_targets():
    params = {"user": "u", "keep_alive": "300", "num_ctx": 5, "temperature": 0.5}
    request = EmbeddingRequest(inputs=["a"], dimensions=4, controls=Controls(params=params, extras={"numa": True}))
    body, losses = written(EMBED, request)
    assert body == {
        "model": "up", "input": ["a"], "dimensions": 4, "keep_alive": 300, "options": {"num_ctx": 5, "numa": True},
    }  # fmt: skip
    assert losses == ["user", "temperature"]
    body, losses = written(OLLAMA_EMBEDDINGS, request)
    assert (body["prompt"], losses) == ("a", ["dimensions", "user", "temperature"])
    for translation, inputs in ((EMBED, ["a", [1]]), (OLLAMA_EMBEDDINGS, ["a", "b"])):
        with pytest.raises(Problem) as caught:
            translation.write_request(EmbeddingRequest(inputs=inputs, controls=Controls()), TO)
        assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, "input")


def test_a_presets_dimensions_are_laid_under():
    for translation in (OPENAI, EMBED):
        for own, expected in ((None, 16), (4, 4)):
            request = EmbeddingRequest(inputs=["a"], dimensions=own, controls=Controls(extras={"dimensions": 16}))
            body, losses = written(translation, request)
            assert (body["dimensions"], losses) == (expected, [])
            assert "options" not in body


def test_vectors_keep_their_bytes_from_ollama_to_openai():
    reply = EMBED.read_reply(recorded("embed-batch"))
    assert (len(reply.vectors), reply.usage, reply.model) == (2, Usage(input=31), "embedder")
    response = CreateEmbeddingResponse.model_validate_json(OPENAI.write_reply(reply, asker()))
    told = json.loads(recorded("embed-batch"))["embeddings"]
    assert [item.embedding for item in response.data] == told
    assert [item.index for item in response.data] == [0, 1]
    assert (response.model, response.usage.prompt_tokens, response.usage.total_tokens) == ("ours", 31, 31)
    assert bytes(reply.vectors[0]) in OPENAI.write_reply(reply, asker(encoding_format="float"))


def test_base64_is_what_the_client_decodes():
    reply = EmbeddingReply(vectors=[raw.Raw(b"[1, -0.5,2.5e-3]")])
    (item,) = json.loads(OPENAI.write_reply(reply, asker(encoding_format="base64")))["data"]
    assert struct.unpack("<3f", base64.b64decode(item["embedding"])) == pytest.approx((1.0, -0.5, 0.0025))
    for bad in (b'["x"]', b"[1e300]", b"[null]", b"[[]]"):
        with pytest.raises(Problem) as caught:
            OPENAI.write_reply(EmbeddingReply(vectors=[raw.Raw(bad)]), asker(encoding_format="base64"))
        assert caught.value.kind is Kind.UPSTREAM_FAILED


def test_replies_of_openai_targets_are_sorted_and_decoded():
    encoded = base64.b64encode(struct.pack("<2f", 1.5, -2.0)).decode()
    body = {
        "data": [{"index": 1, "embedding": [0.10]}, {"index": 0, "embedding": encoded}], "model": "up",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }  # fmt: skip
    reply = OPENAI.read_reply(json.dumps(body).encode())
    assert reply == EmbeddingReply(
        vectors=[raw.Raw(b"[1.5,-2.0]"), raw.Raw(b"[0.1]")], usage=Usage(input=3), model="up"
    )
    response = ollama.EmbedResponse(**json.loads(EMBED.write_reply(reply, asker())))
    assert (response.model, response.embeddings, response.prompt_eval_count) == ("ours", [[1.5, -2.0], [0.1]], 3)
    one = ollama.EmbeddingsResponse(**json.loads(OLLAMA_EMBEDDINGS.write_reply(reply, asker())))
    assert one.embedding == [1.5, -2.0]
    assert OPENAI.read_reply(b'{"data":[{"embedding":[1]},{"embedding":[2]}]}').vectors == [
        raw.Raw(b"[1]"),
        raw.Raw(b"[2]"),
    ]
    assert OPENAI.read_reply(b'{"data":[],"usage":{"total_tokens":1e300}}').usage == Usage(input=2**40)


def test_the_older_answer_of_ollama_is_read():
    reply = OLLAMA_EMBEDDINGS.read_reply(recorded("embeddings"))
    assert (len(reply.vectors), reply.usage) == (1, None)
    assert json.loads(OLLAMA_EMBEDDINGS.write_reply(reply, asker())) == json.loads(recorded("embeddings"))
    assert EMBED.read_reply(recorded("embed-empty-string")).vectors == []


@pytest.mark.parametrize("translation", ALL)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error":"it broke"}', b'{"data":[{}],"embeddings":[3]}',
             b'{"data":[{"embedding":"%%"}],"embedding":"x"}', b'{"data":3,"embeddings":3}', b"[" * 5000],
)  # fmt: skip
def test_answers_that_are_none(translation: EmbeddingTranslation, body: bytes):
    with pytest.raises(Problem) as caught:
        translation.read_reply(body)
    assert caught.value.kind is Kind.UPSTREAM_FAILED


FIELDS = ("input", "prompt", "dimensions", "encoding_format", "user", "options", "keep_alive", "error", "data")


@given(object_of(*FIELDS), json_bytes)
def test_whatever_the_bytes_there_is_a_value_or_a_problem(body: bytes, odd: bytes):
    asked: set[Kind] = set()
    answered: set[Kind] = set()
    bodies = [body, b'{"data":[{"embedding":%b,"index":%b}],"embeddings":[%b],"embedding":%b}' % (odd, b"0", odd, odd)]
    for translation in ALL:
        try:
            request = translation.read_request(raw.split(body))
            for to in ALL:
                to.write_request(request, TO)
        except raw.NotJson:
            pass
        except Problem as problem:
            asked.add(problem.kind)
        for answer in bodies:
            try:
                reply = translation.read_reply(answer)
                for to in ALL:
                    to.write_reply(reply, asker(encoding_format="base64"))
            except Problem as problem:
                answered.add(problem.kind)
    assert asked <= {Kind.INVALID_REQUEST}
    assert answered <= {Kind.UPSTREAM_FAILED}


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_base64_loses_nothing(vector: list[float]):
    reply = EmbeddingReply(vectors=[raw.raw_of(vector)])
    body = OPENAI.write_reply(reply, asker(encoding_format="base64"))
    assert json.loads(bytes(OPENAI.read_reply(body).vectors[0])) == vector
