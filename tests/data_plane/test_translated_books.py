"""The books between every two dialects: tokens, losses, limits, fallbacks and presets are those of a call that passes."""

import asyncio
import json
import time
from itertools import permutations, product

import pytest

from tests.data_plane.canned import chunk, error, head, run_canned, streamed, whole
from tests.data_plane.people import ledger, make_model, new_key, settled, until
from tests.data_plane.test_translated_streams import (
    BEGIN,
    CALLERS,
    DELTA,
    END,
    KINDS,
    PAIRS,
    TRANSLATED,
    TYPE,
    WHOLE,
    ask_all,
    asker,
    connect_kinds,
    request_of,
    row_of,
)
from tests.servers import PATIENCE
from tests.yard import run_yard

BUCKETS = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
)
# What the script `cached-usage` tells in each dialect, in our buckets.
CACHED = {
    "openai": (100, 40, 25, 0, 18, 12, 0, 0),
    "anthropic": (100, 40, 20, 5, 18, 12, 0, 0),
    "ollama": (165, 0, 0, 0, 30, 0, 0, 0),
}


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("books") / "data") as running:
        connect_kinds(running, upstream)
        yield running


@pytest.fixture(scope="module")
def key(yard):
    return new_key(yard)


@pytest.fixture(scope="module")
def connections(yard):
    return {row["name"]: row["id"] for row in yard.admin.get("/api/v1/connections").json()["items"]}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_every_token_is_booked_as_the_backend_told_it(yard, key, connections, subtests, stream):
    for caller, kind, answer in await ask_all(yard, key, "cached-usage", stream):
        with subtests.test(caller=caller.path, kind=kind):
            told = caller.read(answer.content) if stream else caller.whole(answer.json())
            assert (told.text, told.ended, told.usage) == ("hello there", True, (165, 30))
            row = row_of(yard, key, answer)
            assert tuple(row[name] for name in BUCKETS) == CACHED[kind]
            assert (row["dialect"], row["operation"]) == (caller.dialect, caller.operation)
            assert row["connection_id"] == connections[kind]
            assert row["upstream_model"].removesuffix(":latest") == "cached-usage"
            assert row["model"].removesuffix(":latest") == f"{kind}.cached-usage"
            expected = ("ok", 200, 1, 0, int(stream), "", "")
            names = ("status", "http_status", "attempts", "estimated", "stream", "error", "loss")
            assert tuple(row[name] for name in names) == expected
            assert row["first_byte_ms"] >= 0
            assert row["ended_at"] >= row["started_at"]


# Fields that each kind of target has no word for, in the callers' words.
LOST = {"openai": {}, "anthropic": {"seed": 7, "frequency_penalty": 0.5}, "ollama": {"logit_bias": {"1": 2}}}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_what_was_lost_is_in_header_and_ledger(yard, key, subtests, stream):
    async with asker(yard, key["key"]) as http:
        for name, kind in [
            ("chat", "anthropic"),
            ("chat", "ollama"),
            ("ollama", "anthropic"),
            ("responses", "anthropic"),
        ]:
            caller, fields = CALLERS[name], {} if name == "responses" else LOST[kind]
            body = caller.body(f"{kind}.echo", stream, **fields) | (
                {"safety_identifier": "x"} if name == "responses" else {}
            )
            answer = await http.post(caller.path, json=body)
            with subtests.test(caller=caller.path, kind=kind):
                assert answer.status_code == 200, answer.text
                lost = answer.headers.get("x-modelyard-loss", "")
                assert set(fields) <= set(lost.split(",")), lost
                assert row_of(yard, key, answer)["loss"] == lost
                strict = await http.post(caller.path, json=body, headers={"x-modelyard-strict": "true"})
                if fields:
                    assert next(iter(fields)) in caller.error(strict, 400)
                    assert not [row for row in ledger(yard, key["id"]) if row["id"] == strict.headers["x-request-id"]]


TOLD = (
    b',"usage":{"prompt_tokens":7,"completion_tokens":3}', b',"usage":{"input_tokens":7,"output_tokens":1}',
    b',"usage":{"input_tokens":7,"output_tokens":3}', b',"usage":{"output_tokens":3}', b',"prompt_eval_count":7,"eval_count":3',
)  # fmt: skip


