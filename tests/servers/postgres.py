"""A real PostgreSQL in a temporary folder, on a free port."""

from __future__ import annotations

import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from tests.servers import process
from tests.servers.waiting import free_port

PATTERN = "/usr/lib/postgresql/*/bin/postgres"
# Tests need no file to survive a power cut; everything else is as in production.
OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "log_min_messages": "fatal",
}


@dataclass
class Postgres:
    """One server: start, stop, crash, and start again on the same data and port."""

    folder: Path = field(default_factory=lambda: process.folder("postgres"))
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        try:
            self.binary = process.program("postgres", "postgresql", PATTERN)
            self._initialise()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The value of SLIPWAY_DATABASE_URL."""
        return f"postgresql://slipway@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """A new empty database; returns its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = {**OPTIONS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [self.binary, "-D", str(self.folder / "data"), *arguments]
        self._process = process.started(command, self._log, at_our_end="INT")
        process.until(self._answers, self._process, self._log)

    def stop(self) -> None:
        """What an administrator's restart does: connections are cut, data is written."""
        process.ended(self._process, signal.SIGINT)

    def crash(self) -> None:
        """Ends at once; the next start recovers from the log."""
        process.ended(self._process, signal.SIGQUIT)

    def _initialise(self) -> None:
        command = [
            str(Path(self.binary).with_name("initdb")), "--no-sync", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--username=slipway", f"--pgdata={self.folder / 'data'}",
        ]  # fmt: skip
        done = subprocess.run(process.wrapped(command), cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    @property
    def _log(self) -> Path:
        return self.folder / "postgres.log"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
