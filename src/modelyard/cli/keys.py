"""`modelyard keys`: create, list, rotate, revoke."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import session
from modelyard.cli.output import moment, note, say, write_json, write_table
from modelyard.cli.session import AsJson, DataDir, Session
from modelyard.core.errors import Kind, Problem

if TYPE_CHECKING:
    from modelyard.canonical.records import CredentialRow, UserRow
    from modelyard.settings import Settings

SECONDS = {"h": 3600, "d": 24 * 3600}


def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Whose it is. Default: the only administrator's.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Good for this model only; several may be given.")] = None,
    dialect: Annotated[
        list[str] | None, typer.Option(help="Good for openai, anthropic or ollama only; several may be given.")
    ] = None,
    rpm: Annotated[int | None, typer.Option(help="Calls in any 60 seconds.")] = None,
    tpm: Annotated[int | None, typer.Option(help="Tokens in any 60 seconds.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Calls at once.")] = None,
    expires_in: Annotated[str | None, typer.Option(metavar="30d|12h", help="Days or hours that it lives.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make an API key. Standard output is the key and nothing else: KEY=$(modelyard keys create ci)"""
    settings = session.settings_of(data_dir)
    given = {
        "name": name,
        "models": model or None,
        "dialects": dialect or None,
        "limits": {"rpm": rpm, "tpm": tpm, "concurrency": concurrency},
    }
    row, owner, token = session.run(_create(settings, given, user, expires_in))
    sys.stdout.write(f"{token}\n")
    sys.stdout.flush()
    ends = f", until {moment(row.expires_at)}" if row.expires_at is not None else ""
    note(f"This is {row.name} of {_shown_owner(owner)}{ends} ({row.id}). It is shown this once.")
    if owner.role == "pending":
        note("Its owner is not approved yet: until then it is refused.")


async def _create(
    settings: "Settings", given: Mapping[str, Any], email: str | None, expires_in: str | None
) -> "tuple[CredentialRow, UserRow, str]":
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.canonical.snapshot import Limits
    from modelyard.control.keys import service
    from modelyard.control.keys.schemas import NewKey
    from modelyard.control.transaction import COMMAND_LINE

    form = NewKey.model_validate({**given, "expires_at": _expiry(expires_in)})
    async with session.opened(settings, make=True) as opened:
        owner = _owner(await opened.users(), email)
        async with opened.changes.begin(COMMAND_LINE) as change:
            row, token = await service.add_key(
                change,
                opened.stores.seal,
                name=form.name,
                user_id=owner.id,
                models=form.models,
                dialects=form.dialects,
                limits=Limits(rpm=form.limits.rpm, tpm=form.limits.tpm, concurrency=form.limits.concurrency),
                expires_at=form.expires_at,
            )
        return row, owner, token


def _expiry(expires_in: str | None) -> int | None:
    from modelyard.core.clock import now

    if expires_in is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dh])", expires_in.strip())
    if match is None:
        raise Problem(Kind.MALFORMED, f"--expires-in: {expires_in!r} is not a time such as 30d or 12h.")
    return now() + int(match[1]) * SECONDS[match[2]]


def _owner(users: "Sequence[UserRow]", email: str | None) -> "UserRow":
    if email is not None:
        return _user(users, email)
    administrators = [user for user in users if user.role == "admin"]
    # A person before the built-in administrator, which lasts only as long as its setting.
    owners = [user for user in administrators if user.email] or administrators
    if not owners:
        raise Problem(
            Kind.NOT_FOUND, "There is no administrator yet. Make one with: modelyard users create EMAIL --role admin"
        )
    if len(owners) > 1:
        raise Problem(Kind.CONFLICT, "There are several administrators: say whose key it is with --user EMAIL.")
    return owners[0]


def _user(users: "Sequence[UserRow]", email: str) -> "UserRow":
    found = [user for user in users if user.email and user.email == email.strip().lower()]
    if not found:
        raise Problem(Kind.NOT_FOUND, f"There is no user with the e-mail address {email}.")
    return found[0]


def _shown_owner(user: "UserRow") -> str:
    return user.email or user.name


