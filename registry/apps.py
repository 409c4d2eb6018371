"""The registry app: its system checks, and the triggers that guard the audit trail."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


class RegistryConfig(AppConfig):
    name = "registry"

    def ready(self) -> None:
        from registry import checks as own
        from registry.models.guards import assert_triggers

        for check in (
            own.check_artifact_store,
            own.check_artifact_folder,
            own.check_bucket,
            own.check_limits,
            own.check_openid,
        ):
            checks.register(check)
        post_migrate.connect(assert_triggers, sender=self, dispatch_uid="registry.audit_triggers")
