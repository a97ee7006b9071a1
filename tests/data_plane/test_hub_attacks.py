"""Attacks on the translation hub: fetched addresses, stored answers, floods, hostile backends, prompts and keys that leak."""

import asyncio
import json
import socket
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from modelyard.canonical.chat import IMAGE, Media
from modelyard.canonical.endpoint import Endpoint
from modelyard.canonical.snapshot import Connection, Target
from modelyard.core.errors import Problem
from modelyard.core.raw import raw_of, split
from modelyard.dialects.dialect import Asker, Recipient
from modelyard.dialects.flavours import FLAVOURS
from modelyard.dialects.table import OPERATIONS
from modelyard.gateway.fetching import Fetcher, is_public
from modelyard.gateway.lanes import Translator
from modelyard.gateway.stored import StoredResponses
from modelyard.upstream.http1 import Http1Client
from tests.data_plane.canned import ANSWER, run_canned, streamed, whole
from tests.data_plane.people import ANN, CHAT, chat, expire, make_model, new_key, people_file
from tests.servers import PATIENCE
from tests.yard import run_yard

KEY = "sk-canary-upstream-4f1d9c0b7e"
PROMPT = "canary-prompt-of-a-preset"
MEGABYTE = 1_000_000
MESSAGES = [{"role": "user", "content": "x"}]
PIXELS = {"type": "image_url", "image_url": {"url": "http://192.168.7.7/secret.png"}}
CONSTANT = {"id": "resp_same", "object": "response", "status": "completed", "model": "r", "output": []}


def sse(event):
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def named(event):
    return b"event: " + event["type"].encode() + b"\n" + sse(event)


@contextmanager
def web(answer):
    """A little web server: `answer(path)` gives the bytes. Yields (port, paths asked for)."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection):
            with connection, suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536) or b"\r\n\r\n"
                path = head.split(b" ")[1].decode()
                seen.append(path)
                connection.sendall(answer(path))

        def run():
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()
        yield listener.getsockname()[1], seen


@pytest.fixture(scope="module")
def backend():
    told = f"bad key {KEY} sent"
    scripts = {
        "ok": whole(ANSWER),
        "same-id": whole(json.dumps(CONSTANT).encode()),
        "html": whole(b"<script>alert(1)</script>", content_type="text/html"),
        "svg": whole(b"<svg onload='alert(1)'/>", content_type="image/svg+xml"),
        "key-in-event": streamed(sse({"type": "delta"}), sse({"error": {"message": told}})),
        "key-in-error-event": streamed(named({"type": "error", "error": {"message": told}})),
        "key-in-line": streamed(json.dumps({"error": told}).encode() + b"\n", content_type="application/x-ndjson"),
    }
    with run_canned(scripts) as running:
        yield running


@pytest.fixture(scope="module")
def yard(backend, upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    environment = {
        "FALLBACK_MODEL": "fallback",
        "MODELYARD_MAX_BODY_BYTES": "1500000",
        **people_file(folder / "yard.yaml"),
    }
    with run_yard(folder / "data", environment) as running:
        root = backend.base_url.removesuffix("/v1")
        for flavour in ("compatible", "vllm", "llama.cpp", "lmstudio", "ollama", "anthropic"):
            kind, url = FLAVOURS[flavour].kind, root if FLAVOURS[flavour].kind != "openai" else backend.base_url
            names = list(backend.scripts)
            running.connect(flavour, url, kind, flavour=flavour, prefix_id=flavour, api_keys=[KEY], model_ids=names)
            for name in names:
                make_model(running, f"{flavour}.{name}", None, access_control=None)
        running.connect("scripted", upstream.base_url, flavour="openai", prefix_id="s")
        make_model(running, "fallback", "compatible.ok", access_control=None, params={"system": PROMPT})
        make_model(running, "speaker", "s.echo", access_control=None, params={"system": PROMPT})
        make_model(running, "without-backend", "gone", access_control=None)
        yield running


@pytest.fixture(scope="module")
def ann(yard):
    with yard.client(new_key(yard, ANN)["key"]) as opened:
        yield opened


def memory(yard, what="VmRSS"):
    """Bytes that the server's process holds now, or held at most (VmHWM)."""
    status = Path(f"/proc/{yard.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(what))


# Addresses.


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "100.100.100.200", "169.254.169.254", "198.18.0.1", "240.0.0.1", "224.0.0.1",
        "::", "::1", "::ffff:127.0.0.1", "2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b::7f00:1", "fd00:ec2::254",
        "fe80::1%eth0", "ff02::1",
        # Azure's and Oracle's metadata; IPv4 inside IPv6 in the other forms; site-local; NAT64 of one's own network.
        "168.63.129.16", "192.0.0.192", "::127.0.0.1", "::169.254.169.254", "::ffff:0:127.0.0.1", "fec0::1",
        "64:ff9b:1::7f00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_on_the_open_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.1", "0x7f.1", "2130706433", "017700000001", "0", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "user@127.0.0.1",
     "8.8.8.8\\@127.0.0.1", "127.0.0.1#@8.8.8.8", "127.0.0.1%00", "localhost", "localhost."],
)  # fmt: skip
def test_this_machine_is_not_fetched_from_however_it_is_spelled(ann, host):
    with web(lambda path: whole(b"\x89PNG", content_type="image/png")) as (port, seen):
        image = {"type": "image_url", "image_url": {"url": f"http://{host}:{port}/x"}}
        body = {"model": "lmstudio.ok", "messages": [{"role": "user", "content": [image]}]}
        answer = ann.post(CHAT, json=body)
    assert answer.status_code == 400
    assert not seen


