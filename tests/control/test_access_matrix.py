"""Who may do what with a model: every role with every verb, over HTTP, against one table that a person can read."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.conftest import UPSTREAM_SECRET
from tests.servers import Scripted
from tests.yard import Yard, run_yard

M = "/api/v1/models"

# What each role gets from each verb. A number is the status of the answer; where 200 says too little, a word is:
#   seen/unseen    the row is in the answer, or it is not
#   shown/hidden   the row comes with its parameters, or without them
#   own/default    the row's picture, or the one that every model without a picture shows
#   done/refused   what became of the row in an answer that tells of many
#
# bound     an administrator who is bound by access control (BYPASS_ADMIN_ACCESS_CONTROL=false); nothing is shared with them
# writer    write access: by name, by group        reader   read access: by name, by group, by a group above theirs
# anyone    the model is open to everyone          stranger may make models and may not see this one
# confined  the owner's key that may only call     revoked  the owner's key that was deleted
TABLE = """
              admin bound owner writer writer/g reader reader/g reader/p anyone stranger pending confined revoked
list          seen  unseen seen seen   seen     seen   seen     seen     seen   unseen   403     seen     401
read          200   404   200   200    200      200    200      200      200    404      403     200      401
params        shown 404   shown shown  shown    hidden hidden   hidden   hidden 404      403     hidden   401
call          200   404   200   200    200      200    200      200      200    404      403     200      401
picture       own   default own   own    own      own    own      own      own    default  403     own      401
update        200   200   200   200    200      403    403      403      403    404      403     403      401
rebase        200   200   200   200    200      403    403      403      403    404      403     403      401
override      200   200   403   403    403      403    403      403      403    404      403     403      401
toggle        200   200   200   200    200      403    403      403      403    404      403     403      401
share-user    200   200   403   403    403      403    403      403      403    404      403     403      401
share-all     200   200   403   403    403      403    403      403      403    404      403     403      401
unshare       200   200   200   200    200      403    403      403      403    404      403     403      401
delete        200   200   200   200    200      403    403      403      403    404      403     403      401
delete/q      200   200   200   200    200      403    403      403      403    404      403     403      401
deleted       seen  seen  seen  unseen unseen   unseen unseen   unseen   unseen unseen   403     403      401
restore       200   200   403   404    404      404    404      404      404    404      403     403      401
history       200   200   200   200    200      403    403      403      403    404      403     403      401
version       200   200   200   200    200      403    403      403      403    404      403     403      401
diff          200   200   200   200    200      403    403      403      403    404      403     403      401
back          200   200   200   200    200      403    403      403      403    404      403     403      401
forget        200   200   200   200    200      403    403      403      403    404      403     403      401
export        seen  unseen seen  403    403      403    403      403      403    unseen   403     403      401
export/id     200   403   200   403    403      403    403      403      403    403      403     403      401
import        done  done  done  403    403      403    403      403      403    refused  403     403      401
modelfile     200   200   200   200    200      403    403      403      403    404      403     403      401
modelfile-in  200   200   200   403    403      403    403      403      403    404      403     403      401
bulk          done  done  done  done   done     refused refused refused  refused refused 403     refused  401
bulk-delete   done  done  done  done   done     refused refused refused  refused refused 403     refused  401
bulk-share    done  done  refused refused refused refused refused refused refused refused 403    refused  401
create        200   200   200   403    403      403    403      403      403    200      403     403      401
tags          seen  unseen seen seen   seen     seen   seen     seen     seen   unseen   403     seen     401
state         200   200   200   200    200      200    200      200      200    200      403     200      401
all           seen  unseen 403   403    403      403    403      403      403    403      403     403      401
base          200   200   403   403    403      403    403      403      403    403      403     403      401
base-tags     200   200   403   403    403      403    403      403      403    403      403     403      401
sync          422   422   403   403    403      403    403      403      403    403      403     403      401
delete-all    422   422   403   403    403      403    403      403      403    403      403     403      401
"""
ROLES, *ROWS = (line.split() for line in TABLE.strip().splitlines())
EXPECTED = {row[0]: dict(zip(ROLES, row[1:], strict=True)) for row in ROWS}

# Role -> (who, name of the key). Without one: the built-in administrator.
KEYS = {
    "owner": "owner-main", "writer": "writer-main", "writer/g": "writer-g-main", "reader": "reader-main",
    "reader/g": "reader-g-main", "reader/p": "reader-p-main", "anyone": "anyone-main", "stranger": "stranger-main",
    "pending": "pending-main", "confined": "owner-confined",
}  # fmt: skip
SECRETS = {role: f"key-{name}-0123456789abcdefghijklmnopqrst" for role, name in KEYS.items()}
PEOPLE = """
groups:
  - {name: makers, permissions: {workspace: {models: true, models_import: true, models_export: true}}}
  - {name: writers}
  - {name: readers}
  - {name: above}
  - {name: below, parent: above}
