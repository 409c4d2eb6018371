"""The demo as one child process: started as `make demo` starts it, ended as Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 30.0
TAIL_LINES = 25


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class DemoProcess:
    """`manage.py demo` with its state in `home`, on a free port."""

    home: Path
    command: tuple[str, ...] = (sys.executable, "manage.py", "demo")
    process: subprocess.Popen[bytes] | None = None
    left_over: list[str] = field(default_factory=list)

    @property
    def console(self) -> Path:
        return self.home / "console.log"

    def start(self) -> None:
        environment = os.environ | {"SLIPWAY_HOME": str(self.home), "SLIPWAY_PORT": str(free_port())}
        with self.console.open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self.process.poll() if self.process else None

    def stop(self) -> list[str]:
        """Interrupt it as Ctrl-C does, then look for processes it left; returns what was wrong."""
        wrong = []
        if self.process and self.status() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                wrong.append(f"the demo did not stop within {STOP_SECONDS:g} s of an interrupt")
        orphans = list(self._processes())
        for process in orphans:
            self.left_over.append(_name(process))
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.left_over:
            wrong.append(f"processes were left: {'; '.join(self.left_over)}")
        return wrong

    def _processes(self) -> Iterator[psutil.Process]:
        """Every process whose environment names our folder: what the demo started, and all it started."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                mine = process.environ().get("SLIPWAY_HOME") == str(self.home)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def log_tails(self) -> str:
        """The last lines of the console and of every service's log."""
        files = [self.console, *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(_tail(file) for file in files if file.exists())


def _tail(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"--- {file.name}", *lines])


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return str(process.pid)