@pytest.mark.parametrize("spelled", [("http:", "HTTP:"), ("http:", "\\u0068ttp:"), ('"url"', '"u\\u0072l"')])
def test_an_address_is_found_however_it_is_spelled(ann, backend, spelled):
    body = json.dumps({"model": "lmstudio.ok", "messages": [{"role": "user", "content": [PIXELS]}]}).replace(*spelled)
    before = len(backend.requests)
    assert ann.post(CHAT, content=body).status_code == 400
    assert len(backend.requests) == before


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp"])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
def test_a_local_backend_is_not_sent_to_private_addresses(ann, backend, flavour, path):
    """It stands in the operator's network and fetches whatever it is told: the callers' way around our guard."""
    image = {"type": "image", "source": {"type": "url", "url": PIXELS["image_url"]["url"]}}
    content = [PIXELS if path == CHAT else image]
    body = {"model": f"{flavour}.ok", "max_tokens": 5, "messages": [{"role": "user", "content": content}]}
    before = len(backend.requests)
    assert ann.post(path, json=body).status_code == 400
    assert len(backend.requests) == before


def media(*urls):
    return [Media(kind=IMAGE, url=url) for url in urls]


class Generous:
    """A client whose every answer is a picture of 19 MB."""

    status = 200

    async def send(self, *arguments, **more):
        return self

    def header(self, name):
        return "image/png"

    async def read(self, limit):
        return bytes(19 * MEGABYTE)

    def abort(self):
        pass


def test_what_one_request_makes_us_fetch_is_bounded_as_a_whole():
    wanted = media(*(f"http://127.0.0.1/{number}" for number in range(20)))
    with suppress(Problem):
        asyncio.run(Fetcher(Generous(), frozenset({"127.0.0.1"})).fill(wanted))
    assert sum(len(medium.data or "") for medium in wanted) < 100 * MEGABYTE


def test_long_addresses_do_not_stay_in_memory():
    async def fetch():
        client = Http1Client()
        fetcher = Fetcher(client, frozenset({"127.0.0.1"}))
        tracemalloc.start()
        try:
            for number in range(20):
                with suppress(Problem):
                    await fetcher.fill(media(f"http://127.0.0.1:1/{number}" + "x" * 500_000))
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            await client.close()

    assert asyncio.run(fetch()) < 4 * MEGABYTE


def test_slow_names_do_not_keep_others_from_being_looked_up(monkeypatch):
    looked_up = socket.getaddrinfo
    asked, known = threading.Event(), threading.Event()

    def slow(host, *arguments, **more):
        if str(host).endswith(".slow.example"):
            asked.set()
            known.wait(PATIENCE)
            raise socket.gaierror
        return looked_up(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def look_up_meanwhile():
        wanted = media(*(f"http://h{number}.slow.example/" for number in range(20)))
        filling = asyncio.create_task(Fetcher(Generous(), frozenset()).fill(wanted))
        while not asked.is_set():
            await asyncio.sleep(0.01)
        try:  # none of those ends before this one
            await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80), PATIENCE / 2)
        finally:
            known.set()
            with suppress(Problem):
                await filling

    asyncio.run(look_up_meanwhile())


# Stored answers.


