"""A server with enough in it to look at: backends of which one is dead, models, people, groups, keys, and calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine import Engine
from tests.interface.conftest import ADMINISTRATOR
from tests.servers import Scripted, free_port
from tests.yard import Yard, run_yard

# id, name, description, tags, active
PRESETS = (
    ("support/first-line", "First line support", "Answers customers in their language and knows when to ask a colleague.",
     ["support", "customers"], True),
    ("support/summary", "Ticket summary", "Three sentences and the next step.", ["support"], True),
    ("research/reader", "Paper reader", "Reads a paper and lists its claims with the evidence for each.", ["research"], True),
    ("research/critic", "Critic", "Finds what a text claims and does not show.", ["research", "writing"], True),
    ("writing/plain-english", "Plain English", "Says the same in words that everybody knows.", ["writing"], True),
    ("writing/headlines", "Headlines", "Ten headlines, none of them louder than the text.", ["writing"], False),
    ("code/review", "Code review", "Reads a change and says what could break.", ["code"], True),
    ("code/commit-message", "Commit message", "Says why, in the imperative.", ["code"], True),
    ("data/sql", "SQL from a question", "Writes one query for our reporting schema.", ["code", "data"], True),
    ("legal/clauses", "Contract clauses", "Lists obligations and dates.", ["legal"], True),
    ("arabic/assistant", "مساعد الكتابة", "يكتب رسائل قصيرة وواضحة.", ["writing"], True),
    ("ops/incident", "Incident notes with a timeline, the cause as far as it is known, and the next step for each team",
     "A timeline, the cause as far as known, what to do next.", ["ops"], True),
)  # fmt: skip
PEOPLE = (
    ("research@example.com", "user"),
    ("support@example.com", "user"),
    ("ops@example.com", "admin"),
    ("new@example.com", "pending"),
)
GROUPS = (("Research", "Reads papers."), ("Support", "Talks with customers."), ("Night shift", "A part of Support."))


@contextmanager
def showcase(engine: Engine, upstream: Scripted, folder: Path) -> Iterator[Yard]:
    """The server. Its administrator signs in with EMAIL and PASSWORD of tests/interface/conftest.py."""
    with run_yard(folder / "data", ADMINISTRATOR) as yard:
        furnish(yard, engine, upstream)
        yield yard


def furnish(yard: Yard, engine: Engine, upstream: Scripted) -> None:
    yard.connect("Workshop", engine.base_url, flavour="llama.cpp", connection_type="local", tags=[{"name": "gpu"}])
    yard.connect(
        "Cloud", upstream.base_url, prefix_id="cloud", connection_type="external", api_keys=["sk-cloud-0123456789"]
    )
    yard.connect("Studio", upstream.root, kind="ollama", prefix_id="studio", model_ids=["thinking"], tags=["gpu"])
    yard.connect("Attic", f"http://127.0.0.1:{free_port()}", kind="ollama", prefix_id="attic")
    users = {email: _person(yard, email, role) for email, role in PEOPLE}
    groups = {name: _posted(yard, "/api/v1/groups/create", name=name, description=text) for name, text in GROUPS}
    for group, email in (("Research", "research@example.com"), ("Support", "support@example.com")):
        yard.admin.post(f"/api/v1/groups/id/{groups[group]['id']}/users/add", json={"user_ids": [users[email]["id"]]})
    yard.admin.post(
        f"/api/v1/groups/id/{groups['Night shift']['id']}/update",
        json={"name": "Night shift", "description": "A part of Support.", "parent_id": groups["Support"]["id"]},
    )
    for model_id, name, description, tags, active in PRESETS:
        group = groups["Research" if model_id.startswith("research") else "Support"]["id"]
        _posted(
            yard, "/api/v1/models/create", id=model_id, name=name, base_model_id="tiny-llama",
            meta={"description": description, "tags": [{"name": tag} for tag in tags],
                  "suggestion_prompts": [{"title": ["Explain", "this sentence"], "content": "Explain this sentence: "}]},
            params={"system": f"You are {name}. Today is {{{{CURRENT_DATE}}}}.", "temperature": 0.7, "max_tokens": 200},
            access_control={"read": {"group_ids": [group], "user_ids": []}, "write": {"group_ids": [], "user_ids": []}},
            is_active=active, commit_message="First version",
        )  # fmt: skip
    _posted(yard, "/api/v1/keys", name="laptop", limits={"rpm": 60, "concurrency": 2})
    _posted(
        yard,
        "/api/v1/keys",
        name="nightly report",
        user_id=users["research@example.com"]["id"],
        models=["research/reader"],
    )
    for model in ("tiny-llama", "support/first-line", "support/first-line", "code/review", "studio.thinking"):
        yard.admin.post(
            "/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20},
        )
    _change(yard, "code/review", "Same change, same review", temperature=0.2)
    _change(yard, "data/sql", "Exact, and longer queries", temperature=0.1, max_tokens=400)


def _change(yard: Yard, model_id: str, message: str, **params: Any) -> None:
    row = yard.admin.get("/api/v1/models/model", params={"id": model_id}).json()
    _posted(
        yard, "/api/v1/models/model/update", id=model_id, params={**row["params"], **params}, commit_message=message
    )


def _person(yard: Yard, email: str, role: str) -> dict[str, Any]:
    return _posted(
        yard, "/api/v1/users/", email=email, name=email.partition("@")[0], role=role, password="correct horse battery"
    )


def _posted(yard: Yard, path: str, **form: Any) -> dict[str, Any]:
    answer = yard.admin.post(path, json=form)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    made: dict[str, Any] = answer.json()
    return made
