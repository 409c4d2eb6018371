"""Environments of their own for packages that cannot live beside ours: `.venv-peers/<name>`, made when wanted.

Each comes from a pinned list that is complete, so pip resolves nothing. It is made again when the list or
the Python changes. Needs a package index the first time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-peers"


class PeerUnavailable(Exception):
    """The environment could not be made, most likely because no package index can be reached."""


def environment(name: str, pinned: Path) -> Path:
    """The Python of the environment `name` with exactly the packages in `pinned`. Raises PeerUnavailable."""
    home = FOLDER / name
    python, marker = home / "bin" / "python", home / "made-from"
    wanted = hashlib.sha256(pinned.read_bytes() + sys.version.encode()).hexdigest()
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists() and marker.read_text() == wanted:
            return python
        shutil.rmtree(home, ignore_errors=True)
        install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", pinned]
        try:
            _run(sys.executable, "-m", "venv", home)
            _run(python, *install)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(home, ignore_errors=True)
            raise PeerUnavailable(f"{name}: {error.stdout.decode()[-300:]}") from None
        marker.write_text(wanted)
    return python


def environment_or_skip(name: str, pinned: Path) -> Path:
    """As `environment`; a test that cannot have it is skipped, and fails when CI is set."""
    try:
        return environment(name, pinned)
    except PeerUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the environment {error} cannot be made")


def _run(*command: object) -> None:
    subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
