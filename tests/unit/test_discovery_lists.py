"""Entries of `GET /api/models` and the lists made of them: shape, bounds, and what is made again when."""

from modelyard.api.entries import base_entry, model_entry, places
from modelyard.api.lists import LIST_BYTES, OVERHEAD_BYTES, Lists, Shelf
from modelyard.canonical.snapshot import Published, Readers, Snapshot
from modelyard.control.settings.table import INITIAL
from tests.unit.make import model, principal, target


def of(*models, **more) -> Snapshot:
    connections = {"a": target("a").connection}
    snapshot = Snapshot(
        version=1, credentials={}, models={one.id: one for one in models}, connections=connections, settings=INITIAL
    )
    return snapshot if not more else Snapshot(**{name: getattr(snapshot, name) for name in snapshot.__slots__} | more)


ADMIN = principal("a", "admin", sees_all=True)


def test_a_backend_cannot_set_our_fields():
    about = {
        "id": "other", "preset": True, "arena": True, "info": {"id": "x"}, "actions": [1], "direct": True, "urlIdx": 9,
        "owned_by": "arena", "context_length": 5, "created": "soon", "name": "bad\x1bname", "tags": "x",
    }  # fmt: skip
    place = places({"a": target("a").connection})["a"]
    entry = base_entry("m", about, place, ())
    assert {"preset", "arena", "info", "actions", "direct"}.isdisjoint(entry)
    assert (entry["id"], entry["name"], entry["owned_by"], entry["created"], entry["urlIdx"], entry["tags"]) == (
        "m", "m", "openai", 0, 0, [],
    )  # fmt: skip
    assert entry["context_length"] == 5 and entry["openai"] == about


def test_a_row_of_any_shape_makes_an_entry():
    known = places({"a": target("a").connection})
    for meta in (None, [], "x", {"tags": "x"}, {"tags": [7, None, {"name": 3}, {"name": "ok"}, "too"]}):
        entry = model_entry(model(targets=(target("a"),), info={"id": "m", "meta": meta, "params": {"p": 1}}), known)
        assert all(set(tag) == {"name"} for tag in entry["tags"]) and "params" not in entry["info"]
    assert entry["tags"] == [{"name": "ok"}, {"name": "too"}]


async def test_one_row_that_cannot_be_told_does_not_take_the_list_down():
    bad = model("bad", targets=(target("a"),), info={"meta": {"x": "\ud800"}})
    body, _ = await Lists(Published(of(bad, model("good", targets=(target("a"),))))).listed(ADMIN, frozenset())
    assert body is not None and b'"bad"' in body and b'"good"' in body


def test_a_shelf_stays_within_its_bytes_and_keeps_what_was_used_last():
    shelf: Shelf[str, bytes] = Shelf(10 * (100 + OVERHEAD_BYTES))
    for number in range(10):
        shelf.put(str(number), b"", 100)
    assert shelf.get("0") == b""
    shelf.put("10", b"", 100)
    assert shelf.get("1") is None and shelf.get("0") == b"" and shelf.size <= shelf.limit
    shelf.put("11", b"", shelf.limit)
    assert shelf.get("11") is None and shelf.get("10") == b""
    shelf.put("0", b"", 50)
    shelf.drop("0")
    assert shelf.size == 9 * (100 + OVERHEAD_BYTES)
    shelf.clear()
    assert shelf.size == 0 and shelf.get("10") is None


async def test_lists_for_many_rights_stay_within_their_bytes():
    rows = [
        model(f"m{i}", targets=(target("a"),), readers=Readers(user_ids=frozenset({f"u{i % 40}", "all"})),
              info={"meta": {"description": "x" * 20_000}})
        for i in range(400)
    ]  # fmt: skip
    lists = Lists(Published(of(*rows)))
    for round_ in range(2):
        for number in range(40):
            everyone = principal(f"u{number}", group_ids=frozenset({str(round_)}))
            body, _ = await lists.listed(everyone, frozenset())
            assert body is not None and body.count(b'"owned_by":"openai"') == 10
    whole, _ = await lists.listed(principal("all"), frozenset())
    assert whole is not None and len(whole) > 8_000_000
    assert len(whole) < lists.size < 64 * 1024 * 1024
    too_large = Lists(Published(of(*(model(f"n{i}", targets=(target("a"),), info={"meta": {"x": "y" * LIST_BYTES}})
                                     for i in range(2)))))  # fmt: skip
    for _ in range(2):
        body, _ = await too_large.listed(ADMIN, frozenset())
        assert body is not None and body.endswith(b"]}")
    assert too_large.size < 1_000_000


async def test_an_entry_is_made_again_only_for_a_model_that_is_another(monkeypatch):
    told: list[str] = []

    def counted(one, known):
        told.append(one.id)
        return model_entry(one, known)

    monkeypatch.setattr("modelyard.api.lists.model_entry", counted)
    rows = [model(f"m{i}", targets=(target("a"),)) for i in range(5)]
    published = Published(of(*rows))
    lists = Lists(published)
    _, first = await lists.listed(ADMIN, frozenset())
    assert len(told) == 5
    published.snapshot = of(*rows)  # somebody has signed in
    assert (await lists.listed(ADMIN, frozenset({first}))).body is None
    assert len(told) == 5
    rows[2] = model("m2", targets=(target("a"),), info={"meta": {"tags": ["new"]}})
    published.snapshot = of(*rows)
    body, second = await lists.listed(ADMIN, frozenset({first}))
    assert told[5:] == ["m2"] and second != first and body is not None and b'"new"' in body


async def test_rights_that_change_are_seen_at_once():
    row = model("m", targets=(target("a"),), readers=Readers(group_ids=frozenset({"g"})))
    published = Published(of(row))
    lists = Lists(published)
    member, stranger = principal("u", group_ids=frozenset({"g"})), principal("u")
    assert b'"m"' in ((await lists.listed(member, frozenset())).body or b"")
    assert (await lists.listed(stranger, frozenset())).body == b'{"data":[]}'
    confined = principal("u", group_ids=frozenset({"g"}), models=frozenset({"other"}))
    assert (await lists.listed(confined, frozenset())).body == b'{"data":[]}'
    published.snapshot = of(row, open_catalogue=True)
    assert b'"m"' in ((await lists.listed(stranger, frozenset())).body or b"")
    published.snapshot = of(model("m", targets=(target("a"),)))
    assert (await lists.listed(member, frozenset())).body == b'{"data":[]}'
