"""What `/api/v1/models` tells, to whom, and the pictures it serves."""

import base64

import pytest

from modelyard.control.catalogue.images import DEFAULT_IMAGE, MAX_IMAGE_BYTES
from tests.control.conftest import CONFINED_ADMIN_KEY, OTHER_KEY, USER_KEY

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"\x00" * 64,
    "image/gif": b"GIF89a" + b"\x00" * 64,
    "image/webp": b"RIFF\x40\x00\x00\x00WEBPVP8 " + b"\x00" * 64,
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
IMAGE = "/api/v1/models/model/profile/image"
LONG_ID = "x/" + "y" * 254
ODD_IDS = (LONG_ID, "a/b:c.d", "100%_sure", "größe'\"", "模型?&=#+", "back\\slash")


def data_uri(media_type, content):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def create(client, model_id, **fields):
    form = {"id": model_id, "name": model_id, "base_model_id": "echo", "meta": {}, "params": {}, **fields}
    return client.post("/api/v1/models/create", json=form)


@pytest.fixture(scope="module")
def clients(peopled):
    keys = {"user": USER_KEY, "other": OTHER_KEY, "confined": CONFINED_ADMIN_KEY, "nobody": None}
    made = {name: peopled.client(key) for name, key in keys.items()}
    yield {**made, "admin": peopled.admin}
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def presets(clients):
    """Presets that everybody reads, those with odd ids among them, one that nobody else does, and an override."""
    for model_id in ODD_IDS:
        meta = {"description": f"about {model_id}", "tags": [{"name": "Ünï"}, {"name": "翻译"}], "kept": {"x": [1]}}
        answer = create(clients["admin"], model_id, meta=meta, params={"system": "secret"}, access_control=None)
        assert answer.status_code == 200, answer.text
    private = {"meta": {"profile_image_url": data_uri("image/png", PNG), "tags": [{"name": "hidden"}]}}
    assert create(clients["admin"], "private", **private, access_control={}).status_code == 200
    override = create(clients["admin"], "lorem-override", base_model_id=None, meta={"tags": [{"name": "Grün"}]})
    assert override.status_code == 200, override.text


def listed(client, **query):
    answer = client.get("/api/v1/models/list", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "query",
    [
        {"order_by": "params"}, {"order_by": "id; drop table models"}, {"direction": "up"}, {"view_option": "all"},
        {"page": 0}, {"page": -1}, {"page": "x"}, {"page": 10**30}, {"limit": 0}, {"limit": 101},
        {"query": "x" * 501}, {"tag": "x" * 501},
    ],
)  # fmt: skip
def test_what_a_list_cannot_do_is_refused(query, clients):
    answer = clients["user"].get("/api/v1/models/list", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_list_tells_presets_with_their_owner_and_hides_parameters_from_who_may_not_write(clients, presets):
    everyone = listed(clients["user"], order_by="name", direction="asc")
    assert [item["id"] for item in everyone["items"]] == sorted(ODD_IDS, key=str.casefold)
    assert everyone["total"] == len(ODD_IDS)
    assert everyone["counts"] == {"all": len(ODD_IDS), "created": 0, "shared": len(ODD_IDS)}
    for item in everyone["items"]:
        assert item["params"] == {}
        assert item["write_access"] is False
        assert item["meta"]["kept"] == {"x": [1]}
        assert item["access_control"] is None
        assert item["user"]["name"] == "Built-in administrator"
    mine = listed(clients["admin"], view_option="created", query="ÜBER".lower())
    assert mine["total"] == 0
    assert listed(clients["admin"])["items"][0]["params"] in ({}, {"system": "secret"})
    assert listed(clients["admin"], query="private")["items"][0]["write_access"] is True


def test_a_list_tells_whether_the_base_of_a_model_is_there(clients, presets):
    with_latest = create(clients["admin"], "stands", base_model_id="slow:latest", is_active=False, access_control={})
    without = create(clients["admin"], "floats", base_model_id="no-such-base", access_control={})
    assert (with_latest.status_code, without.status_code) == (200, 200)

    def offered(model_id):
        return listed(clients["admin"], query=model_id)["items"][0]["base_offered"]

    try:
        assert (offered("stands"), offered("floats")) == (True, False)
        assert create(clients["admin"], "slow", base_model_id=None, is_active=False).status_code == 200
        assert offered("stands") is False
    finally:
        for model_id in ("stands", "floats", "slow"):
            clients["admin"].post("/api/v1/models/model/delete", json={"id": model_id})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("%", {"100%_sure"}), ("_", {"100%_sure"}), ("GRÖẞE'\"", {"größe'\""}), ("back\\SLASH", {"back\\slash"}),
        ("about a/b", {"a/b:c.d"}), ("ECHO", set(ODD_IDS)), ("built-in", set(ODD_IDS)), (LONG_ID, {LONG_ID}), ("*", set()),
    ],
)  # fmt: skip
def test_a_search_knows_no_wildcards_and_no_case(query, found, clients, presets):
    assert {item["id"] for item in listed(clients["user"], query=query)["items"]} == found