def without_usage(body):
    for told in TOLD:
        body = body.replace(told, b"")
    assert b"tokens" not in body and b"_count" not in body
    return body


def stream_of(kind, *deltas):
    """The body of a complete stream of these texts."""
    return BEGIN[kind] + b"".join([DELTA[kind](json.dumps(text)) for text in deltas]) + END[kind]


FIRST = ("500", "500-w", "429", "529", "401", "gone", "html", "empty", "early")
# An answer with status 200 that is none, in place of a stream or of a whole answer.
NO_ANSWER = ("page", "told", "page-w", "told-w")
CUT_AFTER = ("cut", "error")
ORDERS = list(permutations(KINDS, 2))


def fails(kind, how):
    """How the first target fails a stream."""
    boom = {"openai": b'data: {"error":{"message":"boom"}}\n\n', "ollama": b'{"error":"boom"}\n'}
    boom["anthropic"] = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"boom"}}\n\n'
    said = BEGIN[kind] + DELTA[kind]('"first"')
    ways = {
        "gone": lambda connection: None,
        "html": whole(b"<html>", 503, content_type="text/html"),
        "empty": streamed(content_type=TYPE[kind]),
        "page": whole(b"<html>", content_type="text/html"),
        "told": whole(b'{"error":{"message":"boom","type":"api_error"}}'),
        "early": streamed(boom[kind], content_type=TYPE[kind]),
        "cut": head(TYPE[kind]) + chunk(said),
        "error": streamed(said, boom[kind], content_type=TYPE[kind]),
    }
    return ways.get(how) or error("no", int(how))


def slow_stream(kind, seconds=2 * PATIENCE):
    """Still under way when those who ask for it have left."""

    def play(connection):
        connection.sendall(head(TYPE[kind]) + chunk(BEGIN[kind] + DELTA[kind]('"begun"')))
        time.sleep(seconds)
        connection.sendall(chunk(END[kind]) + b"0\r\n\r\n")

    return play


