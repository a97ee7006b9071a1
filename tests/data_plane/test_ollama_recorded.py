"""What a real Ollama answered (tests/corpus/ollama), replayed: every caller gets the same, in its own dialect."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.servers import PATIENCE
from tests.yard import run_yard

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"
QUESTION = [{"role": "user", "content": "Hi"}]
STATUSES = {400: 400, 403: 502, 404: 404, 500: 502, 501: 502, 503: 503}  # Ollama's, and what callers get for it
OVERLOADED = 529  # Anthropic's 503
LEAST_OF_EACH = {"/api/chat": 90, "/api/generate": 20, "/api/embed": 15, "/api/embeddings": 4}


@dataclass
class Said:
    """What an answer says, whatever its dialect. `broken` is one that began and did not come to its end."""

    words: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""
    usage: tuple[int, int] = (0, 0)
    vectors: list[list[float]] = field(default_factory=list)
    broken: bool = False
    status: int = 200
    error: str = ""


@dataclass(frozen=True)
class Recorded:
    """One exchange: its case is the name by which its answer is called up."""

    case: str
    path: str
    streams: bool
    status: int
    content_type: str
    body: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.split("\n") if line]


def _recordings() -> Iterator[Recorded]:
    for file in sorted(CORPUS.glob("*.json")):
        told = json.loads(file.read_text())
        asked, path, kind = told["request"], told["request"]["path"], told["content_type"] or ""
        if path not in LEAST_OF_EACH or "json" not in kind or '"_debug_info"' in told["body"]:
            continue
        body = asked["body"] if isinstance(asked["body"], dict) else {}
        streams = path in ("/api/chat", "/api/generate") and body.get("stream") is not False
        yield Recorded(told["case"], path, streams, told["status"], kind, told["body"])


EVERY = list(_recordings())
ALONE = [one for one in EVERY if '"done_reason":"load"' in one.body or '"done_reason":"unload"' in one.body]


def _of(path: str) -> list[Any]:
    return [pytest.param(one, id=one.case) for one in EVERY if one.path == path and one not in ALONE]


def expected(recorded: Recorded) -> Said:
    """The recording's own account."""
    lines = recorded.lines
    if recorded.status != 200:
        told = lines[0]["error"]
        inner = json.loads(told)["error"]["message"] if told.startswith("{") else told
        # Wrong options are the caller's mistake, whatever status Ollama gives them.
        theirs = re.match(r'option "[^"]*" must be |invalid format: ', inner)
        return Said(status=400 if theirs else STATUSES[recorded.status], error=inner)
    if "embeddings" in lines[0] or "embedding" in lines[0]:
        vectors = lines[0]["embeddings"] if "embeddings" in lines[0] else [lines[0]["embedding"]]
        return Said(vectors=[vector for vector in vectors if vector], usage=(lines[0].get("prompt_eval_count", 0), 0))
    said = Said()
    for line in lines:
        if "error" in line:
            return Said(words=said.words, broken=True, error=line["error"])
        part = line.get("message") or {**line, "content": line["response"]}
        said.words += part["content"]
        said.thinking += part.get("thinking", "")
        said.calls += [(call["function"]["name"], call["function"]["arguments"]) for call in part.get("tool_calls", ())]
    last = lines[-1]
    if not last["done"]:
        return Said(words=said.words, broken=True)
    said.finish = "tool_calls" if said.calls and last["done_reason"] == "stop" else last["done_reason"]
    said.usage = (last.get("prompt_eval_count", 0), last.get("eval_count", 0))
    return said


