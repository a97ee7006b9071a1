"""`access_control` and grants say the same thing; rights are a subset of one's own; levels of access."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.canonical.snapshot import Principal, Snapshot
from modelyard.control.catalogue import sharing
from modelyard.control.catalogue.editing import rights_given
from modelyard.control.catalogue.grants import MAX_GRANTS, access_control_of, grants_from_rows, grants_of
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import GRANT_TO_GROUPS, GRANT_TO_USERS, SHARE_MODELS, SHARE_MODELS_WITH_ALL

PUBLIC = [("user", "*", "read")]


def triples(grants: list[GrantRow] | None) -> list[tuple[str, str, str]]:
    assert grants is not None
    assert all((grant.resource_type, grant.resource_id) == ("model", "m") for grant in grants)
    return [(grant.principal_type, grant.principal_id, grant.permission) for grant in grants]


def grant(principal_type: str, principal_id: str, permission: str) -> GrantRow:
    return GrantRow(
        resource_type="model", resource_id="m", principal_type=principal_type, principal_id=principal_id,
        permission=permission,
    )  # fmt: skip


names = st.lists(st.text(min_size=1, max_size=20).filter(lambda name: name != "*"), max_size=4, unique=True)
lists = st.fixed_dictionaries({"user_ids": names, "group_ids": names})
controls = st.one_of(st.none(), st.just({}), st.fixed_dictionaries({"read": lists, "write": lists}))


@given(controls)
def test_an_access_control_comes_back_as_it_was_given(control: dict[str, Any] | None) -> None:
    given_grants = grants_of("m", control)
    shown = access_control_of(given_grants)
    assert set(grants_of("m", shown)) == set(given_grants)
    if given_grants and control:
        assert shown == {
            permission: {field: sorted(control[permission][field]) for field in ("group_ids", "user_ids")}
            for permission in ("read", "write")
        }


def test_null_is_public_and_an_empty_object_private() -> None:
    assert triples(grants_of("m", None)) == PUBLIC
    assert grants_of("m", {}) == []
    assert (access_control_of([]), access_control_of(grants_of("m", None))) == ({}, None)


def test_one_grant_given_twice_is_one() -> None:
    assert len(grants_of("m", {"read": {"user_ids": ["a", "a"]}})) == 1
    row = {"principal_type": "user", "principal_id": "a", "permission": "read", "id": "x"}
    assert len(grants_from_rows("m", [row, {**row, "id": "y"}])) == 1


@pytest.mark.parametrize(
    "rows",
    [[{}], [{"principal_type": "user", "principal_id": None, "permission": "read"}],
     [{"principal_type": "anyone", "principal_id": "*", "permission": "read"}],
     [{"principal_type": "group", "principal_id": "*", "permission": "read"}],
     [{"principal_type": "user", "principal_id": "*", "permission": "write"}],
     [{"principal_type": "user", "principal_id": "", "permission": "read"}],
     [{"principal_type": "user", "principal_id": str(number), "permission": "read"} for number in range(MAX_GRANTS + 1)]],
    ids=range(7),
)  # fmt: skip
def test_what_is_no_grant_is_refused(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(Problem) as refused:
        grants_from_rows("m", rows)
    assert refused.value.kind is Kind.MALFORMED


ROW = {"principal_type": "user", "principal_id": "a", "permission": "read"}
A, B = grant("user", "a", "read"), grant("user", "b", "read")


@pytest.mark.parametrize(
    ("form", "old", "wanted"),
    [
        ({}, None, None),
        ({"access_grants": None}, [A], None),
        ({"access_control": None}, [A], PUBLIC),
        ({"access_grants": None, "access_control": None}, [A], PUBLIC),
        ({"access_grants": []}, [A], []),
        ({"access_grants": [ROW], "access_control": {}}, [A], []),  # the lists were changed
        ({"access_grants": [], "access_control": {"read": {"user_ids": ["a"]}}}, [A], []),  # the grants were
        ({"access_grants": [ROW], "access_control": {"read": {"user_ids": ["a"]}}}, [A], [("user", "a", "read")]),
        ({"access_grants": [ROW], "access_control": None}, [B], []),  # both, and they agree on nothing
        ({"access_grants": [ROW], "access_control": {"read": {"user_ids": ["a", "c"]}}}, None, [("user", "a", "read")]),
    ],
)
def test_of_two_forms_the_one_that_was_changed_counts(form: dict[str, Any], old: Any, wanted: Any) -> None:
    found = rights_given("m", form, old)
    assert (None if found is None else triples(found)) == wanted


def someone(*permissions: str, **fields: Any) -> Principal:
    about = {"user_id": "u", "name": "U", "email": "u@example.com", "role": "user", **fields}
    return Principal(**about, permissions=frozenset(permissions))


SNAPSHOT = Snapshot(version=1, credentials={}, models={}, connections={})
ALL_SHARING = (SHARE_MODELS, SHARE_MODELS_WITH_ALL, GRANT_TO_USERS, GRANT_TO_GROUPS)
NEEDED = {
    A: {SHARE_MODELS, GRANT_TO_USERS},
    grant("user", "a", "write"): {SHARE_MODELS, GRANT_TO_USERS},
    grant("user", "*", "read"): {SHARE_MODELS, SHARE_MODELS_WITH_ALL},
    grant("group", "mine", "read"): {SHARE_MODELS, GRANT_TO_GROUPS},
    grant("group", "open", "write"): {SHARE_MODELS, GRANT_TO_GROUPS},
}


@pytest.mark.parametrize("missing", ALL_SHARING)
@pytest.mark.parametrize("wanted", NEEDED)
def test_each_kind_of_grant_needs_its_own_permissions(wanted: GrantRow, missing: str) -> None:
    who = someone(*(set(ALL_SHARING) - {missing}), group_ids=frozenset(["mine"]))
    if missing not in NEEDED[wanted]:
        sharing.check_grants(who, [], [wanted], {"open"})
        return
    with pytest.raises(Problem) as refused:
        sharing.check_grants(who, [], [wanted], {"open"})
    assert refused.value.kind is Kind.FORBIDDEN
    sharing.check_grants(who, [wanted], [wanted], {"open"})  # what was there may stay
    sharing.check_grants(who, [wanted], [], {"open"})  # and may go


def test_a_group_that_is_neither_ones_own_nor_open_is_not_chosen() -> None:
    with pytest.raises(Problem):
        sharing.check_grants(someone(*ALL_SHARING), [], [grant("group", "closed", "read")], {"open"})
    sharing.check_grants(someone(role="admin"), [], [grant("group", "closed", "read")], {"open"})


@pytest.mark.parametrize(
    ("who", "reads", "writes"),
    [
        (someone(), False, False),
        (someone(user_id="owner"), True, True),
        (someone(user_id="a"), True, False),
        (someone(user_id="w"), True, True),
        (someone(group_ids=frozenset(["g"])), True, True),
        (someone(role="admin"), False, True),  # bound by access control: manages, and sees what it writes by id
        (someone(role="admin", sees_all=True), True, True),
        (someone(role="admin", sees_all=True, models=frozenset(["m"])), True, False),
        (someone(user_id="owner", dialects=frozenset(["openai"])), True, False),
        (someone(user_id="*"), False, False),
    ],
)
def test_who_reads_and_who_writes_a_row(who: Principal, reads: bool, writes: bool) -> None:
    row = ModelRow(id="m", user_id="owner", name="m", base_model_id="base", params={}, meta={})
    rights = [A, grant("user", "w", "write"), grant("group", "g", "write")]
    assert sharing.may_read(who, row, rights, SNAPSHOT) is reads
    assert sharing.may_write(who, row, rights) is writes
    nobodys = ModelRow(id="m", user_id=None, name="m", base_model_id=None, params={}, meta={})
    assert not sharing.may_write(someone(), nobodys, [])
    public = [grant("user", "*", "read")]
    assert sharing.may_read(someone(), nobodys, public, SNAPSHOT)
    assert not sharing.may_write(someone(), nobodys, public)