users:
  - email: owner@example.com
    groups: [makers]
    keys: [{name: main, key: "${OWNER}"}, {name: confined, key: "${CONFINED}", dialects: [openai]}]
  - {email: writer@example.com, keys: [{name: main, key: "${WRITER}"}]}
  - {email: writer-g@example.com, groups: [writers], keys: [{name: main, key: "${WRITER_G}"}]}
  - {email: reader@example.com, keys: [{name: main, key: "${READER}"}]}
  - {email: reader-g@example.com, groups: [readers], keys: [{name: main, key: "${READER_G}"}]}
  - {email: reader-p@example.com, groups: [below], keys: [{name: main, key: "${READER_P}"}]}
  - {email: anyone@example.com, keys: [{name: main, key: "${ANYONE}"}]}
  - {email: stranger@example.com, groups: [makers], keys: [{name: main, key: "${STRANGER}"}]}
  - {email: pending@example.com, role: pending, groups: [makers], keys: [{name: main, key: "${PENDING}"}]}
models:
  - {id: echo, access_control: null}
  - {id: lorem, access_control: null}
"""
SHARED = {
    "read": {"user_ids": ["file-reader@example.com"], "group_ids": ["file-readers", "file-above"]},
    "write": {"user_ids": ["file-writer@example.com"], "group_ids": ["file-writers"]},
}
PUBLIC = {"read": {"user_ids": ["*"]}}
PICTURE = b"\x89PNG\r\n\x1a\n and some pixels"


@dataclass(frozen=True)
class Cell:
    """One role's try of one verb on a model of its own."""

    admin: httpx2.Client
    caller: httpx2.Client
    model_id: str

    def versions(self) -> list[str]:
        """Its versions, newest first."""
        found = self.admin.get(f"{M}/model/history", params={"id": self.model_id}).json()
        return [version["id"] for version in found]

    def post(self, path: str, **body: Any) -> httpx2.Response:
        return self.caller.post(M + path, json={"id": self.model_id, **body})

    def get(self, path: str, **query: str) -> httpx2.Response:
        return self.caller.get(M + path, params={"id": self.model_id, **query})


def _status(answer: httpx2.Response) -> str:
    return str(answer.status_code)


def _named(answer: httpx2.Response, items: Callable[[Any], Any], wanted: str) -> str:
    """Whether what is wanted is among the items of an answer."""
    if answer.status_code != 200:
        return _status(answer)
    return "seen" if wanted in items(answer.json()) else "unseen"


def _ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def _list(cell: Cell) -> str:
    answer = cell.get("/list", query=cell.model_id)
    return _named(answer, lambda body: _ids(body["items"]), cell.model_id)


def _params(cell: Cell) -> str:
    answer = cell.get("/model")
    if answer.status_code != 200:
        return _status(answer)
    body = answer.json()
    assert body["write_access"] == bool(body["params"])
    return "shown" if body["params"] else "hidden"


def _call(cell: Cell) -> str:
    message = {"role": "user", "content": "hello"}
    return _status(cell.caller.post("/v1/chat/completions", json={"model": cell.model_id, "messages": [message]}))


def _picture(cell: Cell) -> str:
    answer = cell.get("/model/profile/image")
    if answer.status_code != 200:
        return _status(answer)
    return "own" if answer.content == PICTURE else "default"


def _restore(cell: Cell) -> str:
    """Of what an administrator has deleted."""
    assert cell.admin.post(f"{M}/model/delete", json={"id": cell.model_id}).status_code == 200
    return _status(cell.post("/model/restore"))


def _deleted(cell: Cell) -> str:
    assert cell.admin.post(f"{M}/model/delete", json={"id": cell.model_id}).status_code == 200
    return _named(cell.get("/deleted", limit="100"), lambda body: _ids(body["items"]), cell.model_id)


def _back(cell: Cell) -> str:
    body = {"version_id": cell.versions()[-1]}
    return _status(cell.caller.post(f"{M}/model/update/version", params={"id": cell.model_id}, json=body))


def _forget(cell: Cell) -> str:
    path = f"{M}/model/history/{cell.versions()[-1]}"
    return _status(cell.caller.delete(path, params={"id": cell.model_id}))


