"""`manage.py up`: everything of one machine in one terminal, until Ctrl-C."""

from __future__ import annotations

from typing import Any

from controlplane.up.command import LaunchCommand
from controlplane.up.launch import launch


class Command(LaunchCommand):
    """Start Slipway on this machine."""

    help = "Start every service of Slipway on this machine; Ctrl-C stops them all."

    def launch(self, **options: Any) -> None:
        launch(self.say)
