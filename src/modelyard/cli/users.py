"""`modelyard users`: create, list, password."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelyard.cli import session
from modelyard.cli.output import moment, say, stop, write_json, write_table
from modelyard.cli.session import AsJson, DataDir
from modelyard.core.errors import Kind, Problem

if TYPE_CHECKING:
    from modelyard.canonical.records import UserRow
    from modelyard.settings import Settings


def create(
    email: Annotated[str, typer.Argument(help="E-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="Name to show. Default: the address up to its @.")] = "",
    role: Annotated[Literal["pending", "user", "admin"], typer.Option(help="What they may do.")] = "user",
    kind: Annotated[
        Literal["person", "service"], typer.Option(help="A service has no password and uses API keys only.")
    ] = "person",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Without a password: who has none cannot sign in.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a user. Asks for the password unless told otherwise."""
    settings = session.settings_of(data_dir)
    if password_stdin and no_password:
        stop("Give either --password-stdin or --no-password.")
    if kind == "service" and password_stdin:
        stop("A service has no password: leave --password-stdin out.")
    password = None
    if not no_password and kind == "person":
        session.run(_check_before_asking(email))
        password = _password(from_stdin=password_stdin, otherwise="--no-password")
    row = session.run(_create(settings, email=email, name=name, role=role, kind=kind, password=password))
    say(f"Made {row.email} with the role {row.role} ({row.id}).")


async def _check_before_asking(email: str) -> None:
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.control.people.service import checked_email

    checked_email(email)


def _password(*, from_stdin: bool, otherwise: str) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        stop(f"There is no terminal to ask for the password: use --password-stdin or {otherwise}.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _create(
    settings: "Settings", *, email: str, name: str, role: str, kind: str, password: str | None
) -> "UserRow":
    from modelyard.control.people import passwords, service
    from modelyard.control.transaction import COMMAND_LINE

    password_hash = None if password is None else await passwords.hashed(password)
    async with session.opened(settings, make=True) as opened:
        declared = {user.email for user in opened.stores.declared.users}
        if service.checked_email(email) in declared:
            raise Problem(Kind.CONFLICT, "A user with that e-mail address is declared in yard.yaml.", param="email")
        async with opened.changes.begin(COMMAND_LINE) as change:
            return await service.create_user(
                change, email=email, name=name, role=role, kind=kind, password_hash=password_hash
            )


def password(
    email: Annotated[str, typer.Argument(help="Whose password.")],
    password_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the password from this environment variable.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Set a new password and end the user's sessions. Asks for it unless told otherwise."""
    from modelyard.settings import read_environment

    settings = session.settings_of(data_dir)
    if password_env is not None and password_stdin:
        stop("Give either --password-env or --password-stdin.")
    if password_env is None:
        given = _password(from_stdin=password_stdin, otherwise="--password-env NAME")
    else:
        given = read_environment().get(password_env, "")
        if not given:
            stop(f"{password_env} is not set in the environment.")
    session.run(_set_password(settings, email, given))
    say(f"{email.strip().lower()} has a new password; every session of theirs has ended.")


async def _set_password(settings: "Settings", email: str, given: str) -> None:
    from modelyard.control.people import passwords, queries, service
    from modelyard.control.transaction import COMMAND_LINE

    address = service.checked_email(email)
    password_hash = await passwords.hashed(given)
    async with session.opened(settings) as opened:
        declared = opened.stores.declared.users
        if any(user.email == address for user in declared):
            raise Problem(Kind.CONFLICT, "This user is declared in yard.yaml and has no password here.")
        async with opened.changes.begin(COMMAND_LINE) as change:
            found = await queries.by_email(change.connection, address)
            if found is None:
                raise Problem(Kind.NOT_FOUND, f"There is no user with the e-mail address {address}.")
            await service.update_user(change, found["id"], declared=declared, password_hash=password_hash)


def list_users(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List all users, also those of the environment and of yard.yaml."""
    rows = session.run(_rows(session.settings_of(data_dir)))
    if as_json:
        write_json(
            [
                {
                    "id": row.id,
                    "email": row.email,
                    "name": row.name,
                    "role": row.role,
                    "kind": row.kind,
                    "group_ids": sorted(row.group_ids),
                    "source": row.source,
                    "created_at": row.created_at,
                }
                for row in rows
            ]
        )
        return
    write_table(
        ("e-mail", "name", "role", "kind", "groups", "source", "created", "id"),
        [
            (
                row.email,
                row.name,
                row.role,
                row.kind,
                len(row.group_ids),
                row.source,
                moment(row.created_at or None),
                row.id,
            )
            for row in rows
        ],
        when_empty="There is no user yet. Make one with: modelyard users create",
    )


async def _rows(settings: "Settings") -> "list[UserRow]":
    async with session.opened(settings) as opened:
        return await opened.users()
