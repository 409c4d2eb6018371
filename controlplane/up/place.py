"""Checks of the folder and the ports before anything starts: each failure is one line with its mend."""

from __future__ import annotations

import errno
import fcntl
import json
import random
import socket
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

import psutil

from controlplane.up.site import HOST

# Outside the range from which the kernel takes the local ports of outgoing connections.
FIRST_PORT, LAST_PORT = 20_000, 31_999
LEFTOVERS_S = 30.0


class NotPossible(Exception):
    """Slipway cannot start here; the text says why and how to mend it."""


def prepare_home(home: Path) -> None:
    """Make the folder, readable by its owner only. Raises NotPossible when it cannot hold state."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
        for part in ("logs", "fleet/desired", "gateway/routes", "artifacts"):
            (home / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NotPossible(
            f"{home} cannot hold Slipway's state ({reason}): set SLIPWAY_HOME to a folder you can write to"
        ) from error


def take(home: Path) -> IO[str]:
    """The right to run on `home`, held as long as the file is open. Raises NotPossible when it is taken."""
    file = (home / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        running = last_run(home)
        place = f"at {running['url']} (pid {running.get('pid')})" if "url" in running else "already"
        raise NotPossible(
            f"Slipway is running {place} on {home}: stop it with Ctrl-C in its terminal, "
            "or set SLIPWAY_HOME and SLIPWAY_PORT for a second one"
        ) from None
    return file


def last_run(home: Path) -> dict[str, Any]:
    """What run.json says of the current or the last run; {} when there is none."""
    try:
        document = json.loads((home / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def wait_for_leftovers(home: Path, say: Callable[[str], None], limit: float = LEFTOVERS_S) -> None:
    """Wait until the services of a killed run, which were told to stop, have ended."""
    deadline = time.monotonic() + limit
    told = False
    while (found := _leftovers(last_run(home))) and time.monotonic() < deadline:
        if not told:
            say(f"waiting for services of the last run to end: {', '.join(found)}")
            told = True
        time.sleep(0.1)


def _leftovers(run: dict[str, Any]) -> list[str]:
    services = run.get("services")
    if not isinstance(services, dict):
        return []
    return [name for name, entry in services.items() if _still_runs(entry)]


def _still_runs(entry: dict[str, Any]) -> bool:
    """Whether the pid on record is still the process that was started then, and not a later one."""
    try:
        process = psutil.Process(int(entry["pid"]))
        same = abs(process.create_time() - float(entry["started"])) < 5.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def require_port(port: int) -> None:
    """Raises NotPossible when nothing can listen on the web port."""
    if not 1 <= port <= 65_535:
        raise NotPossible(f"SLIPWAY_PORT is {port}: it must be a number from 1 to 65535")
    error = bind_error(port)
    if error is None:
        return
    if error.errno == errno.EACCES:
        raise NotPossible(f"port {port} needs root: set SLIPWAY_PORT to one above 1023, such as 8000")
    raise NotPossible(
        f"port {port} is in use by another program: set SLIPWAY_PORT to a free one, such as "
        f"SLIPWAY_PORT={_free_after(port)}"
    )


def bind_error(port: int) -> OSError | None:
    """Why no server could listen on the port now; None when one could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
        return None


def gateway_port(home: Path, taken: int) -> int:
    """The gateway's port of the last run if it is free still: clients need not change; else a free one."""
    return free_port(last_run(home).get("gateway_port"), {taken})


def free_port(before: object, taken: Collection[int]) -> int:
    """`before` while it is free still, else a free one; none of `taken`."""
    if isinstance(before, int) and before not in taken and bind_error(before) is None:
        return before
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), 200):
        if port not in taken and bind_error(port) is None:
            return port
    raise NotPossible(f"no free port found between {FIRST_PORT} and {LAST_PORT}")


def _free_after(port: int) -> int:
    candidates = range(port + 1, min(port + 100, 65_535))
    return next((candidate for candidate in candidates if bind_error(candidate) is None), 8000)