def remember(client, model, text, **more):
    return client.post("/v1/responses", json={"model": model, "input": text, "max_output_tokens": 5, **more})


def test_an_answer_with_the_id_of_the_one_before_is_no_endless_history(yard, ann):
    """A backend that calls every answer the same: a turn that goes on from itself was read a thousand times."""
    text = [{"role": "user", "content": "x" * MEGABYTE}]
    before = memory(yard, "VmHWM")
    remember(ann, "vllm.same-id", text)
    for _ in range(2):
        remember(ann, "vllm.same-id", text, previous_response_id="resp_same")
    assert memory(yard, "VmHWM") - before < 200 * MEGABYTE


def junk(size=1_400_000):
    """Input that is kept, though no backend that is translated for ever sees it."""
    return [{"type": "junk", "pad": "x" * size}, *MESSAGES]


def test_a_history_is_not_larger_than_a_request_may_be(ann):
    previous = {}
    for _ in range(4):
        answer = remember(ann, "compatible.ok", junk(), **previous)
        if answer.status_code != 200:
            break
        previous = {"previous_response_id": answer.json()["id"]}
    assert answer.status_code in (400, 413)


def test_a_history_counts_for_the_limit_of_tokens(yard, ann):
    previous = remember(ann, "compatible.ok", "y" * MEGABYTE).json()["id"]
    with yard.client(new_key(yard, ANN, limits={"tpm": 1000})["key"]) as client:
        assert remember(client, "compatible.ok", "x", previous_response_id=previous).status_code == 429


class NoNul:
    """PostgreSQL takes no NUL in a text: a query with one fails, and the caller saw a bare 500."""

    async def answer(self, user_id, response_id, now):
        assert "\0" not in response_id

    async def forget(self, user_id, response_id):
        assert "\0" not in response_id
        return False


@pytest.mark.parametrize("does", ["read", "forget"])
def test_an_id_with_nul_never_reaches_the_database(does):
    with pytest.raises(Problem):
        asyncio.run(getattr(StoredResponses(NoNul(), 60, 1000), does)("someone", "resp\0"))


def test_a_key_that_ends_during_its_call_gives_its_place_back(tmp_path):
    begun, over = threading.Event(), threading.Event()

    def held(connection):
        begun.set()
        over.wait(PATIENCE)
        connection.sendall(streamed(delta(content="x"), delta("stop"), b"data: [DONE]\n\n"))

    with run_canned({"held": held, "ok": whole(ANSWER)}) as backend:
        environment = {"OPENAI_API_BASE_URL": backend.base_url, "MAX_CONCURRENT_REQUESTS": "1"}
        with run_yard(tmp_path / "data", environment) as yard:
            key = new_key(yard)
            with yard.client(key["key"]) as client, ThreadPoolExecutor(1) as pool:
                call = pool.submit(remember, client, "held", "x", stream=True)
                try:
                    assert begun.wait(PATIENCE)
                    expire(yard, key)
                finally:
                    over.set()
                answer = call.result()
                assert answer.status_code == 200
                assert "response.completed" in answer.text
            with yard.client(yard.make_key()) as another:
                assert another.post(CHAT, json=chat("ok")).status_code == 200


# Access, scope, prompts.


def test_a_dry_run_does_not_tell_the_prompt_of_the_fallback_model(ann):
    answer = ann.post(CHAT, json=chat("without-backend"), headers={"x-modelyard-dry-run": "true"})
    assert PROMPT not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_backend_that_repeats_its_instructions_does_not_tell_a_presets_prompt(ann, stream):
    answer = remember(ann, "speaker", "x", stream=stream)
    assert answer.status_code == 200
    assert PROMPT not in answer.text


def test_a_stored_answer_does_not_tell_a_presets_prompt(ann):
    made = remember(ann, "speaker", "x").json()["id"]
    assert PROMPT not in ann.get(f"/v1/responses/{made}").text


def test_the_scope_of_a_key_is_one_model_where_latest_is_another(yard):
    make_model(yard, "twin", "compatible.ok", access_control=None)
    make_model(yard, "twin:latest", "vllm.ok", access_control=None)
    with yard.client(yard.make_key(models=["twin"])) as client:
        assert client.post(CHAT, json=chat("twin")).status_code == 200
        assert client.post(CHAT, json=chat("twin:latest")).status_code in (403, 404)


