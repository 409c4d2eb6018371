"""What the commands that end in the service supervisor have in common."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.up.place import NotPossible


class LaunchCommand(BaseCommand):
    """Prepares in stages that it tells, then becomes the supervisor."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Never returns when all goes well: the service supervisor replaces this process."""
        try:
            self.launch(**options)
        except NotPossible as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped before the services were started", returncode=130) from None

    def launch(self, **options: Any) -> None:
        """What the command does; raises NotPossible before anything was started."""
        raise NotImplementedError

    def say(self, line: str) -> None:
        """One line per stage."""
        self.stdout.write(f"  {line}")
        self.stdout.flush()
