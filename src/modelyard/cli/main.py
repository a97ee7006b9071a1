"""`modelyard`: the commands, in one table of contents."""

import sys

import typer

from modelyard.cli import chat, checking, connections, keys, models, serving, users


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


app = _group("Manages AI models and serves them.")
app.command()(serving.serve)
app.command()(serving.migrate)
app.command()(checking.check)
app.command()(chat.chat)

connections_app = _group("Backends that models come from.")
connections_app.command("add")(connections.add)
connections_app.command("list")(connections.list_connections)
connections_app.command("remove")(connections.remove)
connections_app.command("test")(connections.reach_connections)
app.add_typer(connections_app, name="connections")

models_app = _group("The catalogue.")
models_app.command("list")(models.list_models)
app.add_typer(models_app, name="models")

users_app = _group("People and services.")
users_app.command("create")(users.create)
users_app.command("list")(users.list_users)
app.add_typer(users_app, name="users")

keys_app = _group("API keys.")
keys_app.command("create")(keys.create)
keys_app.command("list")(keys.list_keys)
keys_app.command("revoke")(keys.revoke)
app.add_typer(keys_app, name="keys")


def main() -> None:
    """The entry point. A worker of `serve --workers N` is started with a flag of its own, which is not for people."""
    if serving.is_worker(sys.argv):
        serving.work(sys.argv)
    else:
        app()
