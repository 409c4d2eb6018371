"""`python -m tests.chaos.leases tick`: `manage.py` with leases so short that the tests need not wait for them."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

LEASE = timedelta(seconds=5)


def shorten(**_: Any) -> None:
    """What a killed courier had claimed is due again after seconds instead of a minute."""
    from monitoring import courier

    courier.LEASE = LEASE


if __name__ == "__main__":
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    shorten()
    execute_from_command_line(["manage.py", *sys.argv[1:]])
