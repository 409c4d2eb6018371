"""One service: its process, whether it is ready, when it is started again."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from deploy.fleet import logs
from deploy.fleet.backoff import delay
from deploy.fleet.kinship import die_with
from deploy.fleet.process import Exit
from deploy.fleet.services_file import ServiceSpec

STEADY_S = 10.0
"""A service that ran for this long and then dies is started again at once."""
SETTLED_S = 0.3
"""A service without port or URL counts as ready when it has lived for this long."""
ASK_S = 0.5


@dataclass
class Service:
    """A service that is to run for ever. Times ending in `_at` are on the monotonic clock."""

    spec: ServiceSpec
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    streak: int = 0
    started: float = 0.0
    """Unix time."""
    started_at: float = 0.0
    died_at: float = 0.0
    retry_at: float = 0.0
    ready: bool = False
    death: str = ""
    asked_at: float = field(default=float("-inf"))

    def start(self) -> None:
        """Start the process, in a session of its own, to be told when this process dies."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.spec.command, env={**os.environ, **self.spec.env}, cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=partial(die_with, os.getpid()),
            )  # fmt: skip
        self.started, self.started_at, self.ready = time.time(), time.monotonic(), False

    def look(self, now: float) -> bool:
        """Notice that it died; True when it did."""
        if self.process is None:
            return False
        code = self.process.poll()
        if code is None:
            return False
        # What it leaves behind, such as a web server's workers, would keep its port.
        self.kill_group()
        self.process = None
        line = logs.last_line(self.log)
        self.death = f"{Exit(code)}: {line}" if line and code >= 0 else str(Exit(code))
        self.streak = 0 if now - self.started_at >= STEADY_S else self.streak
        self.died_at, self.retry_at = now, now + delay(self.streak)
        self.streak += 1
        self.restarts += 1
        return True

    def became_ready(self, now: float) -> bool:
        """True once after each start, when the service is ready."""
        if self.ready or self.process is None or now - self.asked_at < 0.1:
            return False
        self.asked_at = now
        self.ready = self._is_ready(now)
        return self.ready

    def _is_ready(self, now: float) -> bool:
        if self.spec.url:
            return answers(self.spec.url)
        if self.spec.port:
            return accepts("127.0.0.1", self.spec.port)
        return now - self.started_at >= SETTLED_S

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.process is not None:
            self.process.terminate()

    def kill_group(self) -> None:
        """Kill the process and all that stayed in its session's process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def accepts(host: str, port: int) -> bool:
    """Whether somebody listens on the port."""
    try:
        socket.create_connection((host, port), ASK_S).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether a GET of `url` gets status 200 within half a second."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=ASK_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
