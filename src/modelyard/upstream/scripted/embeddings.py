"""Embeddings, in OpenAI's form and in both of Ollama's."""

import base64
import hashlib
import struct
from typing import Any

import msgspec

from modelyard.upstream.scripted import chat, ollama
from modelyard.upstream.scripted.answers import words
from modelyard.upstream.scripted.asked import Asked
from modelyard.upstream.scripted.form import FAILED, Answer, Call, Fault, Form, Reply, encode

VECTOR = 64
MOST_DIMENSIONS = 4096


def vector(value: object, dimensions: int) -> list[float]:
    """A vector of length 1 that depends on nothing but the value."""
    raw = hashlib.shake_256(msgspec.json.encode(value)).digest(2 * dimensions)
    numbers = [number / 32768 for number in struct.unpack(f"<{dimensions}h", raw)]
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    # As 32-bit floats, so that both encoding formats say the same.
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in numbers))))


def _dimensions(body: dict[str, Any]) -> int:
    wanted = body.get("dimensions")
    return wanted if isinstance(wanted, int) and 0 < wanted <= MOST_DIMENSIONS else VECTOR


def _tokens(value: object) -> int:
    return len(words(value)) if isinstance(value, str) else len(value) if isinstance(value, list) else 0


def _openai(call: Call, _answer: Answer) -> Reply:
    given, dimensions = call.body.get("input"), _dimensions(call.body)
    tokens = isinstance(given, list) and bool(given) and isinstance(given[0], int)
    inputs = given if isinstance(given, list) and not tokens else [given]
    data: list[dict[str, Any]] = []
    for index, value in enumerate(inputs):
        numbers = vector(value, dimensions)
        as_text = call.body.get("encoding_format") == "base64"
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode() if as_text else numbers
        data.append({"object": "embedding", "index": index, "embedding": packed})
    count = sum(_tokens(value) for value in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return Reply(200, encode({"object": "list", "data": data, "model": call.model, "usage": usage}))


def _ollama(call: Call, _answer: Answer) -> Reply:
    given, dimensions = call.body.get("input"), _dimensions(call.body)
    inputs = given if isinstance(given, list) else [given] if given else []
    told = {
        "model": call.model,
        "embeddings": [vector(value, dimensions) for value in inputs],
        "total_duration": 14_143_917,
        "load_duration": 1_019_500,
        "prompt_eval_count": sum(_tokens(value) for value in inputs),
    }
    return Reply(200, encode(told))


def _ollama_single(call: Call, _answer: Answer) -> Reply:
    prompt = call.body.get("prompt")
    return Reply(200, encode({"embedding": vector(prompt, _dimensions(call.body)) if prompt else []}))


def _read(_body: dict[str, Any]) -> Asked:
    return Asked()


def _failed(_call: Call) -> bytes:
    return chat.error(FAILED)


def wordless(name: str, whole: Any, error: Any = chat.error, fault: Any = _failed, **more: Any) -> Form:
    """The form of an operation for which the script has no words."""
    return Form(name=name, read=_read, whole=whole, error=error, fault=fault, speaks=False, **more)


def _refuse_input(body: dict[str, Any], _headers: object) -> Fault | None:
    if isinstance(body.get("input"), str | list):
        return None
    return Fault(status=400, message="invalid input type")


EMBEDDINGS = wordless("openai.embeddings", _openai)
EMBED = wordless("ollama.embed", _ollama, ollama.error, ollama.fault, wrong=_refuse_input)
OLLAMA_EMBEDDINGS = wordless("ollama.embeddings", _ollama_single, ollama.error, ollama.fault)
