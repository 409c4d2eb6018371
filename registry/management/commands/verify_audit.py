"""`manage.py verify_audit`: walk the audit trail's hash chain."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.audit import verify_chain


class Command(BaseCommand):
    help = (
        "Check that no audit entry was changed, removed, inserted or moved; exit 1 and say where if one was."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify_chain()
        if not verdict.whole:
            raise CommandError(f"The chain is broken after {verdict.checked} good entries: {verdict.fault}.")
        self.stdout.write(f"The chain is whole: {verdict.checked} entries.")
