"""The whole app in the test's own process, on a socket, over a large catalogue."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from bench import large_catalogue
from bench.large_catalogue import Large
from modelyard.api.protocol import HttpProtocol
from modelyard.app import Modelyard
from modelyard.settings import load
from modelyard.stores import open_stores
from modelyard.upstream.http1 import Http1Client

ADMIN_KEY = "admin-key-of-the-tests-0123456789abcdef"


@asynccontextmanager
async def served(folder: Path, large: Large) -> AsyncIterator[str]:
    """Its URL."""
    environment = {
        "MODELYARD_ADMIN_API_KEY": ADMIN_KEY, "ENABLE_OLLAMA_API": "false", "ENABLE_OPENAI_API": "false",
    }  # fmt: skip
    stores = open_stores(load({"data_dir": folder}, environment))
    await stores.migrate()
    await large_catalogue.write(stores.database, large)
    app = Modelyard(stores, Http1Client())
    await app.start()
    config = uvicorn.Config(app.front, http=HttpProtocol, lifespan="off", log_config=None, interface="asgi3")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
            await app.stop()


def authorised(key: str = ADMIN_KEY) -> dict[str, str]:
    """The header that shows a key."""
    return {"authorization": f"Bearer {key}"}