def test_a_tag_is_found_whole_in_any_script(clients, presets):
    for tag in ("ünÏ", "翻译"):
        assert listed(clients["user"], tag=tag)["total"] == len(ODD_IDS)
    for tag in ("nï", "翻", "%", "kept", "hidden"):
        assert listed(clients["user"], tag=tag)["total"] == 0
    assert listed(clients["admin"], tag="HIDDEN")["total"] == 1


def test_pages_hold_every_row_once_and_end_with_an_empty_one(clients, presets):
    pages = [listed(clients["user"], page=page, limit=2) for page in range(1, 5)]
    told = [item["id"] for page in pages for item in page["items"]]
    assert sorted(told) == sorted(ODD_IDS)
    assert pages[3] == {"items": [], "total": len(ODD_IDS), "counts": pages[0]["counts"]}


def test_tags_are_those_of_what_one_may_see(clients, presets):
    assert clients["user"].get("/api/v1/models/tags").json() == ["Ünï", "翻译"]
    assert clients["admin"].get("/api/v1/models/tags").json() == ["hidden", "Ünï", "翻译"]
    assert clients["admin"].get("/api/v1/models/base/tags").json() == ["Grün"]


def test_only_administrators_read_the_whole_catalogue(clients, presets):
    for path in ("base", "all", "base/tags"):
        for who, status in (("user", 403), ("confined", 403), ("nobody", 401)):
            assert clients[who].get(f"/api/v1/models/{path}").status_code == status
    every = clients["admin"].get("/api/v1/models/all").json()
    assert {*ODD_IDS, "private", "lorem-override", "echo", "lorem"} == {row["id"] for row in every}
    bases = clients["admin"].get("/api/v1/models/base").json()
    assert {row["id"] for row in bases} == {"lorem-override", "echo", "lorem"}
    assert [row["id"] for row in clients["admin"].get("/api/v1/models/base", params={"tag": "GRÜN"}).json()] == [
        "lorem-override"
    ]


def test_a_hidden_row_and_none_at_all_look_the_same(clients, presets):
    hidden, unknown = (clients["user"].get("/api/v1/models/model", params={"id": name}) for name in ("private", "none"))
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json() == unknown.json()
    for model_id in ODD_IDS:
        told = clients["user"].get("/api/v1/models/model", params={"id": model_id})
        assert told.status_code == 200
        assert told.json()["id"] == model_id
        assert told.json()["params"] == {}
    whole = clients["admin"].get("/api/v1/models/model", params={"id": "private"}).json()
    assert whole["meta"]["profile_image_url"] == data_uri("image/png", PNG)


def test_a_confined_key_reads_what_is_in_its_scope_and_writes_nothing(clients, presets):
    assert listed(clients["confined"])["total"] == 0
    assert clients["confined"].get("/api/v1/models/model", params={"id": "private"}).status_code == 404
    assert clients["confined"].get("/api/v1/models/model", params={"id": "echo"}).json()["write_access"] is False
    assert clients["confined"].get("/api/v1/models/export").status_code == 403


def test_export_is_whole_and_for_those_who_may(clients, presets):
    assert clients["user"].get("/api/v1/models/export").status_code == 403
    told = {row["id"]: row for row in clients["admin"].get("/api/v1/models/export").json()}
    assert told.keys() == {*ODD_IDS, "private"}
    assert told["private"]["meta"]["profile_image_url"] == data_uri("image/png", PNG)
    assert told["a/b:c.d"]["params"] == {"system": "secret"}
    some = clients["admin"].get("/api/v1/models/export", params={"ids": [LONG_ID, "private"]}).json()
    assert {row["id"] for row in some} == {LONG_ID, "private"}
    for wrong in ("none", "echo", "lorem-override"):
        refused = clients["admin"].get("/api/v1/models/export", params={"ids": ["private", wrong]})
        assert refused.status_code == 403, wrong
        assert wrong in refused.json()["detail"]
    assert clients["admin"].get("/api/v1/models/export", params={"ids": "x" * 501}).status_code == 422


