"""What starting a packaged server needs: its program, a user that it accepts, and an end with the tests."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_SECONDS = 60.0


class Absent(Exception):
    """A program is not installed; says which package has it."""


def program(name: str, package: str, pattern: str = "") -> str:
    """The path of a program, the newest that matches `pattern` first; Absent names its Debian package."""
    found = sorted(glob.glob(pattern), key=_version) if pattern else []
    path = found[-1] if found else shutil.which(name)
    if path is None or shutil.which("setpriv") is None:
        raise Absent(f"no {name} on this machine: `apt install {package}` runs these tests")
    return path


def _version(path: str) -> list[int]:
    return [int(part) for part in path.split("/") if part.isdigit()]


def account() -> pwd.struct_passwd:
    """Who runs the servers: ourselves, but never root, since PostgreSQL refuses it."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def folder(name: str) -> Path:
    """A temporary folder that belongs to `account()`; pytest's own are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix=f"slipway-{name}-"))
    if not os.geteuid():
        os.chown(path, account().pw_uid, account().pw_gid)
    return path


def wrapped(command: list[str], *, at_our_end: str = "KILL") -> list[str]:
    """The command as `account()`, with a signal to it should the tests be killed."""
    prefix = ["setpriv", "--pdeathsig", at_our_end]
    if not os.geteuid():
        user = account()
        prefix += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
    return [*prefix, *command]


def started(command: list[str], log: Path, *, at_our_end: str = "KILL") -> subprocess.Popen[bytes]:
    """The running process, its output in `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            wrapped(command, at_our_end=at_our_end),
            cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def ended(
    process: subprocess.Popen[Any], number: signal.Signals, seconds: float = 20.0, *, group: bool = False
) -> None:
    """Signals the process and waits; what does not obey is killed, with all of the `group` that it leads."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def until(true: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the server answers; its log is the message when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)