def _import(cell: Cell) -> str:
    answer = cell.caller.post(
        f"{M}/import", json=[{"id": cell.model_id, "name": "Taken over", "base_model_id": "echo"}]
    )
    if answer.status_code not in (200, 422):
        return _status(answer)
    return "refused" if answer.json()["results"][0]["status"] == "failed" else "done"


def _bulk(action: str, **fields: Any) -> Callable[[Cell], str]:
    def act(cell: Cell) -> str:
        answer = cell.caller.post(f"{M}/bulk", json={"ids": [cell.model_id], "action": action, **fields})
        if answer.status_code != 200:
            return _status(answer)
        return "refused" if answer.json()["results"][0]["status"] == "failed" else "done"

    return act


def _access(access_control: Any) -> Callable[[Cell], str]:
    return lambda cell: _status(cell.post("/model/access/update", access_control=access_control))


# Verb -> (its route, how it is tried).
VERBS: dict[str, tuple[str, Callable[[Cell], str]]] = {
    "list": ("GET /list", _list),
    "read": ("GET /model", lambda cell: _status(cell.get("/model"))),
    "params": ("GET /model", _params),
    "call": ("POST /v1/chat/completions", _call),
    "picture": ("GET /model/profile/image", _picture),
    "update": ("POST /model/update", lambda cell: _status(cell.post("/model/update", name="Changed"))),
    "rebase": ("POST /model/update", lambda cell: _status(cell.post("/model/update", base_model_id="lorem"))),
    "override": ("POST /model/update", lambda cell: _status(cell.post("/model/update", base_model_id=None))),
    "toggle": ("POST /model/toggle", lambda cell: _status(cell.post("/model/toggle"))),
    "share-user": (
        "POST /model/access/update",
        _access({**SHARED, "read": {"user_ids": ["file-anyone@example.com"]}}),
    ),
    "share-all": ("POST /model/access/update", _access({**SHARED, "read": {"user_ids": ["*"]}})),
    "unshare": ("POST /model/access/update", _access({})),
    "delete": ("POST /model/delete", lambda cell: _status(cell.post("/model/delete"))),
    "delete/q": (
        "DELETE /model/delete",
        lambda cell: _status(cell.caller.delete(f"{M}/model/delete", params={"id": cell.model_id})),
    ),
    "deleted": ("GET /deleted", _deleted),
    "restore": ("POST /model/restore", _restore),
    "history": ("GET /model/history", lambda cell: _status(cell.get("/model/history"))),
    "version": (
        "GET /model/history/{version_id}",
        lambda cell: _status(cell.get(f"/model/history/{cell.versions()[0]}")),
    ),
    "diff": (
        "GET /model/history/diff",
        lambda cell: _status(cell.get("/model/history/diff", **{"from": cell.versions()[-1]})),
    ),
    "back": ("POST /model/update/version", _back),
    "forget": ("DELETE /model/history/{version_id}", _forget),
    "export": ("GET /export", lambda cell: _named(cell.caller.get(f"{M}/export"), _ids, cell.model_id)),
    "export/id": ("GET /export", lambda cell: _status(cell.caller.get(f"{M}/export", params={"ids": cell.model_id}))),
    "import": ("POST /import", _import),
    "modelfile": ("GET /model/modelfile", lambda cell: _status(cell.get("/model/modelfile"))),
    "modelfile-in": (
        "POST /import/modelfile",
        lambda cell: _status(cell.post("/import/modelfile", content="FROM echo\nSYSTEM Be brief.")),
    ),
    "bulk": ("POST /bulk", _bulk("tag", tags=["new"])),
    "bulk-delete": ("POST /bulk", _bulk("delete")),
    "bulk-share": ("POST /bulk", _bulk("share", access_control={"read": {"user_ids": ["file-owner@example.com"]}})),
    "create": (
        "POST /create",
        lambda cell: _status(cell.post("/create", id=f"{cell.model_id}-new", name="New", base_model_id="echo")),
    ),
    "tags": ("GET /tags", lambda cell: _named(cell.caller.get(f"{M}/tags"), list, f"tag of {cell.model_id}")),
    "state": ("GET /state", lambda cell: _status(cell.caller.get(f"{M}/state"))),
    "all": ("GET /all", lambda cell: _named(cell.caller.get(f"{M}/all"), _ids, cell.model_id)),
    "base": ("GET /base", lambda cell: _status(cell.caller.get(f"{M}/base"))),
    "base-tags": ("GET /base/tags", lambda cell: _status(cell.caller.get(f"{M}/base/tags"))),
    "sync": ("POST /sync", lambda cell: _status(cell.caller.post(f"{M}/sync", json={"models": []}))),
    "delete-all": ("DELETE /delete/all", lambda cell: _status(cell.caller.delete(f"{M}/delete/all"))),
}

