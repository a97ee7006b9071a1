"""`modelyard`: the commands, in one table of contents."""

import sys

import typer

from modelyard.cli import serving

app = typer.Typer(
    name="modelyard",
    help="Manages AI models and serves them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serving.serve)
app.command()(serving.migrate)


def main() -> None:
    """The entry point. A worker of `serve --workers N` is started with a flag of its own, which is not for people."""
    if serving.is_worker(sys.argv):
        serving.work(sys.argv)
    else:
        app()
