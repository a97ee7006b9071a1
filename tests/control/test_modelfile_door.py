"""`GET /api/v1/models/model/modelfile` tells a stranger as little as `GET /api/v1/models/model`: not which ids there are."""

import pytest

from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY

HIDDEN = "hidden-from-others"
ABSENT = "hidden-from-nobody"


@pytest.fixture(scope="module")
def hidden(peopled):
    """A server with a stored model that only administrators see; `lorem` is declared and seen by one other person."""
    made = peopled.admin.post("/api/v1/models/create", json={"id": HIDDEN, "name": "H", "base_model_id": "echo"})
    assert made.status_code == 200, made.text
    return peopled


def told(yard, key, model_id, path):
    with yard.client(key) as client:
        answer = client.get(f"/api/v1/models/{path}", params={"id": model_id})
    return answer.status_code, answer.text.replace(model_id, "").replace(answer.headers["x-request-id"], "")


@pytest.mark.parametrize("key", [USER_KEY, CONFINED_ADMIN_KEY], ids=["stranger", "confined"])
@pytest.mark.parametrize("model_id", [HIDDEN, "lorem"], ids=["stored", "declared"])
@pytest.mark.parametrize("path", ["model", "model/modelfile"])
def test_a_hidden_row_is_not_told_from_an_absent_one(hidden, key, model_id, path):
    answered = told(hidden, key, model_id, path)
    assert answered == told(hidden, key, ABSENT, path)
    assert answered[0] in (403, 404)


def test_a_stranger_gets_the_same_answer_at_both_doors(hidden):
    for model_id in (HIDDEN, "lorem", ABSENT):
        assert told(hidden, USER_KEY, model_id, "model") == told(hidden, USER_KEY, model_id, "model/modelfile")
        assert told(hidden, USER_KEY, model_id, "model")[0] == 404


def test_whoever_sees_the_row_is_told_that_the_text_is_its_writers(hidden):
    assert told(hidden, OTHER_KEY, "lorem", "model")[0] == 200
    assert told(hidden, OTHER_KEY, "lorem", "model/modelfile")[0] == 403
