"""The rollouts app and its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class RolloutsConfig(AppConfig):
    name = "rollouts"

    def ready(self) -> None:
        from registry.models.signals import production_asked, serving_asked, version_deleting
        from rollouts import checks as own
        from rollouts.receivers import refuse_while_in_use, served_nowhere, served_production

        for check in (own.check_ports, own.check_tick, own.check_queue):
            checks.register(check)
        production_asked.connect(served_production, dispatch_uid="rollouts.served_production")
        serving_asked.connect(served_nowhere, dispatch_uid="rollouts.served_nowhere")
        version_deleting.connect(refuse_while_in_use, dispatch_uid="rollouts.refuse_while_in_use")