FORMS = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "x"},
    "/v1/responses": {"input": "x"},
    "/v1/embeddings": {"input": "x"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 5},
    "/v1/messages/count_tokens": {"messages": MESSAGES},
    "/api/chat": {"messages": MESSAGES},
    "/api/generate": {"prompt": "x"},
    "/api/embed": {"input": "x"},
    "/api/embeddings": {"prompt": "x"},
    "/v1/audio/speech": {"input": "x", "voice": "y"},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/moderations": {"input": "x"},
}


@pytest.mark.parametrize("path", [*FORMS, "/ollama/api/chat", "/openai/chat/completions"])
def test_every_operation_counts_for_the_limit_of_calls(yard, path):
    form = FORMS.get(path, {"messages": MESSAGES})
    with yard.client(yard.make_key(limits={"rpm": 1})) as client:
        seen = [client.post(path, json={"model": "s.echo", "stream": False, **form}).status_code for _ in range(2)]
    assert seen == [200, 429]


def test_asking_what_is_loaded_does_not_multiply(yard, ann):
    """One small question of anybody's is a question to every backend: they are not asked anew each time."""
    with web(lambda path: whole(b'{"models":[]}')) as (port, seen):
        made = yard.connect("counted", f"http://127.0.0.1:{port}", "ollama")
        for _ in range(10):
            assert ann.get("/api/ps").status_code == 200
        yard.admin.delete(f"/api/v1/connections/{made['id']}")
        assert seen.count("/api/ps") <= 3


# Hostile backends.


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/images/generations"])
@pytest.mark.parametrize("script", ["key-in-event", "key-in-error-event", "key-in-line"])
def test_no_key_leaks_in_events_that_only_pass(ann, path, script):
    answer = ann.post(path, json={"model": f"compatible.{script}", "stream": True, **FORMS[path]})
    assert KEY not in answer.text


@pytest.mark.parametrize("script", ["html", "svg"])
def test_a_page_is_not_passed_as_one_that_a_browser_would_run(ann, script):
    headers = ann.post("/v1/audio/speech", json={"model": f"compatible.{script}", "input": "x", "voice": "y"}).headers
    assert headers.get("x-content-type-options") == "nosniff"
    assert headers["content-type"] == "application/octet-stream" or "sandbox" in headers["content-security-policy"]


def test_a_stream_in_place_of_embeddings_is_the_backends_fault(ann):
    answer = ann.post("/v1/embeddings", json={"model": "ollama.key-in-event", "input": "x", "stream": True})
    # It is no answer, so the fallback model was asked.
    assert answer.headers["x-modelyard-model"] == "fallback", answer.text


