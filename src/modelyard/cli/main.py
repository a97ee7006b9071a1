"""`modelyard`: the commands, in one table of contents."""

import sys

import typer

from modelyard.cli import audit, chat, checking, connections, importing, keys, models, serving, users, yard


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


app = _group("Manages AI models and serves them.")
app.command()(serving.serve)
app.command()(serving.migrate)
app.command()(checking.check)
app.command()(chat.chat)
app.command()(yard.export)
app.command()(yard.plan)
app.command()(yard.apply)
app.command()(yard.rollback)
app.command()(yard.revisions)

connections_app = _group("Backends that models come from.")
connections_app.command("add")(connections.add)
connections_app.command("list")(connections.list_connections)
connections_app.command("remove")(connections.remove)
connections_app.command("test")(connections.reach_connections)
app.add_typer(connections_app, name="connections")

models_app = _group("The catalogue.")
models_app.command("list")(models.list_models)
models_app.command("modelfile")(importing.export_modelfile)
app.add_typer(models_app, name="models")

import_app = _group("Moving in from other systems.")
import_app.command("open-webui")(importing.open_webui)
import_app.command("litellm")(importing.litellm)
import_app.command("localai")(importing.localai)
import_app.command("modelfile")(importing.modelfile)
app.add_typer(import_app, name="import")

users_app = _group("People and services.")
users_app.command("create")(users.create)
users_app.command("list")(users.list_users)
users_app.command("password")(users.password)
app.add_typer(users_app, name="users")

keys_app = _group("API keys.")
keys_app.command("create")(keys.create)
keys_app.command("list")(keys.list_keys)
keys_app.command("rotate")(keys.rotate)
keys_app.command("revoke")(keys.revoke)
app.add_typer(keys_app, name="keys")

audit_app = _group("Who changed what.")
audit_app.command("verify")(audit.verify)
audit_app.command("export")(audit.export)
app.add_typer(audit_app, name="audit")


def main() -> None:
    """The entry point. A worker of `serve --workers N` is started with a flag of its own, which is not for people."""
    if serving.is_worker(sys.argv):
        serving.work(sys.argv)
    else:
        app()