@contextmanager
def replay() -> Iterator[str]:
    """An Ollama whose models are the cases. It answers only at the path where the recording was made."""
    cases = {one.case: one for one in EVERY}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one write

        def do_GET(self) -> None:
            rows = [{"name": f"{case}:latest", "model": f"{case}:latest"} for case in cases]
            self._answer(200, "application/json; charset=utf-8", json.dumps({"models": rows}))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            one = cases[asked["model"].removesuffix(":latest")]
            if self.path == one.path and asked.get("stream", one.streams) == one.streams:
                self._answer(one.status, one.content_type, one.body)
            else:
                self._answer(418, "text/plain", f"{self.path} was asked, {one} is recorded")

        def _answer(self, status: int, kind: str, body: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


class Callers:
    """One client of each dialect; each method makes one call and tells what came back."""

    def __init__(self, url: str, key: str) -> None:
        self._openai = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
        self._anthropic = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self._ollama = httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE)

    def close(self) -> None:
        self._openai.close()
        self._anthropic.close()
        self._ollama.close()

    def openai_chat(self, one: Recorded) -> Said:
        said = Said()
        form: dict[str, Any] = {"model": one.case, "messages": QUESTION}
        try:
            if not one.streams:
                answer = self._openai.chat.completions.create(**form)
                message = answer.choices[0].message
                said.words, said.thinking = message.content or "", getattr(message, "reasoning_content", None) or ""
                functions = [call.function for call in message.tool_calls or ()]
                said.calls = [(function.name, json.loads(function.arguments)) for function in functions]
                said.finish = answer.choices[0].finish_reason
                said.usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
                return said
            pieces: dict[int, list[str]] = {}
            for chunk in self._openai.chat.completions.create(
                **form, stream=True, stream_options={"include_usage": True}
            ):
                if chunk.usage is not None:
                    said.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                for choice in chunk.choices:
                    said.words += choice.delta.content or ""
                    said.thinking += getattr(choice.delta, "reasoning_content", None) or ""
                    for call in choice.delta.tool_calls or ():
                        pieces.setdefault(call.index, [call.function.name or "", ""])[1] += (
                            call.function.arguments or ""
                        )
                    said.finish = choice.finish_reason or said.finish
            said.calls = [(name, json.loads(arguments)) for name, arguments in pieces.values()]
        except openai.APIError as error:
            return _failed(error, said)
        return said

    def openai_completions(self, one: Recorded) -> Said:
        said = Said()
        try:
            if not one.streams:
                answer = self._openai.completions.create(model=one.case, prompt="Hi")
                usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
                return Said(answer.choices[0].text, finish=answer.choices[0].finish_reason, usage=usage)
            form: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
            for chunk in self._openai.completions.create(model=one.case, prompt="Hi", **form):
                if chunk.usage is not None:
                    said.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                for choice in chunk.choices:
                    said.words += choice.text
                    said.finish = choice.finish_reason or said.finish
        except openai.APIError as error:
            return _failed(error, said)
        return said

    def openai_embeddings(self, one: Recorded) -> Said:
        try:
            answer = self._openai.embeddings.create(model=one.case, input=["Hi"] * (len(expected(one).vectors) or 1))
        except openai.APIError as error:
            return _failed(error, Said())
        return Said(vectors=[row.embedding for row in answer.data], usage=(answer.usage.prompt_tokens, 0))

    def anthropic_messages(self, one: Recorded) -> Said:
        said = Said()
        form: dict[str, Any] = {"model": one.case, "messages": QUESTION, "max_tokens": 1000}
        try:
            if one.streams:
                with self._anthropic.messages.stream(**form) as stream:
                    for text in stream.text_stream:
                        said.words += text
                    answer = stream.get_final_message()
            else:
                answer = self._anthropic.messages.create(**form)
        except anthropic.APIError as error:
            return _failed(error, said)
        blocks = answer.content
        said.words = "".join(block.text for block in blocks if block.type == "text")
        said.thinking = "".join(block.thinking for block in blocks if block.type == "thinking")
        said.calls = [(block.name, block.input) for block in blocks if block.type == "tool_use"]
        words = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
        said.finish, said.usage = words[answer.stop_reason], (answer.usage.input_tokens, answer.usage.output_tokens)
        return said

    def ollama_call(self, one: Recorded) -> Said:
        """With the recording's own shape: its lines are read by the same account."""
        given = {"chat": {"messages": QUESTION}, "embed": {"input": "Hi"}}
        body = {"model": one.case, **given.get(one.path.removeprefix("/api/"), {"prompt": "Hi"})}
        if not one.streams and "embed" not in one.path:
            body["stream"] = False
        answer = self._ollama.post(one.path, json=body)
        if answer.status_code != 200:
            return Said(status=answer.status_code, error=answer.json()["error"])
        return expected(Recorded(one.case, one.path, one.streams, 200, "", answer.text))


