import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from modelyard.canonical.records import ConnectionRow, CredentialRow, Declared, GrantRow, ModelRow, Offer, UserRow
from modelyard.canonical.snapshot import Limits, Model, Snapshot
from modelyard.control.settings.table import INITIAL
from modelyard.control.snapshot.compile import compile_base_models, compile_connection, compile_readers
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.patching import Rules, lay
from modelyard.control.snapshot.picture import Facts, Index, Picture, key_of
from modelyard.core.errors import Problem
from modelyard.gateway.gate import authenticate
from modelyard.policy.access import may_use, named, speaking


def connection(name: str = "a", **more: Any) -> ConnectionRow:
    given = {"kind": "openai", "flavour": "openai", "base_url": f"http://{name}/v1"}
    return ConnectionRow(id=name, name=name, **{**given, **more})


def offer(*names: str) -> Offer:
    return Offer(models=[{"id": name} for name in names])


def base_models(*rows: ConnectionRow, **offers: Offer) -> Any:
    return compile_base_models([compile_connection(row) for row in rows], offers)


def row(model_id: str, base: str | None = None, **more: Any) -> ModelRow:
    given = {"user_id": "admin", "name": model_id.upper(), "base_model_id": base, "created_at": 5}
    return ModelRow(id=model_id, **{**given, **more})


def grant(model_id: str, principal_id: str = "*", principal_type: str = "user", permission: str = "read") -> GrantRow:
    return GrantRow(
        resource_type="model",
        resource_id=model_id,
        principal_type=principal_type,
        principal_id=principal_id,
        permission=permission,
    )


PEOPLE = [
    UserRow(id="admin", email="a@x", name="A", role="admin"),
    UserRow(id="u", email="u@x", name="U", group_ids=frozenset({"g"})),
    UserRow(id="v", email="v@x", name="V"),
    UserRow(id="gone", email="p@x", name="P", role="pending"),
]


def picture(
    rows: list[ModelRow] | None = None,
    grants: list[GrantRow] | None = None,
    names: tuple[str, ...] = (),
    credentials: list[CredentialRow] | None = None,
) -> Picture:
    """Everything compiled as at a start: one connection `a` that offers these names."""
    of_models: dict[str, list[GrantRow]] = {}
    for one in grants or []:
        of_models.setdefault(one.resource_id, []).append(one)
    facts = Facts(
        version=1,
        whole=True,
        settings={},
        groups=[],
        users={user.id: user for user in PEOPLE},
        credentials={key_of(row): row for row in credentials or []},
        connections=[connection()],
        models={row.id: row for row in rows or []},
        grants=of_models,
    )
    rules = Rules(declared=Declared(), initial_settings=INITIAL, preset_wins=False, bypass_admin=True)
    return asyncio.run(lay(Picture(), facts, {"a": offer(*names)}, rules, Pace()))


USERS = picture().principals


def compiled(rows: list[ModelRow], grants: list[GrantRow] | None = None, *names: str) -> dict[str, Model]:
    return dict(picture(rows, grants, names or ("m",)).models)


def allowed(models: dict[str, Model], user: str, model_id: str) -> bool:
    snapshot = Snapshot(version=1, credentials={}, models=models, connections={})
    return may_use(USERS[user], models[model_id], snapshot)


def test_prefix_and_allow_list() -> None:
    found = base_models(connection(prefix_id="p", model_ids=("x", "z")), a=offer("x", "y"))
    assert list(found) == ["p.x"]
    assert bytes(found["p.x"].targets[0].upstream_model) == b'"x"'
    assert found["p.x"].targets[0].model == "x"
    assert msgspec.json.decode(found["p.x"].entry)["id"] == "p.x"
    assert list(base_models(connection(model_ids=("x", "z")))) == ["x", "z"], "without a list the allow-list stands"
    assert list(base_models(connection())) == []
    assert list(base_models(connection(enable=False), a=offer("x"))) == []


def test_one_name_of_several_connections_and_keys() -> None:
    found = base_models(
        connection("a", api_keys=("k1", "k2")),
        connection("b", kind="ollama", flavour="ollama"),
        a=offer("m"),
        b=offer("m", "n"),
    )
    assert [(one.connection.id, one.secrets) for one in found["m"].targets] == [
        ("a", ("k1",)),
        ("a", ("k2",)),
        ("b", ()),
    ]
    assert [dict(one.headers).get("authorization") for one in found["m"].targets] == ["Bearer k1", "Bearer k2", None]
    assert found["m"].owned_by == "openai"
    assert found["n"].owned_by == "ollama"


def test_a_name_that_a_backend_lists_twice_is_one_target() -> None:
    assert len(base_models(connection(), a=offer("m", "m"))["m"].targets) == 1


@pytest.mark.parametrize(
    ("url", "path"),
    [("http://h", ""), ("http://h/v1", ""), ("http://h/v1/", ""), ("http://h/x/v1", "/x"), ("http://h/x", "/x")],
)
def test_base_urls_with_and_without_the_api_root(url: str, path: str) -> None:
    one = compile_connection(connection(base_url=url)).connection
    assert one.endpoint.path == path


