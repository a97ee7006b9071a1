"""`python -m bench.with_client CLIENT serve ...`: Modelyard's own command line with another client behind the seam."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from modelyard import cli, serve
from modelyard.settings import Settings, SettingsError
from modelyard.upstream.client import Client

# Imported when chosen: no variant carries the packages of another.
CLIENTS: Mapping[str, tuple[str, str]] = {
    "http1": ("modelyard.upstream.http1", "Http1Client"),
    "aiohttp": ("bench.clients.aiohttp_client", "AiohttpClient"),
    "pyreqwest": ("bench.clients.pyreqwest_client", "PyreqwestClient"),
}


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in CLIENTS:
        print(f"usage: python -m bench.with_client {'|'.join(CLIENTS)} serve ...", file=sys.stderr)
        return 2
    module, name = CLIENTS[sys.argv[1]]
    make: Callable[[], Client] = getattr(import_module(module), name)
    run = serve.run

    def run_with(settings: Settings, environment: dict[str, str], make_client: Callable[[], Client] = make) -> None:
        if settings.workers != 1:  # Workers are started by Modelyard's own command line, with its own client.
            raise SettingsError("bench.with_client serves with one worker only.")
        run(settings, environment, make_client)

    serve.run = run_with
    sys.argv = ["modelyard", *sys.argv[2:]]
    cli.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
