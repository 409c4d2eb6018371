"""`python -m tests.chaos.leases tick`: `manage.py` with leases so short that the tests need not wait for them."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

from tests.chaos import killer

LEASE = timedelta(seconds=5)


def shorten(**_: Any) -> None:
    """What a killed courier or caller had claimed is due again after seconds instead of a minute."""
    from monitoring import courier
    from rollouts import calls

    courier.LEASE = calls.LEASE = LEASE


if __name__ == "__main__":
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    shorten()
    if os.environ.get("SLIPWAY_CHAOS_KILLS"):
        killer.install_caller()
    execute_from_command_line(["manage.py", *sys.argv[1:]])