def test_own_headers_win() -> None:
    compiled_ = compile_connection(connection(api_keys=("k{key}",), headers={"Authorization": "mine", "X-A": "1"}))
    [(secret, headers)] = compiled_.credentials
    assert secret == "k{key}"
    assert dict(headers)["authorization"] == "mine"
    assert dict(headers)["x-a"] == "1"
    assert [name for name, _ in headers] == [name.lower() for name, _ in headers]
    [(_, plain)] = compile_connection(connection(api_keys=("k{key}",))).credentials
    assert dict(plain)["authorization"] == "Bearer k{key}"


def test_overrides_rename_and_hide() -> None:
    models = compiled(
        [row("m", params={"temperature": "1"}, meta={"max_tokens": 9}), row("n", is_active=False)], [], "m", "n", "o"
    )
    assert list(models) == ["m", "o"]
    entry = msgspec.json.decode(models["m"].entry)
    assert (models["m"].name, entry["name"], entry["id"], entry["created"]) == ("M", "M", "m", 5)
    assert models["m"].preset is not None
    assert models["m"].preset.params == {"temperature": 1.0}
    assert models["m"].max_tokens == 9
    assert models["o"].preset is None
    assert compiled([row("absent")]).keys() == {"m"}, "an override of nothing is nothing"


def test_presets() -> None:
    models = compiled(
        [row("p", "m", params={"system": "s"}), row("q", "absent"), row("r", "m", is_active=False), row("m", "m")]
    )
    assert list(models) == ["m", "p", "q"]
    assert models["p"].base is models["m"]
    assert models["p"].targets == models["m"].targets
    assert (models["q"].base, models["q"].targets) == (None, ())
    assert models["m"].base is None, "a preset cannot take a base model's name"


def test_presets_stand_in_the_order_of_their_age_and_an_order_of_rows_changes_nothing() -> None:
    rows = [row("z", "m", created_at=1), row("b", "m", created_at=2), row("a", "m", created_at=2), row("m")]
    assert list(compiled(rows)) == list(compiled(rows[::-1])) == ["m", "z", "a", "b"]


def test_a_preset_stands_on_a_base_by_its_other_spelling() -> None:
    models = compiled([row("p", "m:latest"), row("q", "n")], [], "m", "n:latest")
    assert models["p"].base is models["m"]
    assert models["q"].base is models["n:latest"]


def test_a_preset_does_not_move_to_the_other_spelling_of_a_base_that_is_switched_off() -> None:
    preset, off, on = row("p", "m"), row("m", is_active=False), row("m:latest")
    both = compiled([preset, off, on], [], "m", "m:latest")
    assert (list(both), both["p"].base) == (["m:latest", "p"], None)
    alone = compiled([preset, off, on], [], "m:latest")
    assert alone["p"].base is None, "calls of that name are refused, too"
    assert compiled([preset, on], [], "m:latest")["p"].base is not None
    theirs = compiled([preset, row("m", "n", is_active=False), on], [], "m:latest", "n")
    assert theirs["p"].base is theirs["m:latest"], "a preset of the name is no base model that could be switched off"


SPELLINGS = ("m", "m:latest")


@pytest.mark.parametrize("offered", [(), ("m",), ("m:latest",), SPELLINGS])
def test_the_row_that_speaks_for_a_name_is_the_one_that_calls_of_it_follow(offered: tuple[str, ...]) -> None:
    """Whatever rows there are: none, a preset or an override under each spelling, each switched off or not."""
    kinds = [None, *((base, is_active) for base in (None, "n") for is_active in (True, False))]
    for found in itertools.product(kinds, repeat=2):
        pairs = [(name, kind) for name, kind in zip(SPELLINGS, found, strict=True) if kind is not None]
        rows = {name: row(name, base, is_active=is_active) for name, (base, is_active) in pairs}
        overrides = {name for name, one in rows.items() if one.base_model_id is None}
        if len(rows) == 2 and not overrides.issubset(offered) and (len(overrides) == 2 or not offered):
            continue  # an override of nothing beside a row that is in force: it is found by its id, calls pass it over
        made = picture(list(rows.values()), [], (*offered, "n"))
        closed = frozenset(name for name, one in rows.items() if not one.is_active)
        snapshot = Snapshot(version=1, credentials={}, models=made.models, connections={}, closed=closed)
        for name in SPELLINGS:
            called, speaks = named(snapshot, name), speaking(name, rows, made.offered.models.__contains__)
            is_base = any(one in offered for one in SPELLINGS)
            case = (name, offered, pairs)
            if speaks is None:
                assert (called is not None) == is_base, case
                assert called is None or (called.base, called.info) == (None, None), case
            elif not speaks.is_active or (speaks.base_model_id is None and not is_base):
                assert called is None, case
            else:
                assert called is not None, case
                assert called.info is not None, case
                assert called.info["id"] == speaks.id, case


