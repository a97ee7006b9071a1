"""Canaries: keys, addresses and other people's models are in no answer, header, log line, metric or report."""

import itertools
import json

import pytest

from tests.data_plane.canned import error, paced, run_canned, whole
from tests.data_plane.people import ANN, BEN, CHAT, chat, make_model, new_key, people_file, settled
from tests.yard import ADMIN_KEY, run_yard

UPSTREAM_KEY = "sk-canary-upstream-4f1d9c0b7e"
HEADER_SECRET = "canary-header-secret-77aa"
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'


@pytest.fixture(scope="module")
def backend():
    scripts = {}
    with run_canned(scripts) as running:
        url, host = running.base_url, f"127.0.0.1:{running.port}"
        texts = {
            "url": f"POST {url}/chat/completions failed",
            "root": f"see http://{host}/docs",
            "host": f"dial tcp {host}: connection refused",
            "upper": f"HTTP://{host}/v1 failed",
            "key": f"Incorrect API key provided: {UPSTREAM_KEY}",
            "bearer": f"bad header authorization: Bearer {UPSTREAM_KEY}",
            "own-header": f"bad header x-secret: {HEADER_SECRET}",
        }
        for name, text in texts.items():
            for status in (400, 401, 404, 429, 500):
                scripts[f"{name}-{status}"] = error(text, status)
            scripts[f"{name}-param"] = error("bad", 400, param=text, code=text)
            scripts[f"{name}-ok"] = whole(json.dumps({"error": {"message": text}}).encode())
            scripts[f"{name}-stream"] = paced(
                DELTA, b"data: " + json.dumps({"error": {"message": text}}).encode() + b"\n\n"
            )
        scripts["gone"] = lambda connection: None
        scripts["nonsense"] = b"nonsense"
        scripts["cut"] = paced(DELTA, end=b"")
        scripts["html"] = whole(f"<html>{url} {UPSTREAM_KEY}".encode(), 502, content_type="text/html")
        scripts["of-ben-alone"] = whole(b"{}")
        scripts["headers"] = whole(
            b'{"choices":[]}',
            200,
            f"x-backend: {url}",
            f"x-echo-key: {UPSTREAM_KEY}",
            "set-cookie: a=b",
            "server: canary",
        )
        yield running


