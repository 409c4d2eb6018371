"""A real Redis in a temporary folder, on a free port, that keeps nothing on disk."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis

from tests.servers import process
from tests.servers.waiting import free_port


@dataclass
class Redis:
    """One server: start, stop, and start again, empty, on the same port."""

    folder: Path = field(default_factory=lambda: process.folder("redis"))
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        try:
            self.binary = process.program("redis-server", "redis-server")
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """The value of SLIPWAY_REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": ""}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = process.started([self.binary, *arguments], self._log)
        process.until(self._answers, self._process, self._log)

    def stop(self) -> None:
        """Gone, with every message it held."""
        process.ended(self._process, signal.SIGKILL)

    def client(self) -> redis.Redis:
        """A connection for looking at what the queue holds."""
        return redis.Redis(port=self.port, socket_timeout=5)

    @property
    def _log(self) -> Path:
        return self.folder / "redis.log"

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
