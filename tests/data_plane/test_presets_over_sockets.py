"""Presets and overrides: what reaches the backend, and who may use what."""

import datetime as dt
import json

import pytest

from tests.data_plane.people import (
    ADA,
    ANN,
    BEN,
    CHAT,
    assert_openai_error,
    chat,
    make_model,
    new_key,
    people_file,
)  # fmt: skip
from tests.yard import run_yard


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, **people_file(folder / "yard.yaml")}
    with run_yard(folder / "data", environment) as running:
        yield running


def client_of(yard, user_id):
    return yard.client(new_key(yard, user_id)["key"])


@pytest.fixture(scope="module")
def ann(yard):
    with client_of(yard, ANN) as opened:
        yield opened


@pytest.fixture(scope="module")
def ben(yard):
    with client_of(yard, BEN) as opened:
        yield opened


@pytest.fixture(scope="module")
def ada(yard):
    with client_of(yard, ADA) as opened:
        yield opened


@pytest.fixture
def sent(yard, ann, upstream, request):
    """Sends a body to a fresh public preset with these params, and gives what the backend got."""
    counter = iter(range(100))

    def send(params, body, path=CHAT, **form):
        name = f"preset-{abs(hash(request.node.nodeid))}-{next(counter)}"
        make_model(yard, name, "echo", params=params, access_control=None, **form)
        answer = ann.post(path, json={"model": name, **body})
        assert answer.status_code == 200, answer.text
        return json.loads(upstream.state()["requests"][-1]["body"])

    return send


USER = {"role": "user", "content": "hi"}


def test_the_system_prompt_is_put_in_front_when_there_is_none(sent):
    got = sent({"system": "Be brief."}, {"messages": [USER]})
    assert got == {"model": "echo", "messages": [{"role": "system", "content": "Be brief."}, USER]}


@pytest.mark.parametrize("role", ["system", "developer"])
def test_it_goes_before_the_callers_own(sent, role):
    own = {"role": role, "content": "Speak German. \u00e9", "name": "x"}
    got = sent({"system": "Be brief."}, {"messages": [own, USER]})
    assert got["messages"] == [{**own, "content": "Be brief.\nSpeak German. \u00e9"}, USER]


def test_it_goes_before_the_callers_own_parts(sent):
    parts = [{"type": "text", "text": "Speak German.", "cache_control": {"type": "ephemeral"}}]
    got = sent({"system": "Be brief."}, {"messages": [{"role": "system", "content": parts}, USER]})
    assert got["messages"][0]["content"] == [{"type": "text", "text": "Be brief."}, *parts]


def test_a_system_message_later_on_stays_where_it_is(sent):
    later = {"role": "system", "content": "Now in French."}
    got = sent({"system": "Be brief."}, {"messages": [USER, later]})
    assert got["messages"] == [{"role": "system", "content": "Be brief."}, USER, later]


def test_an_empty_system_message_is_filled(sent):
    for content in ("", None, []):
        got = sent({"system": "Be brief."}, {"messages": [{"role": "system", "content": content}, USER]})
        assert "Be brief." in json.dumps(got["messages"][0])
        assert len(got["messages"]) == 2


def test_the_callers_messages_keep_their_bytes(yard, ann, upstream):
    make_model(yard, "bytes", "echo", params={"system": "S", "temperature": 0.5}, access_control=None)
    user = '{ "content" : "\\u00e9 \\/" , "role":"user", "weight": 1.0 }'
    assert ann.post(CHAT, content=f'{{"model":"bytes","messages":[{user}],"seed":1.0}}'.encode()).status_code == 200
    body = upstream.state()["requests"][-1]["body"]
    assert user in body
    assert '"seed":1.0' in body
    assert '"temperature":0.5' in body


def test_variables_are_filled_in(sent):
    text = "{{USER_NAME}}|{{ USER_EMAIL }}|{{CURRENT_DATE}}|{{CURRENT_WEEKDAY}}|{{CURRENT_TIME}}|{{CURRENT_DATETIME}}"
    before = dt.datetime.now().astimezone()
    got = sent({"system": text}, {"messages": [USER]})["messages"][0]["content"].split("|")
    after = dt.datetime.now().astimezone()
    assert got[:2] == ["Ann", "ann@example.com"]
    assert got[2] in (f"{before:%Y-%m-%d}", f"{after:%Y-%m-%d}")
    assert got[3] in (f"{before:%A}", f"{after:%A}")
    assert got[4].endswith(("AM", "PM"))
    assert not any("{{" in part for part in got)


