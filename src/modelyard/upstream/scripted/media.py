"""OpenAI's smaller operations: speech, transcriptions, pictures, moderations; and reranking as Jina and vLLM have it."""

import base64
import hashlib
import struct
import zlib
from typing import Any

from modelyard.upstream.scripted import chat
from modelyard.upstream.scripted.answers import words
from modelyard.upstream.scripted.asked import Asked, field, number, objects, strings, text_of
from modelyard.upstream.scripted.embeddings import wordless
from modelyard.upstream.scripted.form import FAILED, Answer, Call, Form, Kind, Reply, encode

AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
AUDIO_BYTES_PER_WORD = 1000
MOST_AUDIO_BYTES = 10_000_000
CATEGORIES = [
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
]
HEARD = "what was heard"


def _speech(call: Call, _answer: Answer) -> Reply:
    """Audio for the text: a header, and noise that depends on nothing but the text."""
    text, wanted = text_of(call.body.get("input")), str(call.body.get("response_format") or "mp3")
    size = min(max(1, len(words(text))) * AUDIO_BYTES_PER_WORD, MOST_AUDIO_BYTES)
    noise = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(size)
    head = {"wav": _wav_head(size), "flac": b"fLaC", "opus": b"OggS", "aac": b"\xff\xf1", "pcm": b""}.get(
        wanted, b"ID3\x04\x00\x00\x00\x00\x00\x00"
    )
    return Reply(200, head + noise, AUDIO_TYPES.get(wanted, "application/octet-stream"))


def _wav_head(size: int) -> bytes:
    """16 bits, mono, 24 kHz."""
    shape = struct.pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16)
    return b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + shape + b"data" + struct.pack("<I", size)


def _read_audio(body: dict[str, Any]) -> Asked:
    asked, file = Asked(), body.get("file")
    if isinstance(file, dict):
        asked.audio.append(file)
    asked.add("user", text_of(body.get("prompt")) or HEARD)
    return asked


def _transcription(call: Call, answer: Answer) -> Reply:
    text, wanted = answer.text(Kind.TEXT, Kind.TOOL, Kind.REFUSAL), call.body.get("response_format")
    if wanted in ("text", "srt", "vtt"):
        line = f"00:00:00,000 --> 00:00:01,500\n{text}\n"
        whole = {"srt": f"1\n{line}", "vtt": f"WEBVTT\n\n{line.replace(',', '.')}"}.get(str(wanted), f"{text}\n")
        return Reply(200, whole.encode(), "text/plain; charset=utf-8")
    if wanted == "verbose_json":
        segment = {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": 1.5,
            "text": text,
            "tokens": [1],
            "temperature": 0.0,
            "avg_logprob": -0.25,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
        }
        told = {"task": "transcribe", "language": "english", "duration": 1.5, "text": text, "segments": [segment]}
        return Reply(200, encode({**told, "usage": {"type": "duration", "seconds": 2}}))
    usage = answer.usage
    total = {"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.input + usage.output}
    details = {"audio_tokens": usage.input, "text_tokens": 0}
    return Reply(200, encode({"text": text, "usage": {"type": "tokens", **total, "input_token_details": details}}))


def _png(seed: str) -> bytes:
    """A picture of one pixel, whose colour depends on the text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = hashlib.shake_256(seed.encode("utf-8", "surrogatepass")).digest(3)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


def _images(call: Call, _answer: Answer) -> Reply:
    prompt = text_of(call.body.get("prompt"))
    wanted = call.body.get("n")
    count = int(wanted) if isinstance(wanted, int | str) and str(wanted).isdecimal() else 1
    data = []
    for index in range(min(max(count, 1), 10)):
        if call.body.get("response_format") == "url":
            data.append({"url": f"https://example.com/{call.identifier}-{index}.png", "revised_prompt": prompt})
        else:
            data.append({"b64_json": base64.b64encode(_png(f"{prompt} {index}")).decode()})
    before, after = len(words(prompt)), 100 * len(data)
    usage = {
        "input_tokens": before,
        "input_tokens_details": {"text_tokens": before, "image_tokens": 0},
        "output_tokens": after,
        "total_tokens": before + after,
    }
    return Reply(200, encode({"created": call.created, "data": data, "usage": usage}))


def _moderation(text: str) -> dict[str, Any]:
    """`kill` is violence, as everybody knows."""
    scores = dict.fromkeys(CATEGORIES, 0.0001)
    if "kill" in text.lower():
        scores["violence"] = 0.98
    return {
        "flagged": max(scores.values()) > 0.5,
        "categories": {name: score > 0.5 for name, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }


def _moderations(call: Call, _answer: Answer) -> Reply:
    given = call.body.get("input")
    parts = bool(objects(given))  # typed parts are one input
    inputs = [text_of(given)] if parts or isinstance(given, str) else strings(given)
    results = [_moderation(text) for text in inputs]
    return Reply(200, encode({"id": f"modr-{call.identifier}", "model": call.model, "results": results}))


def _rerank(call: Call, _answer: Answer) -> Reply:
    """A document's score is the share of the query's words that it has."""
    query = set(str(call.body.get("query", "")).lower().split())
    given = call.body.get("documents")
    documents = [text_of(one if isinstance(one, str) else field(one, "text")) for one in given or []]
    results: list[dict[str, Any]] = []
    for index, text in enumerate(documents):
        found = query & set(text.lower().split())
        results.append({"index": index, "relevance_score": round(len(found) / max(1, len(query)), 4)})
        if call.body.get("return_documents"):
            results[-1]["document"] = {"text": text}
    results.sort(key=lambda result: -result["relevance_score"])
    tokens = sum(len(words(text)) for text in [*documents, " ".join(query)])
    told = {
        "id": f"rerank-{call.identifier}",
        "model": call.model,
        "results": results[: number(call.body.get("top_n"))],
    }
    return Reply(200, encode({**told, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}))


def _failed(_call: Call) -> bytes:
    return chat.error(FAILED)


def _heard(name: str) -> Form:
    return Form(name=name, read=_read_audio, whole=_transcription, error=chat.error, fault=_failed)


SPEECH = wordless("openai.speech", _speech)
TRANSCRIPTIONS = _heard("openai.transcriptions")
TRANSLATIONS = _heard("openai.translations")
IMAGES = wordless("openai.images", _images, default_model="echo")
IMAGE_EDITS = wordless("openai.image_edits", _images, default_model="echo")
MODERATIONS = wordless("openai.moderations", _moderations, default_model="echo")
RERANK = wordless("openai.rerank", _rerank)
