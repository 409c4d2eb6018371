"""`manage.py up`: everything of one machine in one terminal, until Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.up.launch import launch
from controlplane.up.place import NotPossible


class Command(BaseCommand):
    """Start Slipway on this machine."""

    help = "Start every service of Slipway on this machine; Ctrl-C stops them all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns when all goes well: the service supervisor replaces this process."""
        try:
            launch(self._say)
        except NotPossible as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped before the services were started", returncode=130) from None

    def _say(self, line: str) -> None:
        self.stdout.write(f"  {line}")
        self.stdout.flush()
