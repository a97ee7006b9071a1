"""`modelyard users`: create, list."""

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
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Without a password: for a service that uses API keys only.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a user. Asks for the password unless told otherwise."""
    settings = session.settings_of(data_dir)
    if password_stdin and no_password:
        stop("Give either --password-stdin or --no-password.")
    password = None
    if not no_password:
        session.run(_check_before_asking(email))
        password = _password(from_stdin=password_stdin)
    row = session.run(_create(settings, email=email, name=name, role=role, password=password))
    say(f"Made {row.email} with the role {row.role} ({row.id}).")


async def _check_before_asking(email: str) -> None:
    # Imported here, so that `--help` loads nothing of the server.
    from modelyard.control.people.service import checked_email

    checked_email(email)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        stop("There is no terminal to ask for the password: use --password-stdin or --no-password.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _create(settings: "Settings", *, email: str, name: str, role: str, password: str | None) -> "UserRow":
    from modelyard.control.people import passwords, service
    from modelyard.control.transaction import COMMAND_LINE

    password_hash = None if password is None else await passwords.hashed(password)
    async with session.opened(settings, make=True) as opened:
        declared = {user.email for user in opened.stores.declared.users}
        if service.checked_email(email) in declared:
            raise Problem(Kind.CONFLICT, "A user with that e-mail address is declared in yard.yaml.", param="email")
        async with opened.changes.begin(COMMAND_LINE) as change:
            return await service.create_user(change, email=email, name=name, role=role, password_hash=password_hash)


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
                    "group_ids": sorted(row.group_ids),
                    "source": row.source,
                    "created_at": row.created_at,
                }
                for row in rows
            ]
        )
        return
    write_table(
        ("e-mail", "name", "role", "groups", "source", "created", "id"),
        [
            (
                row.email,
                row.name,
                row.role,
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