# Routes below /api/v1/models that the table need not hold, each with the reason.
EXCEPTIONS: dict[str, str] = {"GET ": "what a caller may use: discovery, tested with its own rules"}


def _id(role: str, verb: str) -> str:
    return f"model/{verb}:{role}"


def _prepare(yard: Yard, roles: list[str]) -> None:
    """A model for each role and verb: the owner's, with a picture and two versions, shared as the roles need it."""
    uri = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    with yard.client(SECRETS["owner"]) as owner:
        for temperature in (0.1, 0.2):
            items = [
                {
                    "id": _id(role, verb),
                    "name": f"{role} {verb}",
                    "base_model_id": "echo",
                    "params": {"temperature": temperature},
                    "meta": {"profile_image_url": uri, "tags": [{"name": f"tag of {_id(role, verb)}"}]},
                    "access_control": {},
                }
                for role in roles
                for verb in VERBS
            ]
            answer = owner.post(f"{M}/import", json=items)
            assert answer.status_code == 200, answer.text
    for role in roles:
        if role == "bound":
            continue  # an administrator with whom nobody has shared it
        share = {
            "ids": [_id(role, verb) for verb in VERBS],
            "action": "share",
            "access_control": PUBLIC if role == "anyone" else SHARED,
        }
        answer = yard.admin.post(f"{M}/bulk", json=share)
        assert {result["status"] for result in answer.json()["results"]} == {"updated"}, answer.text


@pytest.fixture(scope="module")
def matrix(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Yard, str]]]:
    """Role -> (its server, its key). One server for all but the administrator who is bound."""
    folder = tmp_path_factory.mktemp("matrix")
    file = folder / "yard.yaml"
    file.write_text(PEOPLE)
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": UPSTREAM_SECRET,
        **{role.upper().replace("/", "_"): secret for role, secret in SECRETS.items()},
    }
    bound = {**environment, "BYPASS_ADMIN_ACCESS_CONTROL": "false"}
    with ExitStack() as stack:
        one = stack.enter_context(run_yard(folder / "data", environment, ("--config", str(file))))
        other = stack.enter_context(run_yard(folder / "bound", bound, ("--config", str(file))))
        people: dict[str, tuple[Yard, str]] = {role: (one, secret) for role, secret in SECRETS.items()}
        made = one.admin.post("/api/v1/keys", json={"name": "gone", "user_id": "file-owner@example.com"}).json()
        assert one.admin.delete(f"/api/v1/keys/{made['id']}").status_code == 200
        people["revoked"] = (one, made["key"])
        people["admin"] = (one, one.admin.headers["authorization"].removeprefix("Bearer "))
        people["bound"] = (other, other.admin.headers["authorization"].removeprefix("Bearer "))
        assert set(people) == set(ROLES)
        _prepare(one, [role for role in ROLES if role != "bound"])
        _prepare(other, ["bound"])
        yield people


@pytest.mark.parametrize("verb", list(EXPECTED))
def test_each_role_gets_from_each_verb_what_the_table_says(matrix: dict[str, tuple[Yard, str]], verb: str) -> None:
    found = {}
    for role, (yard, key) in matrix.items():
        with yard.client(key) as caller:
            found[role] = VERBS[verb][1](Cell(yard.admin, caller, _id(role, verb)))
    assert found == EXPECTED[verb]


def test_every_verb_has_its_row_in_the_table() -> None:
    assert EXPECTED.keys() == VERBS.keys()


def test_every_route_of_the_catalogue_is_in_the_table_or_a_named_exception(
    matrix: dict[str, tuple[Yard, str]],
) -> None:
    """A new route is not forgotten: it is placed here, or this fails."""
    yard, _ = matrix["admin"]
    paths = yard.admin.get("/api/v1/openapi.json").json()["paths"]
    routes = {
        f"{method.upper()} {path.removeprefix(M)}"
        for path, methods in paths.items()
        if path == M or path.startswith(M + "/")
        for method in methods
    }
    placed = {route for route, _ in VERBS.values() if not route.endswith("/v1/chat/completions")}
    assert routes - EXCEPTIONS.keys() == placed


def test_a_route_of_the_catalogue_is_closed_to_who_shows_no_key(matrix: dict[str, tuple[Yard, str]]) -> None:
    yard, _ = matrix["admin"]
    with yard.client(None) as nobody:
        for verb, (_, attempt) in VERBS.items():
            if verb not in ("restore", "deleted"):  # these delete their model first
                assert attempt(Cell(yard.admin, nobody, _id("stranger", "create"))) == "401", verb
