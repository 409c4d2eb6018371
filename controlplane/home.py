"""The folder that holds all state of a one-machine installation."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key


def secret_key(home: Path, *, persist: bool) -> str:
    """The installation's signing key: made once, kept in `home/secret_key` (mode 600).

    `persist=False` gives a throw-away key and touches no file. Two processes that start at the
    same moment agree: the file is created exclusively and the loser reads the winner's.
    """
    if not persist:
        return get_random_secret_key()
    path = home / "secret_key"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{home} cannot hold Slipway's state: {error.strerror}. "
            "Set SLIPWAY_HOME to a folder you can write to."
        ) from error


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(get_random_secret_key())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