@pytest.fixture(scope="module")
def canned(yard):
    """Backends of each kind. `<first>-<second>-<how>`: fails as the first, answers as the second, streamed and (`-w`) whole."""
    scripts = {kind: {} for kind in KINDS}
    for kind in KINDS:
        bare = streamed(without_usage(stream_of(kind, "a", "b")), content_type=TYPE[kind])
        answer = whole(WHOLE[kind] % kind.encode())
        no_usage = whole(without_usage(WHOLE[kind] % b"twelve chars"))
        scripts[kind] = {
            "no-usage": bare,
            "no-usage-w": no_usage,
            "shared": answer,
            "held": slow_stream(kind),
            "answer": answer,
        }
        scripts[kind]["thoughtless"] = whole(WHOLE[kind] % kind.encode())
        scripts[kind]["busy"] = error("no", 500) if kind == "openai" else slow_stream(kind)
    roles = {(kind, role): [] for kind in KINDS for role in ("first", "second")}
    for first, second in ORDERS:
        for how in (*FIRST, *NO_ANSWER, *CUT_AFTER):
            name = f"{first}-{second}-{how}"
            scripts[first][name] = fails(first, how.removesuffix("-w"))
            scripts[second][name] = (
                whole(WHOLE[second] % b"second")
                if "-w" in how
                else streamed(stream_of(second, "sec", "ond"), content_type=TYPE[second])
            )
            roles[first, "first"].append(name)
            roles[second, "second"].append(name)
    with (
        run_canned(scripts["openai"]) as one,
        run_canned(scripts["anthropic"]) as two,
        run_canned(scripts["ollama"]) as three,
    ):
        backends = dict(zip(KINDS, (one, two, three), strict=True))
        for kind, running in backends.items():
            url = f"http://127.0.0.1:{running.port}"
            yard.connect(f"canned-{kind}", url, kind, prefix_id=f"canned-{kind}", model_ids=["no-usage", "no-usage-w"])
            yard.connect(f"first-{kind}", url, kind, priority=10, model_ids=roles[kind, "first"])
            yard.connect(f"second-{kind}", url, kind, priority=5, model_ids=roles[kind, "second"])
            # Anthropic first, then Ollama, then OpenAI.
            priority = {"anthropic": 30, "ollama": 20, "openai": 10}[kind]
            yard.connect(f"shared-{kind}", url, kind, priority=priority, model_ids=["shared"])
        for kind, (role, priority) in product(KINDS, {"full": 9, "free": 5}.items()):
            number = KINDS.index(kind) if role == "full" else (KINDS.index(kind) - 1) % 3
            limits = {"limits": {"concurrency": 1}} if role == "full" else {}
            names, url = ["held", "answer"], f"http://127.0.0.1:{backends[kind].port}"
            yard.connect(
                f"{role}{number}", url, kind, prefix_id=f"full{number}", priority=priority, model_ids=names, **limits
            )
        for kind, priority in {"openai": 9, "anthropic": 5}.items():
            names, url = ["busy", "answer"][: priority // 4], f"http://127.0.0.1:{backends[kind].port}"
            limits = {"limits": {"concurrency": 1}} if kind == "openai" else {}
            yard.connect(
                f"failing-{kind}", url, kind, prefix_id="failing", priority=priority, model_ids=names, **limits
            )
        refusal = whole(b'{"error":"\\"thoughtless\\" does not support thinking"}', 400)

        def cannot_think(connection):
            thinks = b'"think"' in three.last.body
            connection.sendall(refusal if thinks else error("no", 500))

        three.scripts["thoughtless"] = cannot_think
        for kind, priority in {"ollama": 9, "anthropic": 5}.items():
            url = f"http://127.0.0.1:{backends[kind].port}"
            yard.connect(
                f"thoughts-{kind}", url, kind, priority=priority, prefix_id="thoughts", model_ids=["thoughtless"]
            )
        yield backends


@pytest.mark.usefixtures("canned")
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_tokens_are_estimated_only_where_the_backend_told_none(yard, key, subtests, stream):
    model = "no-usage" if stream else "no-usage-w"
    for caller, kind, answer in await ask_all(yard, key, model, stream, TRANSLATED, "canned-"):
        with subtests.test(caller=caller.path, kind=kind):
            assert answer.status_code == 200, answer.text
            told = caller.read(answer.content) if stream else caller.whole(answer.json())
            assert (told.text, told.ended) == ("ab" if stream else "twelve chars", True)
            row = row_of(yard, key, answer)
            assert (row["status"], row["estimated"]) == ("ok", 1), row
            assert row["input"] > 0
            if stream:
                assert row["output"] == 2
            else:
                assert 1 <= row["output"] <= 12, "an estimate for twelve characters"


async def ask_order(yard, key, order, ways):
    """Every way of failing from every caller for whom the target that speaks must be translated: (caller, way, answer)."""
    speaks = order[0] if ways is CUT_AFTER else order[1]
    callers = [c for c in CALLERS.values() if c.dialect != speaks or c.operation == "responses"]
    asked = list(product(callers, ways))
    name = "-".join(order)
    async with asker(yard, key["key"]) as http:
        calls = [http.post(c.path, json=c.body(f"{name}-{how}", "-w" not in how)) for c, how in asked]
        return [(*one, answer) for one, answer in zip(asked, await asyncio.gather(*calls), strict=True)]


@pytest.mark.usefixtures("canned")
@pytest.mark.parametrize("ways", [FIRST, NO_ANSWER], ids=["fault", "no-answer"])
@pytest.mark.parametrize("order", ORDERS, ids=map("-".join, ORDERS))
async def test_a_target_of_another_dialect_answers_in_place_of_the_first(yard, key, subtests, order, ways):
    for caller, how, answer in await ask_order(yard, key, order, ways):
        with subtests.test(caller=caller.path, how=how):
            assert answer.status_code == 200, answer.text
            told = caller.whole(answer.json()) if "-w" in how else caller.read(answer.content)
            assert (told.text, told.ended, told.error, told.usage) == ("second", True, None, (7, 3))
            assert answer.headers["x-modelyard-connection"] == f"second-{order[1]}"
            assert answer.headers["x-modelyard-attempts"] == "2"
            row = row_of(yard, key, answer)
            assert (row["status"], row["attempts"], row["http_status"]) == ("ok", 2, 200)
            assert (row["input"], row["output"], row["estimated"]) == (7, 3, 0)


@pytest.mark.parametrize("order", ORDERS, ids=map("-".join, ORDERS))
async def test_never_after_the_first_event(yard, key, canned, subtests, order):
    before = len(canned[order[1]].requests)
    for caller, how, answer in await ask_order(yard, key, order, CUT_AFTER):
        with subtests.test(caller=caller.path, how=how):
            assert answer.status_code == 200, answer.text
            told = caller.read(answer.content)
            assert told.text == "first"
            assert told.error and not told.ended
            row = row_of(yard, key, answer)
            assert (row["status"], row["attempts"], row["output"]) == ("error", 1, 1)
            if order[0] == "anthropic":
                assert row["input"] == 7, "the prompt's tokens were told before the fault"
            else:
                assert row["estimated"] == 1
    assert len(canned[order[1]].requests) == before


@pytest.mark.usefixtures("canned")
async def test_strict_calls_go_to_the_target_that_can_say_everything(yard, key, subtests):
    asked = {
        "anthropic": {"temperature": 0.5},
        "ollama": {"seed": 7},  # Anthropic has none
        "openai": {"seed": 7, "tool_choice": "required"},  # nor has Ollama that
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    async with asker(yard, key["key"]) as http:
        for chosen, fields in asked.items():
            with subtests.test(chosen=chosen):
                body = CALLERS["chat"].body("shared", False, **fields) | {"tools": [tool]}
                answer = await http.post("/v1/chat/completions", json=body, headers={"x-modelyard-strict": "true"})
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["message"]["content"] == chosen
                assert "x-modelyard-loss" not in answer.headers
                row = row_of(yard, key, answer)
                assert (row["attempts"], row["loss"], row["status"]) == (1, "", "ok"), "it left for one backend only"
                lax = await http.post("/v1/chat/completions", json=body)
                assert lax.json()["choices"][0]["message"]["content"] == "anthropic"
                assert row_of(yard, key, lax)["loss"] == lax.headers.get("x-modelyard-loss", "")
                assert ("seed" in lax.headers.get("x-modelyard-loss", "")) == ("seed" in fields)


@pytest.mark.usefixtures("canned")
@pytest.mark.parametrize("number", range(3), ids=lambda number: f"{KINDS[number]}-{KINDS[(number + 1) % 3]}")
def test_a_full_connection_gives_way_to_one_of_another_dialect(yard, key, subtests, number):
    connection = request_of(yard, new_key(yard), CALLERS["chat"], f"full{number}.held", True)
    got = b""
    while b"begun" not in got:
        got += connection.recv(65536)
    with yard.client(key["key"]) as client:
        for caller in CALLERS.values():
            free = KINDS[(number + 1) % 3]
            if caller.dialect == free and caller.operation != "responses":
                continue
            with subtests.test(caller=caller.path):
                answer = client.post(caller.path, json=caller.body(f"full{number}.answer", False))
                assert answer.status_code == 200, answer.text
                assert caller.whole(answer.json()).text == free
                assert answer.headers["x-modelyard-connection"] == f"free{number}"
        connection.close()

        def is_back():
            answer = client.post("/v1/chat/completions", json=CALLERS["chat"].body(f"full{number}.answer", False))
            return answer.headers.get("x-modelyard-connection") == f"full{number}"

        assert until(is_back)


@pytest.mark.usefixtures("canned")
def test_a_connection_that_failed_is_free_while_another_answers(yard, key):
    """Its place was taken for a try that is over."""
    caller = CALLERS["ollama"]
    connection = request_of(yard, key, caller, "failing.busy", True)
    got = b""
    while b"begun" not in got:
        got += connection.recv(65536)
    with yard.client(key["key"]) as client:
        answer = client.post(caller.path, json=caller.body("failing.answer", False))
    connection.close()
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("strict", ["true", "false"])
def test_what_one_target_cannot_do_is_not_kept_from_the_next(yard, key, canned, strict):
    """Ollama's model cannot think; Anthropic's is asked for all that the caller wants."""
    body = CALLERS["chat"].body("thoughts.thoughtless", False) | {"reasoning_effort": "high"}
    with yard.client(key["key"]) as client:
        answer = client.post("/v1/chat/completions", json=body, headers={"x-modelyard-strict": strict})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-modelyard-connection"] == "thoughts-anthropic"
    assert canned["anthropic"].last.json["thinking"]["type"] == "enabled"
    assert "x-modelyard-loss" not in answer.headers


@pytest.mark.usefixtures("canned")
def test_a_strict_caller_is_told_of_the_failure_of_the_one_that_could_say_it(yard, key):
    body = CALLERS["chat"].body("openai-anthropic-500-w", False, seed=7)
    with yard.client(key["key"]) as client:
        answer = client.post("/v1/chat/completions", json=body, headers={"x-modelyard-strict": "true"})
    assert answer.status_code == 502, f"nothing is wrong with the request, it may be sent again: {answer.text}"


async def each(yard, make, ask):
    """Ask in every pair at once, with a key of its own each: (caller, kind, what `ask` gave)."""

    async def one(name, kind):
        key = await asyncio.to_thread(new_key, yard, limits=make)
        async with asker(yard, key["key"]) as http:
            return CALLERS[name], kind, await ask(http, CALLERS[name], kind)

    return await asyncio.gather(*[one(name, kind) for name, kind in PAIRS])


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_requests_count_alike(yard, subtests, stream):
    async def ask(http, caller, kind):
        return [await http.post(caller.path, json=caller.body(f"{kind}.echo", stream)) for _ in range(3)]

    for caller, kind, answers in await each(yard, {"rpm": 2}, ask):
        with subtests.test(caller=caller.path, kind=kind):
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            assert caller.error(answers[2], 429)
            assert 1 <= int(answers[2].headers["retry-after"]) <= 60


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_tokens_are_reserved_and_settled_alike(yard, subtests, stream):
    async def ask(http, caller, kind):
        bounds = (100, 100, 100, 100, 1000)  # some 130 are reserved each time and 4 used
        return [await http.post(caller.path, json=caller.body(f"{kind}.echo", stream, bound=b)) for b in bounds]

    for caller, kind, answers in await each(yard, {"tpm": 220}, ask):
        with subtests.test(caller=caller.path, kind=kind):
            assert [answer.status_code for answer in answers] == [200] * 4 + [429]
            assert "retry-after" not in answers[4].headers, "this one never fits"


async def test_a_backends_figures_settle_the_limit(yard, subtests):
    async def ask(http, caller, kind):
        bodies = [caller.body(f"{kind}.cached-usage", number == 0, bound=90) for number in range(2)]
        return [await http.post(caller.path, json=body) for body in bodies]

    for caller, kind, answers in await each(yard, {"tpm": 300}, ask):
        with subtests.test(caller=caller.path, kind=kind):
            assert [answer.status_code for answer in answers] == [200, 429], "195 were used of 300, 120 are asked for"


async def test_concurrency_counts_alike_until_the_end_of_a_stream(yard, subtests):
    async def ask(http, caller, kind):
        async with http.stream("POST", caller.path, json=caller.body(f"{kind}.stall", True)) as running:
            assert running.status_code == 200
            refused = await http.post(caller.path, json=caller.body(f"{kind}.echo", False))
        async with asyncio.timeout(PATIENCE):
            while (after := await http.post(caller.path, json=caller.body(f"{kind}.echo", False))).status_code != 200:
                await asyncio.sleep(0.02)
        failed = [
            await http.post(caller.path, json=caller.body(f"{kind}.{m}", True)) for m in ("cut", "error-500", "html")
        ]
        return [refused, after, *failed, await http.post(caller.path, json=caller.body(f"{kind}.echo", True))]

    for caller, kind, answers in await each(yard, {"concurrency": 1}, ask):
        with subtests.test(caller=caller.path, kind=kind):
            assert [answer.status_code for answer in answers] == [429, 200, 200, 502, 502, 200]
            assert caller.error(answers[0], 429)


BASE = {"openai": "openai.echo", "anthropic": "anthropic.echo", "ollama": "ollama.echo:latest"}


@pytest.fixture(scope="module")
def presets(yard):
    params = {"system": "Be brief.", "temperature": 0.25, "top_p": 0.5, "max_tokens": 77}
    for kind, base in BASE.items():
        make_model(yard, f"preset-{kind}", base, params={**params, "locked": ["temperature", "max_tokens"]})
        make_model(yard, f"open-{kind}", base, params=params)


def sent_to(kind, body):
    """(system prompt, temperature, top_p, most tokens) in the form of each kind of backend."""
    fields = body.get("options", {}) if kind == "ollama" else body
    bound = {"openai": "max_tokens", "anthropic": "max_tokens", "ollama": "num_predict"}[kind]
    system = body.get("system")
    if kind != "anthropic" and system is None:
        system = next((one["content"] for one in body.get("messages", []) if one["role"] == "system"), None)
    if isinstance(system, list):
        system = "\n".join(block["text"] for block in system)
    return system, fields.get("temperature"), fields.get("top_p"), fields.get(bound)


@pytest.mark.usefixtures("presets")
@pytest.mark.parametrize("locked", [True, False], ids=["locked", "open"])
def test_what_a_preset_says_arrives_in_each_targets_form(yard, upstream, key, subtests, locked):
    own = {
        "chat": {"messages": [{"role": "system", "content": "In German."}, {"role": "user", "content": "hello there"}]}
    }
    own |= {"ollama": own["chat"], "messages": {"system": "In German."}, "generate": {"system": "In German."}}
    own |= {"responses": {"instructions": "In German."}, "completions": {}}
    with yard.client(key["key"]) as client:
        for name, kind in PAIRS:
            caller = CALLERS[name]
            model = f"{'preset' if locked else 'open'}-{kind}"
            with subtests.test(caller=caller.path, kind=kind):
                body = caller.body(model, False, bound=9, temperature=0.75) | own[name]
                answer = client.post(caller.path, json=body)
                assert answer.status_code == 200, answer.text
                system, temperature, top_p, bound = sent_to(kind, json.loads(upstream.state()["requests"][-1]["body"]))
                if name != "completions":
                    assert system == "Be brief.\nIn German.", system
                elif kind != "openai":
                    assert system == "Be brief."
                assert (temperature, bound) == ((0.25, 77) if locked else (0.75, 9))
                assert top_p == 0.5 or (kind == "anthropic" and "top_p" in answer.headers.get("x-modelyard-loss", ""))
                assert answer.headers["x-modelyard-model"] == model


def test_a_fallback_model_of_another_dialect_answers(upstream, tmp_path):
    with run_yard(tmp_path / "data", {"FALLBACK_MODEL": "spare"}) as yard:
        connect_kinds(yard, upstream)
        made = make_model(yard, "spare", "anthropic.echo", params={"system": "You are the spare."})
        assert made["id"] == "spare"
        key = new_key(yard)
        with yard.client(key["key"]) as client:
            for name, kind in [(name, kind) for name, kind in PAIRS if kind != "anthropic"]:
                caller = CALLERS[name]
                for stream in (True, False):
                    answer = client.post(caller.path, json=caller.body(f"{kind}.error-500", stream))
                    assert answer.status_code == 200, answer.text
                    told = caller.read(answer.content) if stream else caller.whole(answer.json())
                    assert (told.text, told.ended) == ("hello there", True)
                    assert answer.headers["x-modelyard-attempts"] == "2"
                    assert answer.headers["x-modelyard-model"] == "spare"
                    assert json.loads(upstream.state()["requests"][-1]["body"])["system"]
        rows = settled(yard, key["id"], 24)
        assert {(row["status"], row["attempts"], row["upstream_model"]) for row in rows} == {("ok", 2, "echo")}
