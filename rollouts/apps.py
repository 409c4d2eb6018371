"""The rollouts app and its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class RolloutsConfig(AppConfig):
    name = "rollouts"

    def ready(self) -> None:
        from rollouts import checks as own

        for check in (own.check_ports, own.check_tick, own.check_queue):
            checks.register(check)
