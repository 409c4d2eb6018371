"""`python -m tests.faults.clock tick`: `manage.py` with a clock that is off by the seconds in a file."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone


def install() -> None:
    """From now on this process reads the wrong clock; the monotonic one goes on, as in reality."""
    path, real_now, real_time = Path(os.environ["SLIPWAY_TEST_CLOCK"]), timezone.now, time.time

    def offset() -> float:
        return float(path.read_text() or 0)

    def now() -> datetime:
        return real_now() + timedelta(seconds=offset())

    timezone.now = now
    time.time = lambda: real_time() + offset()


if __name__ == "__main__":
    install()
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    execute_from_command_line(["manage.py", *sys.argv[1:]])