def list_keys(
    user: Annotated[str | None, typer.Option(metavar="EMAIL", help="Only those of this user.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List all keys that are not revoked, also those of the environment and of yard.yaml. No secret is known."""
    from modelyard.core.clock import now

    rows, owners = session.run(_rows(session.settings_of(data_dir), user))
    if as_json:
        write_json([_plain(row, owners) for row in rows])
        return
    write_table(
        ("name", "owner", "hint", "models", "dialects", "limits", "expires", "source", "created", "id"),
        [
            (
                row.name,
                owners.get(row.user_id, "nobody"),
                row.hint,
                ", ".join(row.models) if row.models is not None else "all",
                ", ".join(row.dialects) if row.dialects is not None else "all",
                _limits(row),
                "expired" if row.expires_at is not None and row.expires_at <= now() else moment(row.expires_at),
                row.source,
                moment(row.created_at or None),
                row.id,
            )
            for row in rows
        ],
        when_empty="There is no key. Make one with: modelyard keys create",
    )


async def _rows(settings: "Settings", email: str | None) -> "tuple[list[CredentialRow], dict[str, str]]":
    """(the keys, who their owners are by id)"""
    from modelyard.control.keys import queries

    async with session.opened(settings) as opened:
        users = await opened.users()
        wanted = _user(users, email).id if email is not None else None
        async with opened.stores.database.read() as connection:
            stored = await queries.listed(connection, wanted)
        declared = [row for row in opened.stores.declared.credentials if wanted is None or row.user_id == wanted]
        return [*declared, *stored], {user.id: _shown_owner(user) for user in users}


def _plain(row: "CredentialRow", owners: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "user_id": row.user_id,
        "user": owners.get(row.user_id),
        "hint": row.hint,
        "models": None if row.models is None else list(row.models),
        "dialects": None if row.dialects is None else list(row.dialects),
        "limits": {"rpm": row.limits.rpm, "tpm": row.limits.tpm, "concurrency": row.limits.concurrency},
        "expires_at": row.expires_at,
        "source": row.source,
        "created_at": row.created_at,
    }


def _limits(row: "CredentialRow") -> str:
    named = {"rpm": row.limits.rpm, "tpm": row.limits.tpm, "at once": row.limits.concurrency}
    return ", ".join(f"{value} {name}" for name, value in named.items() if value is not None) or "none"


def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `modelyard keys list` shows it.")],
    overlap: Annotated[int, typer.Option(metavar="SECONDS", help="How long the old key works beside the new one.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Make a key in place of another one. Standard output is the new key and nothing else."""
    row, token = session.run(_rotate(session.settings_of(data_dir), key_id, overlap))
    sys.stdout.write(f"{token}\n")
    sys.stdout.flush()
    note(f"This is {row.name} from now on ({row.id}). It is shown this once.")
    if row.id != key_id:
        note(f"The old key works for {overlap} seconds more." if overlap else "The old key has ended.")


async def _rotate(settings: "Settings", key_id: str, overlap: int) -> "tuple[CredentialRow, str]":
    from modelyard.control.keys import service
    from modelyard.control.transaction import COMMAND_LINE

    async with session.opened(settings) as opened:
        _check_stored(opened, key_id)
        async with opened.changes.begin(COMMAND_LINE) as change:
            return await service.rotate(change, opened.stores.seal, key_id, overlap_seconds=overlap)


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `modelyard keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key: it is refused everywhere from now on."""
    session.run(_revoke(session.settings_of(data_dir), key_id))
    say(f"Revoked {key_id}.")


async def _revoke(settings: "Settings", key_id: str) -> None:
    from modelyard.control.keys import service
    from modelyard.control.transaction import COMMAND_LINE

    async with session.opened(settings) as opened:
        _check_stored(opened, key_id)
        async with opened.changes.begin(COMMAND_LINE) as change:
            await service.revoke(change, key_id, owner_id=None)


def _check_stored(opened: Session, key_id: str) -> None:
    for row in opened.stores.declared.credentials:
        if row.id == key_id:
            raise Problem(Kind.CONFLICT, f"This key is declared in the {row.source}; remove it there.")
