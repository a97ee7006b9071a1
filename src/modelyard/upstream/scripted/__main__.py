"""`python -m modelyard.upstream.scripted`: serve until SIGTERM or SIGINT."""

import argparse
import socket
import sys
from contextlib import suppress

from modelyard.upstream.scripted.app import ScriptedUpstream


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. The first line on the standard output has the address; port 0 picks a free one."""
    parser = argparse.ArgumentParser(
        prog="modelyard.upstream.scripted", description="a scripted upstream for OpenAI's, Anthropic's and Ollama's API"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    options = parser.parse_args(arguments)

    import uvicorn

    # Listening before the line is printed: whoever reads it can connect.
    listener = socket.create_server((options.host, options.port), backlog=2048)
    config = uvicorn.Config(ScriptedUpstream(), log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    server.force_exit = True  # do not wait for streams: some never end
    sys.stdout.write(f"scripted upstream on http://{options.host}:{listener.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