def _failed(error: Any, said: Said) -> Said:
    """A refusal, or the end of an answer that had begun."""
    status = getattr(error, "status_code", 200)
    told = error.body.get("error", error.body) if isinstance(error.body, dict) else {}
    status = 503 if status == OVERLOADED else status
    return Said(words=said.words, broken=status == 200, status=status, error=told.get("message", ""))


@pytest.fixture(scope="module")
def callers(tmp_path_factory):
    with (
        replay() as url,
        run_yard(tmp_path_factory.mktemp("recorded") / "data", {"OLLAMA_BASE_URL": url}) as yard,
    ):
        callers = Callers(yard.url, yard.make_key())
        yield callers
        callers.close()


def agree(got: Said, wanted: Said, one: Recorded) -> None:
    """The same answer; of one that failed the status, the words up to then, and Ollama's own reason."""
    if wanted.broken and not one.streams:
        assert got.status == 502, got
    elif wanted.broken or wanted.error:
        assert (got.status, got.broken, got.words) == (wanted.status, wanted.broken, wanted.words)
        assert got.error and (one.status == 403 or wanted.error in got.error), got.error
    else:
        assert [pytest.approx(vector, abs=1e-6) for vector in wanted.vectors] == got.vectors
        got.vectors = wanted.vectors
        assert got == wanted


def test_the_corpus_is_all_there():
    for path, least in LEAST_OF_EACH.items():
        assert len([one for one in EVERY if one.path == path]) >= least, path


CHAT_CALLERS = [Callers.openai_chat, Callers.anthropic_messages, Callers.ollama_call]
Call = Callable[[Callers, Recorded], Said]


@pytest.mark.parametrize("one", _of("/api/chat"))
@pytest.mark.parametrize("call", CHAT_CALLERS, ids=lambda call: call.__name__)
def test_a_chat_says_the_same_to_every_caller(callers: Callers, call: Call, one: Recorded):
    agree(call(callers, one), expected(one), one)


@pytest.mark.parametrize("one", _of("/api/generate"))
@pytest.mark.parametrize("call", [Callers.openai_completions, Callers.ollama_call], ids=lambda call: call.__name__)
def test_a_bare_prompt_too(callers: Callers, call: Call, one: Recorded):
    wanted = expected(one)
    if call is Callers.openai_completions:
        wanted.thinking = ""  # has no place there
    agree(call(callers, one), wanted, one)


@pytest.mark.parametrize("one", _of("/api/embed"))
def test_vectors_pass(callers: Callers, one: Recorded):
    agree(callers.ollama_call(one), expected(one), one)


# Without a text there is no vector; an OpenAI caller must send one.
@pytest.mark.parametrize("one", [one for one in _of("/api/embed") if '"embeddings":[]' not in one.values[0].body])
def test_vectors_are_the_same(callers: Callers, one: Recorded):
    agree(callers.openai_embeddings(one), expected(one), one)


@pytest.mark.parametrize("one", _of("/api/embeddings"))
def test_vectors_of_the_older_operation_pass(callers: Callers, one: Recorded):
    agree(callers.ollama_call(one), expected(one), one)


@pytest.mark.parametrize("one", [pytest.param(one, id=one.case) for one in ALONE])
def test_loading_and_unloading_pass(callers: Callers, one: Recorded):
    answer = callers.ollama_call(one)
    assert (answer.words, answer.finish, answer.status) == ("", one.lines[0]["done_reason"], 200)