def test_what_people_are_shown_of_a_row_is_without_parameters_and_images() -> None:
    meta = {"description": "d", "profile_image_url": "data:image/png;base64,AAAA"}
    rows = [row("p", "m", params={"system": "secret"}, meta=meta, updated_at=7), row("m", meta={"a": 1})]
    models = compiled(rows, [grant("p", "u"), grant("p", "g", "group", "write"), grant("m")], "m", "n")
    assert models["p"].info == {
        "id": "p",
        "user_id": "admin",
        "base_model_id": "m",
        "name": "P",
        "meta": {"description": "d"},
        "access_control": {
            "read": {"user_ids": ["u"], "group_ids": []},
            "write": {"user_ids": [], "group_ids": ["g"]},
        },
        "is_active": True,
        "updated_at": 7,
        "created_at": 5,
    }
    assert models["m"].info is not None
    assert models["m"].info["access_control"] is None, "public"
    assert models["m"].info["meta"] is rows[1].meta, "nothing is copied"
    assert models["n"].info is None


def test_parameters_that_cannot_be_read_do_not_take_the_catalogue_down() -> None:
    bad: list[dict[str, Any]] = [
        {"temperature": "hot"},
        {"custom_params": [1]},
        {"locked": 5},
        {"max_tokens": float("inf")},
    ]
    for params in bad:
        models = compiled([row("p", "m", params=params), row("q", "m")])
        assert list(models) == ["m", "p", "q"]
        assert models["p"].preset is None


def test_readers() -> None:
    readers = compile_readers(
        [grant("m"), grant("n", "u", permission="write"), grant("n", "g", "group"), grant("o", "*", "group"),
         GrantRow(resource_type="prompt", resource_id="x", principal_type="user", principal_id="*", permission="read")]
    )  # fmt: skip
    assert readers.keys() == {"m", "n", "o"}
    assert readers["m"].everyone
    assert (readers["n"].everyone, readers["n"].user_ids, readers["n"].group_ids) == (False, {"u"}, {"g"})
    assert not readers["o"].everyone


def test_a_presets_owner_opens_the_base_only_when_they_may_use_it() -> None:
    everyone = [grant("p")]
    assert allowed(compiled([row("p", "m")], everyone), "u", "p"), "an administrator's preset"
    assert not allowed(compiled([row("p", "m", user_id="v")], everyone), "u", "p")
    assert not allowed(compiled([row("p", "m", user_id="v")], everyone), "v", "p")
    rows = [row("m"), row("p", "m", user_id="v")]
    assert allowed(compiled(rows, [*everyone, grant("m", "v")]), "u", "p")
    assert not allowed(compiled(rows, [grant("m", "v")]), "u", "p")
    assert not allowed(compiled([row("p", "m", user_id="nobody")], everyone), "u", "p")


def test_a_suspended_owner_opens_nothing() -> None:
    """An account set back to `pending` may use no model, so what it published must not reach one for others."""
    models = compiled([row("m"), row("p", "m", user_id="gone")], [grant("p"), grant("m", "gone")])
    assert not allowed(models, "u", "p")


@pytest.mark.parametrize("swapped", [False, True])
def test_a_preset_over_a_preset_is_no_way_round_the_base(swapped: bool) -> None:
    """v has no access to m. Two presets of v's own, one over the other, must not give it."""
    rows = [row("p1", "m", user_id="v"), row("p2", "p1", user_id="v")]
    models = compiled(rows[::-1] if swapped else rows)
    assert not allowed(models, "v", "p1")
    assert not (allowed(models, "v", "p2") and models["p2"].targets)


def test_credentials() -> None:
    rows = [
        CredentialRow(
            id="k1", user_id="u", digest=b"1", models=("m",), dialects=("openai",), limits=Limits(rpm=4), expires_at=100
        ),
        CredentialRow(id="k2", user_id="nobody", digest=b"2"),
        CredentialRow(id="k3", user_id="admin", digest=b"3", models=()),
        CredentialRow(id="k4", user_id="gone", digest=b"4"),
    ]
    found = picture(credentials=rows).by_digest
    assert found.keys() == {b"1", b"3", b"4"}
    one = found[b"1"]
    assert (one.user_id, one.group_ids, one.credential_id, one.models) == ("u", {"g"}, "k1", {"m"})
    assert (one.limits.rpm, one.expires_at, one.dialects) == (4, 100, {"openai"})
    assert found[b"3"].models == frozenset(), "an empty scope is nothing, not everything"
    snapshot = Snapshot(version=1, credentials=found, models={}, connections={})
    assert authenticate(snapshot, b"1", 99.9, "openai") is one
    for digest, now, dialect in (
        (b"1", 100.0, "openai"),
        (b"1", 1.0, "ollama"),
        (b"2", 1.0, None),
        (b"4", 1.0, None),
        (None, 1.0, None),
    ):
        with pytest.raises(Problem):
            authenticate(snapshot, digest, now, dialect)


def test_a_draft_of_an_index_leaves_the_index_as_it_was() -> None:
    index: Index[str] = Index()
    index.add("a", "1")
    draft = index.copy()
    draft.add("a", "2")
    draft.discard("a", "1")
    draft.add("b", "3")
    assert (set(index.of("a")), set(index.of("b"))) == ({"1"}, set())
    assert (set(draft.of("a")), set(draft.of("b"))) == ({"2"}, {"3"})
