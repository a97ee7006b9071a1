"""Lists of models in Ollama's form, judged by its own client."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ollama

from modelyard.dialects.ollama.listing import Row, write_ps, write_show, write_tags, write_version

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"

PLAIN = Row("gpt-5", "GPT 5", 1_790_000_000, {})


def recorded(case: str) -> Any:
    return json.loads(json.loads((CORPUS / f"{case}.json").read_text())["body"])


def test_tags_tell_what_the_backend_told():
    told = recorded("tags")["models"]
    listed = json.loads(write_tags([Row(f"home.{row['name']}", "Name", 5, {**row, "id": row["name"]}) for row in told]))
    for ours, theirs in zip(listed["models"], told, strict=True):
        name = f"home.{theirs['name']}"
        assert ours == {**theirs, "name": name, "model": name}
    assert len(ollama.ListResponse(**listed).models) == len(told)


def test_a_model_of_another_backend_is_listed_too():
    (listed,) = ollama.ListResponse(**json.loads(write_tags([PLAIN]))).models
    assert (listed.model, listed.size, listed.modified_at) == (
        "gpt-5",
        0,
        datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
    )
    assert listed.digest is not None
    assert len(listed.digest) == 64
    assert listed.details is not None
    assert (listed.details.format, listed.details.families) == ("", [])
    assert json.loads(write_tags([])) == {"models": []}


def test_ps_tells_what_the_backend_told():
    told = recorded("ps-one")["models"]
    listed = json.loads(write_ps([Row(row["name"], "Name", 5, row) for row in told]))
    assert [{**row, "details": None} for row in listed["models"]] == [{**row, "details": None} for row in told]
    assert ollama.ProcessResponse(**listed).models[0].context_length == 2048
    assert ollama.ProcessResponse(**json.loads(write_ps([PLAIN]))).models[0].size_vram == 0


def test_show_tells_what_is_known():
    about = recorded("tags")["models"][0]
    shown = ollama.ShowResponse(**json.loads(write_show(Row("m", "M", 5, about))))
    assert shown.modelinfo is not None
    assert (shown.modelinfo["general.architecture"], shown.modelinfo["llama.context_length"]) == ("llama", 4096)
    assert shown.capabilities == about["capabilities"]
    assert ollama.ShowResponse(**json.loads(write_show(PLAIN))).capabilities == ["completion"]
    shown = ollama.ShowResponse(**json.loads(write_show(PLAIN, ["completion", "vision"])))
    assert shown.capabilities == ["completion", "vision"]
    assert shown.modelfile == "# Modelfile of 'gpt-5'\nFROM 'gpt-5'\n"


def test_what_a_backend_tells_wrongly_is_left_out():
    odd = {
        "size": -1, "digest": 5, "modified_at": "soon", "expires_at": 3, "details": {"family": 4, "families": [1, "a"]},
        "capabilities": "x", "context_length": True, "size_vram": 1e300,
    }  # fmt: skip
    for about in (odd, {"details": [], "capabilities": [None]}):
        row = Row("m", "M", 5, about)
        ollama.ListResponse(**json.loads(write_tags([row])))
        ollama.ProcessResponse(**json.loads(write_ps([row])))
        ollama.ShowResponse(**json.loads(write_show(row)))


def test_the_version():
    assert json.loads(write_version("0.1")) == {"version": "0.1"}
