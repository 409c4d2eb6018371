"""Free ports, and waiting with a deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def eventually(
    true: Callable[[], bool],
    seconds: float,
    why: Callable[[], str] | str = "it never was",
    *,
    every: float = 0.25,
) -> None:
    """Waits until it is true; fails with the reason after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {why() if callable(why) else why}"
        time.sleep(every)
