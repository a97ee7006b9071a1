"""What a person may do with a catalogue row. Pure decisions: every way to yes is written here.

Rights that are handed out are a subset of one's own: who may not share shares with nobody, who may not share with all
does not publish, and a group is named by its members or when it is open for sharing.
"""

from collections.abc import Callable, Collection, Iterable

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.canonical.snapshot import Model, Principal, Snapshot
from modelyard.control.catalogue.grants import EVERYONE, WRITE
from modelyard.core.errors import Kind, Problem
from modelyard.policy.access import may_use, named, other_spelling
from modelyard.policy.permissions import GRANT_TO_GROUPS, GRANT_TO_USERS, SHARE_MODELS, SHARE_MODELS_WITH_ALL


def is_confined(principal: Principal) -> bool:
    """True for a key that may only call models."""
    return principal.models is not None or principal.dialects is not None


def check_unconfined(principal: Principal) -> None:
    """Raises Problem FORBIDDEN for a key that may only call models."""
    if is_confined(principal):
        raise Problem(Kind.FORBIDDEN, "This API key is limited to calling models; use one without a scope to manage.")


def require(principal: Principal, permission: str) -> None:
    """Raises Problem FORBIDDEN unless the caller has this permission. Administrators have all."""
    check_unconfined(principal)
    if permission not in principal.permissions:
        raise Problem(Kind.FORBIDDEN, f"This needs the permission {permission}. Ask an administrator for it.")


def _is_granted(principal: Principal, rights: Iterable[GrantRow], permissions: Collection[str]) -> bool:
    return any(
        grant.permission in permissions
        and (
            grant.principal_id in (EVERYONE, principal.user_id)
            if grant.principal_type == "user"
            else grant.principal_id in principal.group_ids
        )
        for grant in rights
    )


def _owns(principal: Principal, row: ModelRow) -> bool:
    """Presets have owners. An override is the administrators': who made it may be none any more."""
    return row.base_model_id is not None and row.user_id is not None and row.user_id == principal.user_id


def may_write(principal: Principal, row: ModelRow, rights: Iterable[GrantRow]) -> bool:
    """True when the caller may change this row: administrators, a preset's owner, and who was given write access."""
    if is_confined(principal):
        return False
    if principal.manages or _owns(principal, row):
        return True
    return _is_granted(principal, rights, (WRITE,))


def may_read(principal: Principal, row: ModelRow, rights: Collection[GrantRow], snapshot: Snapshot) -> bool:
    """True when the caller may see this row."""
    return (
        principal.sees_all
        or snapshot.open_catalogue
        or _owns(principal, row)
        or _is_granted(principal, rights, ("read", WRITE))
    )


def check_base(
    principal: Principal,
    model_id: str,
    base_model_id: str | None,
    snapshot: Snapshot,
    offers: Callable[[str], bool],
    *,
    is_new: bool,
) -> None:
    """Raises Problem unless the caller may have a row of this id over this base. `offers` says which names backends offer.

    Overrides of base models are administrators'; a preset stands on a base that its maker may use, and never takes the
    name of a base model.
    """
    if base_model_id is None:
        if not principal.manages:
            raise Problem(
                Kind.FORBIDDEN,
                "Only an administrator may govern a base model; name a base_model_id.",
                param="base_model_id",
            )
        return
    if not principal.manages:
        base = base_named(snapshot, base_model_id)
        if base is None or not may_use(principal, base, snapshot):
            raise Problem(
                Kind.FORBIDDEN,
                f"The base model {base_model_id!r} does not exist or you have no access to it.",
                param="base_model_id",
            )
    if is_new:
        check_name(model_id, offers)


def check_name(model_id: str, offers: Callable[[str], bool]) -> None:
    """Raises Problem CONFLICT when a new preset would take the name of a base model. `offers` says which names backends
    offer."""
    if offers(model_id) or offers(other_spelling(model_id)):
        raise Problem(
            Kind.CONFLICT,
            f"There is a base model {model_id!r}: leave base_model_id out to override it, or choose another id.",
            param="id",
        )


def is_offered(snapshot: Snapshot, model_id: str) -> bool:
    """True when a backend offers a base model of exactly this name, and nobody has switched it off."""
    return _is_base(snapshot.models.get(model_id))


def base_named(snapshot: Snapshot, name: str) -> Model | None:
    """The base model that a preset on this name stands on, None when it is gone or switched off."""
    found = named(snapshot, name)
    return found if _is_base(found) else None


def _is_base(model: Model | None) -> bool:
    return model is not None and model.base is None and bool(model.targets)


def check_grants(
    principal: Principal, old: Iterable[GrantRow], new: Collection[GrantRow], shared_groups: Collection[str]
) -> None:
    """Raises Problem FORBIDDEN when a grant is added that the caller may not hand out. What was there may stay or go.

    `shared_groups` are the groups that anybody may choose.
    """
    if principal.manages:
        return
    known = set(old)
    for grant in new:
        if grant in known:
            continue
        require(principal, SHARE_MODELS)
        if grant.principal_id == EVERYONE:
            require(principal, SHARE_MODELS_WITH_ALL)
        elif grant.principal_type == "user":
            require(principal, GRANT_TO_USERS)
        else:
            require(principal, GRANT_TO_GROUPS)
            if grant.principal_id not in principal.group_ids and grant.principal_id not in shared_groups:
                raise Problem(
                    Kind.FORBIDDEN,
                    "You may share with your own groups and with those open for it.",
                    param="access_control",
                )


def may_grant(principal: Principal, grant: GrantRow, shared_groups: Collection[str]) -> bool:
    """True when the caller may hand out this right."""
    try:
        check_grants(principal, (), (grant,), shared_groups)
    except Problem:
        return False
    return True


def check_known(rights: Iterable[GrantRow], user_ids: Collection[str], group_ids: Collection[str]) -> None:
    """Raises Problem MALFORMED for a grant to a user or a group that does not exist."""
    for grant in rights:
        known = user_ids if grant.principal_type == "user" else group_ids
        if grant.principal_id != EVERYONE and grant.principal_id not in known:
            raise Problem(
                Kind.MALFORMED,
                f"There is no {grant.principal_type} with the id {grant.principal_id[:100]!r}.",
                param="access_control",
            )
