"""`manage.py up`: everything of one machine in one terminal, until Ctrl-C."""

from __future__ import annotations

from typing import Any

from controlplane.up.accounts import first_administrator
from controlplane.up.command import LaunchCommand
from controlplane.up.launch import Extra, Say, launch
from controlplane.up.site import Site

ACCESS = "up.json"


class Command(LaunchCommand):
    """Start Slipway on this machine."""

    help = "Start every service of Slipway on this machine; Ctrl-C stops them all."

    def launch(self, **options: Any) -> None:
        launch(self.say, prepare)


def prepare(site: Site, say: Say) -> Extra:
    """Somebody who can sign in."""
    return Extra(banner=first_administrator(site.home / ACCESS, site))