def test_an_export_of_many_rows_holds_each_once(clients, presets):
    """More than one slice."""
    rows = [{"id": f"many-{number}", "name": "m", "base_model_id": "echo"} for number in range(120)]
    for row in rows:
        assert create(clients["admin"], row["id"]).status_code == 200
    try:
        told = [row["id"] for row in clients["admin"].get("/api/v1/models/export").json()]
        assert sorted(told) == sorted([*ODD_IDS, "private", *(row["id"] for row in rows)])
    finally:
        for row in rows:
            clients["admin"].post("/api/v1/models/model/delete", json={"id": row["id"]})


@pytest.mark.parametrize("media_type", PICTURES)
def test_a_picture_is_served_as_what_it_is(media_type, clients):
    model_id = f"with-{media_type}"
    form = {"meta": {"profile_image_url": data_uri(media_type, PICTURES[media_type])}, "access_control": None}
    assert create(clients["admin"], model_id, **form).status_code == 200
    try:
        item = listed(clients["user"], query=model_id)["items"][0]
        path = item["meta"]["profile_image_url"]
        assert path.startswith(IMAGE + "?id=")
        assert "base64" not in clients["admin"].get("/api/v1/models/all").text
        answer = clients["user"].get(path)
        assert (answer.status_code, answer.content) == (200, PICTURES[media_type])
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["cache-control"] == "private"
        again = clients["user"].get(path, headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert clients["nobody"].get(path).status_code == 401
    finally:
        clients["admin"].post("/api/v1/models/model/delete", json={"id": model_id})


@pytest.mark.parametrize(
    "url",
    [
        data_uri("image/svg+xml", SVG),
        data_uri("image/png", SVG),
        data_uri("image/png", PICTURES["image/gif"]),
        data_uri("image/png", PNG + b"\x00" * MAX_IMAGE_BYTES),
        data_uri("text/html", b"<script>"),
        "data:image/png,plain",
        "data:image/png;base64,???",
        "data:",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//elsewhere.example/x.png",
        "/\\elsewhere.example/x.png",
        "http://",
        "https://elsewhere.example:port/x.png",
        "https://elsewhere.example/" + "x" * 2000,
        "picture.png",
        "http://x\n.example/",
        7,
        ["https://elsewhere.example/x.png"],
    ],
)
def test_what_is_no_picture_is_refused_and_nothing_written(url, clients):
    answer = create(clients["admin"], "refused", meta={"profile_image_url": url})
    assert answer.status_code == 422, answer.text
    assert "profile_image_url" in answer.json()["detail"]
    assert len(answer.text) < 500
    assert clients["admin"].get("/api/v1/models/model", params={"id": "refused"}).status_code == 404


@pytest.mark.parametrize("url", ["https://elsewhere.example/x.png", "/static/x.png", None, ""])
def test_nobody_is_sent_to_another_server_for_a_picture(url, clients):
    assert create(clients["admin"], "plain", meta={"profile_image_url": url}, access_control=None).status_code == 200
    try:
        answer = clients["user"].get(IMAGE, params={"id": "plain"}, follow_redirects=False)
        assert (answer.status_code, answer.content) == (200, DEFAULT_IMAGE)
        assert answer.headers["content-type"] == "image/svg+xml"
        item = listed(clients["user"], query="plain")["items"][0]
        assert item["meta"].get("profile_image_url") == (url or None)
    finally:
        clients["admin"].post("/api/v1/models/model/delete", json={"id": "plain"})


def test_the_picture_of_a_hidden_model_and_of_none_are_the_same(clients, presets):
    told = [clients["user"].get(IMAGE, params={"id": name}) for name in ("private", "none", "x" * 5000)]
    assert {(answer.status_code, answer.content, answer.headers["etag"]) for answer in told} == {
        (200, DEFAULT_IMAGE, told[0].headers["etag"])
    }
    assert clients["admin"].get(IMAGE, params={"id": "private"}).content == PNG
    assert clients["user"].get(IMAGE).status_code == 422
