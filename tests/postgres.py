"""PostgreSQL for tests: Debian's own binaries, a cluster of its own in a temporary folder, nothing kept."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port

BINARIES = Path("/usr/lib/postgresql")
OWNER = "modelyard"


def _binaries() -> Path:
    """The newest version's programs."""
    found = sorted(BINARIES.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise RuntimeError(f"PostgreSQL is not installed: nothing in {BINARIES} (Debian: apt-get install postgresql)")
    return found[-1]


class Postgres:
    """A running cluster. It trusts everyone who comes from this machine."""

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        self._binaries = binaries
        self.folder = folder
        self.port = port

    def run(self, program: str, *arguments: str) -> str:
        """One of PostgreSQL's programs, as the user who may run it. Its output."""
        command = [str(self._binaries / program), *arguments]
        if os.geteuid() == 0:  # the server refuses to be root
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        options = f"-F -p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "-o", options, "start"
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"yard_{uuid.uuid4().hex[:12]}"
        self.run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", OWNER, name)
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{name}"

    def query(self, url: str, sql: str) -> list[list[str]]:
        """What psql answers, as text, one list for each row."""
        text = self.run("psql", "-X", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql)
        return [line.split("\t") for line in text.splitlines()]


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """A cluster from initdb to its end."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    cluster = Postgres(_binaries(), folder, free_port())
    try:
        cluster.run(
            "initdb", "-D", str(folder / "data"), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"
        )
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