@pytest.fixture(scope="module")
def yard(backend, upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    environment = {"MODELYARD_LOG_LEVEL": "debug", **people_file(folder / "yard.yaml")}
    with run_yard(folder / "data", environment) as running:
        running.connect("canned", backend.base_url, api_keys=[UPSTREAM_KEY], headers={"x-secret": HEADER_SECRET})
        running.connect("scripted", upstream.base_url, api_keys=[UPSTREAM_KEY], prefix_id="s")
        for name in [*backend.scripts, "s.error-401"]:
            if name != "of-ben-alone":
                make_model(running, f"p-{name}", name, access_control=None)
        make_model(running, "canary-model-of-ben", "of-ben-alone", access_control={"read": {"user_ids": [BEN]}})
        yield running


def said(answer) -> str:
    return answer.text + " ".join(f"{name}: {value}" for name, value in answer.headers.items())


PATHS = [
    "/v1/models",
    "/v1/models/p-gone",
    "/api/v1/usage?group_by=model",
    "/api/v1/usage?group_by=key",
    "/api/v1/usage?group_by=upstream_model",
    "/api/v1/usage?group_by=connection",
    "/api/v1/keys",
    "/metrics",
    "/health",
    "/ready",
    "/v1/models/canary-model-of-be",
    "/api/v1/connections",
]
TEXTS = ("url", "root", "host", "upper", "key", "bearer", "own-header")
PLACES = ("-4", "-500", "-param", "-ok", "-stream")


@pytest.mark.parametrize(("text", "place"), [*itertools.product(TEXTS, PLACES), ("", "")])
def test_nothing_leaks(yard, backend, text, place):
    tried = [name for name in [*backend.scripts, "s.error-401"] if name != "of-ben-alone"]
    if text:
        tried = [name for name in tried if name.startswith(text + place)]
    else:
        tried = [name for name in tried if "-" not in name or name.startswith("s.")]

    key = new_key(yard, ANN)
    bens = new_key(yard, BEN)
    hidden = [
        UPSTREAM_KEY, HEADER_SECRET, f"127.0.0.1:{backend.port}", "canary-model-of-ben", "of-ben-alone",
        key["key"], bens["key"], ADMIN_KEY,
    ]  # fmt: skip
    leaks = []
    with yard.client(key["key"]) as ann, yard.client(bens["key"]) as ben:
        assert ben.post(CHAT, json=chat("canary-model-of-ben")).status_code == 200
        answers = {}
        for name in tried:
            for stream in (False, True):
                answers[f"{name} {stream}"] = ann.post(CHAT, json=chat(f"p-{name}", stream))
        rows = settled(yard, key["id"], len(answers))  # what the reports below are made of
        assert len(rows) == len(answers)
        answers["dry"] = ann.post(CHAT, json=chat("p-gone"), headers={"x-modelyard-dry-run": "true"})
        for path in () if text else PATHS:
            answers[path] = ann.get(path)
    answers["usage of ann"] = ann_usage = yard.admin.get("/api/v1/usage", params={"group_by": "error"})
    assert ann_usage.status_code == 422
    for what, answer in answers.items():
        leaks += [f"{what}: {secret}" for secret in hidden if secret in said(answer)]
    assert leaks == [], "\n".join(leaks)


def test_headers_of_a_backend_do_not_pass(yard):
    with yard.client(new_key(yard, ANN)["key"]) as ann:
        answer = ann.post(CHAT, json=chat("p-headers"))
    assert answer.status_code == 200
    assert not {"x-backend", "x-echo-key", "set-cookie", "server"} & set(answer.headers)


def test_no_key_is_in_the_log_the_metrics_or_an_administrators_report(yard):
    made, models = new_key(yard, ANN), ("p-key-400", "p-key-stream", "p-gone", "p-s.error-401")
    key = made["key"]
    with yard.client(key) as ann:
        for model in models:
            ann.post(CHAT, json=chat(model, stream=True, text="canary-prompt-text"))
            ann.post(CHAT, content=f'{{"model":"canary-prompt-text {key}'.encode())
    rows = settled(yard, made["id"], len(models))  # the reports are made of these
    assert sorted(row["model"] for row in rows) == sorted(models)
    told = yard.admin.get("/metrics").text
    for dimension in ("model", "user", "key", "connection", "upstream_model", "status"):
        told += yard.admin.get("/api/v1/usage", params={"group_by": dimension}).text
    for path in ("/api/v1/connections", "/api/v1/keys", "/api/v1/audit"):
        told += yard.admin.get(path).text
    told += yard.output()
    for secret in (UPSTREAM_KEY, HEADER_SECRET, ADMIN_KEY, key, "canary-prompt-text"):
        assert secret not in told


def test_an_address_with_the_usual_port_is_hidden_too():
    """Nobody writes `https://host:443`: the backend's words hold the address without its port."""
    from modelyard.canonical.endpoint import Endpoint
    from modelyard.canonical.snapshot import Connection, Target
    from modelyard.core.raw import raw_of
    from modelyard.dialects.flavours import FLAVOURS
    from modelyard.gateway.upstream_errors import cleaned

    endpoint = Endpoint(scheme="https", host="llm.internal.example", port=443)
    connection = Connection(id="c", name="the-backend", kind="openai", flavour="openai", endpoint=endpoint)
    target = Target(
        connection=connection, model="m", upstream_model=raw_of("m"), accent=FLAVOURS["openai"].accent, headers=()
    )
    assert "llm.internal.example" not in cleaned("POST https://llm.internal.example/v1/chat/completions", target)