def delta(finish=None, **fields):
    return sse({"id": "x", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def piece(number=0, name=None, arguments=""):
    return delta(tool_calls=[{"index": number, "id": f"c{number}", "function": {"name": name, "arguments": arguments}}])


LONG = "x" * MEGABYTE
FLOODS = {
    "words while a call is open": (lambda: [piece(name="f"), *[delta(content=LONG)] * 70], "openai.chat"),
    "arguments of a call without a name": (lambda: [piece(arguments=LONG)] * 70, "openai.chat"),
    "calls with long names": (lambda: (piece(number, LONG) for number in range(70)), "anthropic.messages"),
    "an answer that is kept to its end": (lambda: [delta(content=LONG)] * 70, "openai.responses"),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_what_is_held_back_of_a_stream_is_bounded(flood):
    parts, caller = FLOODS[flood]
    writer = OPERATIONS[caller].chat.writer(Asker("call", "m", 1, {}))
    translator = Translator(OPERATIONS["openai.chat"].chat.reader(), writer)
    for part in parts():
        translator.feed(part)
        if translator.fault is not None:
            return
    pytest.fail("70 MB were held")


def effort(work):
    """What some work costs at least, in loops over a million numbers: the same on a fast, a slow and a busy machine."""

    def count():
        for _ in range(1_000_000):
            pass

    def seconds(work):
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(seconds(work) for _ in range(3)) / min(seconds(count) for _ in range(3))


def many_tools():
    yield named({"type": "message_start", "message": {"id": "m", "model": "m"}})
    for number in range(5000):
        block = {"type": "tool_use", "id": f"c{number}", "name": "f", "input": {}}
        yield named({"type": "content_block_start", "index": number, "content_block": block})


def calls_and_words():
    for number in range(5000):
        item = {"type": "function_call", "id": f"i{number}", "call_id": f"c{number}", "name": "f"}
        yield named({"type": "response.output_item.added", "output_index": number, "item": item})
    for number in range(5000):
        yield named({"type": "response.output_text.delta", "item_id": f"m{number}", "output_index": 1, "delta": "x"})


@pytest.mark.parametrize(("backend_speaks", "parts"), [
    ("anthropic.messages", many_tools),
    ("openai.responses", calls_and_words),
    ("openai.chat", lambda: (piece(number, "f") for number in range(10_000))),
])  # fmt: skip
def test_a_stream_of_many_blocks_does_not_cost_the_square_of_them(backend_speaks, parts):
    chunks = list(parts())

    def translate():
        writer = OPERATIONS["openai.chat"].chat.writer(Asker("call", "m", 1, {}))
        translator = Translator(OPERATIONS[backend_speaks].chat.reader(), writer)
        for chunk in chunks:
            translator.feed(chunk)

    assert effort(translate) < 50


# Large requests.


def target(flavour):
    endpoint = Endpoint(scheme="http", host="h", port=1)
    connection = Connection(id="c", name="n", kind=FLAVOURS[flavour].kind, flavour=flavour, endpoint=endpoint)
    accent = FLAVOURS[flavour].accent
    return Target(connection=connection, model="m", upstream_model=raw_of("m"), accent=accent, headers=())


def turns(count, size):
    return [{"role": ("user", "assistant")[number % 2], "content": "x" * size} for number in range(count)]


def thoughts(count, size):
    return [{"type": "thinking", "thinking": "x" * size, "signature": "s"}] * count


def ollama_calls(count):
    calls = [{"function": {"name": "f" * 2000, "arguments": {}}}] * count
    results = [{"role": "tool", "content": "x", "tool_name": "f" * 1999 + "g"}] * count
    return [*MESSAGES, {"role": "assistant", "content": "", "tool_calls": calls}, *results]


LARGE = {
    "5 MB of messages": ("openai.chat", {"messages": turns(5000, 1000)}),
    "5 MB for Anthropic": ("anthropic.messages", {"messages": turns(5000, 1000), "max_tokens": 5}),
    "5 MB for Ollama": ("ollama.chat", {"messages": turns(5000, 1000)}),
    "5 MB of items": ("openai.responses", {"input": turns(5000, 1000)}),
    "thoughts": (
        "anthropic.messages",
        {"messages": [*turns(1, 1), {"role": "assistant", "content": thoughts(9000, 500)}, *MESSAGES], "max_tokens": 5},
    ),
    "results of Ollama's tools": ("ollama.chat", {"messages": ollama_calls(4900)}),
    "unknown fields": ("openai.chat", {"messages": MESSAGES, **{f"k{number}": 1 for number in range(100_000)}}),
    "a number of a million digits": ("openai.chat", b'{"messages":[],"seed":' + b"9" * MEGABYTE + b"}"),
    "semicolons": (
        "openai.chat",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + ";" * 5_000_000}}]}]},
    ),
}  # fmt: skip
WRITERS = {
    "openai.chat": "compatible",
    "anthropic.messages": "anthropic",
    "ollama.chat": "ollama",
    "openai.responses": "openai",
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("case", LARGE)
def test_a_large_request_is_translated_quickly(case, writer):
    reader, body = LARGE[case]
    fields = split(body if isinstance(body, bytes) else json.dumps(body).encode())

    def translate():
        with suppress(Problem):
            request = OPERATIONS[reader].chat.read_request(fields)
            OPERATIONS[writer].chat.write_request(request, Recipient(target(WRITERS[writer]), None))

    assert effort(translate) < 30


# The front door.


def test_a_head_without_end_is_not_taken_in(yard):
    port = int(yard.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        try:
            connection.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nanthropic-beta: ")
            for _ in range(8):
                connection.sendall(b"y" * MEGABYTE)
            assert not connection.recv(100).startswith(b"HTTP/1.1 200")
        except TimeoutError:
            pytest.fail("8 MB of a header were taken from a stranger, and more would have been")
        except OSError:
            pass  # it hung up


def test_headers_that_are_forwarded_do_not_stay_in_memory(yard, ann):
    body = {"model": "anthropic.ok", "max_tokens": 5, "messages": MESSAGES}
    ann.post("/v1/messages", json=body, headers={"anthropic-beta": "a"})
    before = memory(yard)
    for number in range(150):
        with suppress(Exception):
            ann.post("/v1/messages", json=body, headers={"anthropic-beta": f"{number}" + "y" * 100_000})
    assert memory(yard) - before < 12 * MEGABYTE