@pytest.mark.parametrize(
    "text",
    ["{{7*7}}", "{% for x in ().__class__ %}", "{{ config }}", "{{ user.__class__ }}", "${7*7}", "{USER_NAME.__class__}",
     "%(USER_NAME)s", "{{USER_PASSWORD}}", "{{{{USER_NAME_}}}}", "{0}", "{{user_name}}", "\\1\\g<0>"],
)  # fmt: skip
def test_template_injection_stays_literal(sent, text):
    assert sent({"system": text}, {"messages": [USER]})["messages"][0]["content"] == text


def test_what_the_caller_writes_is_no_template(sent):
    own = {"role": "system", "content": "{{USER_EMAIL}}"}
    got = sent({"system": "S"}, {"messages": [own, {"role": "user", "content": "{{USER_EMAIL}}"}]})
    assert got["messages"][0]["content"] == "S\n{{USER_EMAIL}}"
    assert got["messages"][1]["content"] == "{{USER_EMAIL}}"


def test_text_completions_lose_the_system_prompt_and_say_so(yard, ann, upstream):
    make_model(yard, "texts", "echo", params={"system": "S", "top_p": 0.5}, access_control=None)
    answer = ann.post("/v1/completions", json={"model": "texts", "prompt": "x"})
    assert answer.headers["x-modelyard-loss"] == "system"
    assert json.loads(upstream.state()["requests"][-1]["body"]) == {"model": "echo", "prompt": "x", "top_p": 0.5}
    answer = ann.post("/v1/embeddings", json={"model": "texts", "input": "x"})
    assert json.loads(upstream.state()["requests"][-1]["body"]) == {"model": "echo", "input": "x"}


def test_parameters_fill_only_what_is_missing(sent):
    params = {"temperature": 0.1, "top_p": 0.2, "seed": 3}
    got = sent(params, {"messages": [USER], "temperature": 0.9, "seed": None})
    assert (got["temperature"], got["top_p"]) == (0.9, 0.2)


def test_locked_parameters_win(sent):
    got = sent({"temperature": 0.1, "top_p": 0.2, "locked": ["temperature"]}, {
        "messages": [USER], "temperature": 0.9, "top_p": 0.9,
    })  # fmt: skip
    assert (got["temperature"], got["top_p"]) == (0.1, 0.9)
    assert "locked" not in got


