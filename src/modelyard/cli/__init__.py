"""Floor 5: the command line. Imports the server only in the commands that need it, so that `--help` is quick."""

from modelyard.cli.main import main

__all__ = ["main"]
