"""A preset over a model: its system prompt and parameters, whatever the caller speaks."""

import json

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI
from tests.conformance.cases.steering import lossy, parameter
from tests.conformance.lab import listed
from tests.conformance.matrix import Absent, Cases, Cell, Loss, ask_of

CASES = Cases("Presets")


def _preset(cell: Cell, **params: object) -> str:
    """A preset over `see` with these parameters; its id."""
    name = f"{cell.case.name}-{cell.pair.caller}-{cell.target}"
    form = {
        "id": name,
        "name": name,
        "base_model_id": listed(cell.target, "see"),
        "params": params,
        "access_control": None,
    }
    made = cell.lab.yard.admin.post("/api/v1/models/create", json=form)
    assert made.status_code == 200, made.text
    return name


def _seen(cell: Cell, name: str, system: str | None = None, **params: object) -> dict[str, object]:
    told: dict[str, object] = json.loads(
        cell.caller.whole(name, ask_of(("Hello",), {"system": system, "params": params})).text
    )
    return told


@CASES.add("The system prompt of a preset")
def system_prompt(cell: Cell) -> None:
    name = _preset(cell, system="Talk like a pirate.")
    assert _seen(cell, name)["system"] == "Talk like a pirate."
    both = str(_seen(cell, name, system="Be brief.")["system"])  # two texts, or one with a line between
    assert "".join(both.split()) == "Talklikeapirate.Bebrief."


@CASES.add("The parameters of a preset, where the request says nothing")
def parameters(cell: Cell) -> None:
    name = _preset(cell, temperature=0.25, top_p=0.5, stop=["ARR"], top_k=5)
    _seen(cell, name, temperature=0.75)
    told = [parameter(cell, name) for name in ("temperature", "top_p", "stop", "top_k")]
    assert told == [0.75, 0.5, ["ARR"], 5]


@CASES.add("A locked parameter wins over the request")
def locked(cell: Cell) -> None:
    name = _preset(cell, temperature=0.25, max_tokens=31, locked=["temperature", "max_tokens"])
    _seen(cell, name, temperature=0.75, max_tokens=55)
    assert [parameter(cell, name) for name in ("temperature", "max_tokens")] == [0.25, 31]


@CASES.add(
    "A parameter that the target does not have",
    Loss("openai|anthropic|ollama>anthropic", ("seed",), "Anthropic's API has no seed."),
)
def foreign_parameter(cell: Cell) -> None:
    name = _preset(cell, seed=5, top_p=0.5)
    _seen(cell, name)
    assert [parameter(cell, name) for name in ("seed", "top_p")] == [None if cell.target == ANTHROPIC else 5, 0.5]


@CASES.add("How much to think")
def preset_effort(cell: Cell) -> None:
    name = _preset(cell, reasoning_effort="high")
    _seen(cell, name, max_tokens=20_000)
    sent = cell.sent()
    told = {OPENAI: sent.get("reasoning_effort"), OLLAMA: sent.get("think")}.get(cell.target)
    if cell.target == ANTHROPIC:
        assert sent["thinking"]["budget_tokens"] == 16384
    else:
        assert told == "high"


@CASES.add("A parameter outside every vocabulary goes where the target takes such ones")
def extra_parameter(cell: Cell) -> None:
    name = _preset(cell, custom_params={"frobnicate": "3"})
    _seen(cell, name)
    sent = cell.sent()
    assert (sent["options"] if cell.target == OLLAMA else sent)["frobnicate"] == 3


@CASES.add(
    "A strict preset refuses rather than lose a field",
    Absent("ollama>openai", "An OpenAI-compatible server can be told all that Ollama's SDK can say."),
)
def strict_preset(cell: Cell) -> None:
    preset = _preset(cell, strict=True)
    name, message, options = lossy(cell)
    if cell.pair.caller == cell.target:
        cell.caller.whole(preset, ask_of((message,), options))
        return
    failure = cell.failure_of(preset, (message,), options)
    assert failure.status == 400
    assert f"`{name}`" in failure.message