@pytest.mark.parametrize("mine", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("theirs", ["max_tokens", "max_completion_tokens"])
def test_two_spellings_of_the_bound_are_one_parameter(sent, mine, theirs):
    free = sent({mine: 5}, {"messages": [USER], theirs: 9})
    # The server gets the older spelling: it may not know the newer one.
    assert {name: free[name] for name in free if "max_" in name} == {"max_tokens": 9}
    locked = sent({mine: 5, "locked": [mine]}, {"messages": [USER], theirs: 9})
    assert {name: locked[name] for name in locked if "max_" in name} == {"max_tokens": 5}


def test_stop_words_keep_their_letters(sent):
    assert sent({"stop": ["Ende\u00e9", "停", "\n\n", "\\n"]}, {"messages": [USER]})["stop"] == [
        "Ende\u00e9", "停", "\n\n", "\\n",
    ]  # fmt: skip
    assert sent({"stop": "日本"}, {"messages": [USER]})["stop"] == ["日本"]


def test_custom_parameters_are_read_as_json_where_they_are_json(sent):
    custom = {
        "a": '{"b": [1, 2.5, null]}', "c": "plain words", "d": "true", "e": "12", "f": 7, "g": "", "h": "NaN",
        "i": '"quoted"', "provider": {"only": ["x"]},
    }  # fmt: skip
    got = sent({"custom_params": custom, "temperature": 1}, {"messages": [USER]})
    expected = {
        "a": {"b": [1, 2.5, None]}, "c": "plain words", "d": True, "e": 12, "f": 7, "g": "", "h": "NaN", "i": "quoted",
        "provider": {"only": ["x"]},
    }  # fmt: skip
    assert {name: got[name] for name in custom} == expected
    assert "custom_params" not in got


def test_settings_of_the_chat_application_are_not_sent(sent):
    got = sent({"function_calling": "native", "stream_response": True, "reasoning_tags": ["a"], "top_k": "5"}, {
        "messages": [USER],
    })  # fmt: skip
    assert got == {"model": "echo", "messages": [USER], "top_k": 5}


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": "warm"}, {"max_tokens": "many"}, {"max_tokens": [1]}, {"custom_params": "text"},
        {"custom_params": [1]}, {"locked": 5}, {"locked": [["x"]]}, {"locked": "temperature"}, {"system": 5},
        {"custom_params": {"x": "\ud800"}},
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_sent_are_refused_not_a_fault(yard, params):
    body = json.dumps(
        {"id": f"bad-{abs(hash(json.dumps(params)))}", "name": "b", "base_model_id": "echo", "params": params}
    )
    answer = yard.admin.post("/api/v1/models/create", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422), answer.text


def test_a_parameter_without_a_number_is_refused_not_a_fault(yard):
    for name, value in (("max_tokens", "1e999"), ("temperature", "1e999"), ("temperature", "NaN")):
        body = f'{{"id":"inf-{name}-{value}","name":"x","base_model_id":"echo","params":{{"{name}":{value}}}}}'
        answer = yard.admin.post("/api/v1/models/create", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 422), (body, answer.text)


def test_a_stored_half_of_an_emoji_is_not_a_fault_of_every_call(yard, ann):
    body = json.dumps({"id": "half", "name": "half", "base_model_id": "echo", "params": {"system": "cut \ud83d"},
                       "access_control": None})  # fmt: skip
    made = yard.admin.post("/api/v1/models/create", content=body, headers={"content-type": "application/json"})
    if made.status_code == 200:
        assert ann.post(CHAT, json=chat("half")).status_code == 200


def test_a_preset_that_sets_stream_does_not_break_the_call(yard, ann):
    make_model(yard, "streaming", "echo", params={"custom_params": {"stream": "true"}}, access_control=None)
    assert ann.post(CHAT, json=chat("streaming")).status_code == 200


def test_inactive_models_are_not_there(yard, ann, ada):
    make_model(yard, "sleeping", "echo", is_active=False, access_control=None)
    make_model(yard, "no-done", is_active=False, access_control=None)
    for client in (ann, ada):
        for name in ("sleeping", "no-done"):
            assert_openai_error(client.post(CHAT, json=chat(name)), 404)
            assert client.get(f"/v1/models/{name}").status_code == 404


def test_a_preset_without_its_base_is_listed_and_unavailable(yard, ann):
    make_model(yard, "orphan", "gone-model", access_control=None)
    assert "orphan" in [row["id"] for row in ann.get("/v1/models").json()["data"]]
    assert_openai_error(ann.post(CHAT, json=chat("orphan")), 503)
    on_itself = {"id": "self", "name": "self", "base_model_id": "self"}
    assert yard.admin.post("/api/v1/models/create", json=on_itself).status_code == 422


def test_access_private_public_and_users(yard, ann, ben, ada):
    make_model(yard, "private", "echo")
    make_model(yard, "public", "echo", access_control=None)
    make_model(yard, "anns", "echo", access_control={"read": {"user_ids": [ANN], "group_ids": []}})
    make_model(yard, "writers", "echo", access_control={"write": {"user_ids": [BEN]}})
    group = yard.admin.post("/api/v1/groups/create", json={"name": "nobodys", "description": ""}).json()
    make_model(yard, "nobodys-group", "echo", access_control={"read": {"group_ids": [group["id"]]}})
    expected = {
        "private": (404, 404, 200), "public": (200, 200, 200), "anns": (200, 404, 200), "writers": (404, 200, 200),
        "nobodys-group": (404, 404, 200), "echo": (404, 404, 200),
    }  # fmt: skip
    for name, statuses in expected.items():
        assert tuple(client.post(CHAT, json=chat(name)).status_code for client in (ann, ben, ada)) == statuses, name
        listed = [name in [row["id"] for row in client.get("/v1/models").json()["data"]] for client in (ann, ben, ada)]
        assert listed == [status == 200 for status in statuses], name


def test_an_override_opens_its_base_and_lays_its_parameters_over_it(yard, ben, upstream):
    make_model(yard, "unicode", params={"temperature": 0.25}, access_control={"read": {"user_ids": [BEN]}})
    assert ben.post(CHAT, json=chat("unicode")).status_code == 200
    assert json.loads(upstream.state()["requests"][-1]["body"])["temperature"] == 0.25


def test_a_preset_opens_its_base_only_while_its_owner_may_use_it(yard, upstream, tmp_path):
    """Declared presets have no owner and open their base; what a user owns does not open what they may not use."""
    make_model(yard, "admins-preset", "lorem", access_control=None)
    with client_of(yard, BEN) as ben:
        assert ben.post(CHAT, json=chat("lorem")).status_code == 404
        assert ben.post(CHAT, json=chat("admins-preset")).status_code == 200


def test_a_users_key_cannot_make_models(ann):
    for path in ("/api/v1/models/create", "/api/v1/connections"):
        assert ann.post(path, json={"id": "x", "name": "x", "base_model_id": "echo"}).status_code == 403


def test_latest_is_forgiven_both_ways(yard, ann, upstream):
    make_model(yard, "tagged:latest", "echo", access_control=None)
    make_model(yard, "untagged", "echo", access_control=None)
    for name in ("tagged", "tagged:latest", "untagged", "untagged:latest"):
        answer = ann.post(CHAT, json=chat(name))
        assert answer.status_code == 200, name
        assert ann.get(f"/v1/models/{name}").status_code == 200
    assert_openai_error(ann.post(CHAT, json=chat("untagged:latest:latest")), 404)
    assert_openai_error(ann.post(CHAT, json=chat(":latest")), 404)


def test_latest_is_forgiven_in_the_scope_of_a_key_too(yard):
    make_model(yard, "scoped:latest", "echo", access_control=None)
    for names in (["scoped"], ["scoped:latest"]):
        with yard.client(new_key(yard, ANN, models=names)["key"]) as client:
            for name in ("scoped", "scoped:latest"):
                assert client.post(CHAT, json=chat(name)).status_code == 200, (names, name)


def test_the_scope_of_a_key_is_the_preset_not_its_base(yard):
    make_model(yard, "in-scope", "echo", access_control=None)
    with yard.client(new_key(yard, models=["in-scope"])["key"]) as client:
        assert client.post(CHAT, json=chat("in-scope")).status_code == 200
        assert_openai_error(client.post(CHAT, json=chat("echo")), 403)


def test_a_dry_run_calls_nobody(yard, ann, upstream):
    make_model(yard, "dry", "echo", params={"temperature": 0.5}, access_control=None)
    before = upstream.state()["calls"]
    answer = ann.post(CHAT, json=chat("dry", stream=True), headers={"x-modelyard-dry-run": "true"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["chosen"]["model"] == "echo"
    assert told["body"] is None, "the body tells the preset's prompt and parameters: only to those who may write it"
    told = yard.admin.post(CHAT, json=chat("dry", stream=True), headers={"x-modelyard-dry-run": "true"}).json()
    assert told["body"] == {**chat("echo", stream=True), "temperature": 0.5, "stream_options": {"include_usage": True}}
    assert upstream.state()["calls"] == before
    assert_openai_error(ann.post(CHAT, json=chat("nope"), headers={"x-modelyard-dry-run": "true"}), 404)


def test_a_dry_run_shows_the_body_that_would_be_sent(yard, ada, upstream):
    for path, body in (("/v1/embeddings", {"input": "x", "stream": True}), (CHAT, chat(None, stream=True))):
        named = {"model": "echo", **body}
        told = ada.post(path, json=named, headers={"x-modelyard-dry-run": "true"}).json()["body"]
        assert ada.post(path, json=named).status_code == 200
        assert told == json.loads(upstream.state()["requests"][-1]["body"])
