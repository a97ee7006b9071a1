"""What the tests of the playground share: the models, and how a person asks them."""

import time

from playwright.sync_api import Page, expect

from tests.interface.browser import DEADLINE_MS
from tests.servers import Scripted, free_port
from tests.yard import Yard

PACED = "paced.lorem"  # 150 tokens, 50 per second


def connect_models(house: Yard, upstream: Scripted) -> None:
    """The scripted upstream, four models that answer at 50 tokens per second, one without sight, and a dead backend."""
    house.connect("scripted", upstream.base_url)
    events = {"x-script-events": "150"}
    house.connect("paced", upstream.base_url, model_ids=["lorem"], prefix_id="paced", headers=events)
    house.connect("dead", f"http://127.0.0.1:{free_port()}/v1", model_ids=["dead"])
    forms = [{"id": f"pace-{number}", "name": f"Pace {number}", "base_model_id": PACED} for number in range(1, 5)]
    meta = {"suggestion_prompts": [{"content": "Tell me a story"}], "capabilities": {"vision": False}}
    forms.append({"id": "guide", "name": "دليل المدينة", "base_model_id": "echo", "meta": meta})
    for form in forms:
        answer = house.admin.post("/api/v1/models/create", json={"meta": {}, "params": {}, **form})
        assert answer.status_code == 200, answer.text


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).last.fill(text)
    page.get_by_label("Message", exact=True).last.press("Enter")


def until_done(page: Page, panes: int = 1) -> None:
    expect(page.get_by_text("The answer is complete.")).to_have_count(panes)


def until_streams(upstream: Scripted, count: int) -> None:
    """Until the backend gives so many answers."""
    deadline = time.monotonic() + DEADLINE_MS / 1000
    while (found := upstream.state()["streams_in_progress"]) != count:
        assert time.monotonic() < deadline, f"{found} answers are under way, not {count}"
        time.sleep(0.05)
