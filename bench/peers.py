"""Installs what Modelyard is compared with, gateways and HTTP clients, into folders under bench/.peers."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import clients as client_packages
from bench.processes import ROOT, Failed

FOLDER = ROOT / "bench" / ".peers"
LITELLM = FOLDER / "litellm"
PORTKEY = FOLDER / "portkey"
PORTKEY_PACKAGE = PORTKEY / "node_modules" / "@portkey-ai" / "gateway"
# A plain install answers every streamed call with 500 "immutable" (Portkey-AI/gateway issue 1389, open) and so would
# look as if Portkey could not stream at all. Seen on node 20 with gateway 1.15.2: @hono/node-server 1.14.1 streams,
# 1.14.2 does not. 1.13.5 is what Portkey's own lock file has. A newer @hono/node-ws would insist on a newer server.
PORTKEY_OVERRIDES = {"@hono/node-server": "1.13.5", "@hono/node-ws": "1.2.0"}
CLIENTS = {"aiohttp": "aiohttp>=3.14.5,<4", "pyreqwest": "pyreqwest==0.15.1"}
INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Peer:
    version: str
    command: list[str]


def clients() -> dict[str, str]:
    """The version of each HTTP client behind `bench.clients`, by its package's name; bare needs aiohttp, too."""
    found = _client_versions()
    if not CLIENTS.keys() <= found.keys():
        folder = client_packages.FOLDER
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "venv")
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *CLIENTS.values()]
        _run(command, f"pip install {' '.join(CLIENTS)}")
        found = _client_versions()
    return found


def _client_versions() -> dict[str, str]:
    there = importlib.metadata.distributions(path=[str(client_packages.PACKAGES)])
    return {each.name: each.version for each in there if each.name in CLIENTS}


def litellm() -> Peer:
    """Its newest release that installs; once there, it stays until the folder is removed."""
    python = LITELLM / "bin" / "python"
    executable = LITELLM / "bin" / "litellm"
    if not executable.exists():
        _run([sys.executable, "-m", "venv", str(LITELLM)], "venv")
        _run([str(python), "-m", "pip", "install", "--quiet", "litellm[proxy]"], "pip install litellm[proxy]")
    version = "import importlib.metadata; print(importlib.metadata.version('litellm'))"
    return Peer(_run([str(python), "-c", version], "litellm's version"), [str(executable)])


def portkey() -> Peer:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Failed("not installed: needs node (18 or newer) and npm")
    if not PORTKEY_PACKAGE.exists():
        PORTKEY.mkdir(parents=True, exist_ok=True)
        (PORTKEY / "package.json").write_text(json.dumps({"private": True, "overrides": PORTKEY_OVERRIDES}))
        command = [npm, "install", "--prefix", str(PORTKEY), "--no-audit", "--no-fund", "@portkey-ai/gateway"]
        _run(command, "npm install @portkey-ai/gateway")
    version = _package_version(PORTKEY_PACKAGE)
    # Nested in the gateway's own folder is what it would load first.
    inner = PORTKEY_PACKAGE / "node_modules" / "@hono" / "node-server"
    hono = _package_version(inner if inner.exists() else PORTKEY / "node_modules" / "@hono" / "node-server")
    if hono != PORTKEY_OVERRIDES["@hono/node-server"]:
        raise Failed(f"installed with @hono/node-server {hono}, which breaks its streams: remove bench/.peers/portkey")
    server = PORTKEY_PACKAGE / "build" / "start-server.js"
    return Peer(f"{version} (@hono/node-server {hono}, node {_run([node, '--version'], 'node')})", [node, str(server)])


def _package_version(folder: Path) -> str:
    return str(json.loads((folder / "package.json").read_text())["version"])


def _run(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Failed(f"not installed: {what}: {type(problem).__name__}") from problem
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Failed(f"not installed: {what} failed: {' '.join(last)[:200]}")
    return done.stdout.strip()
