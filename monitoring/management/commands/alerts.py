"""`manage.py alerts`: evaluates the alert rules that are due, or prints all for a Prometheus."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from monitoring import wiring
from monitoring.alerting import evaluate, people
from monitoring.alerting.export import rules_yaml


class Command(BaseCommand):
    help = "Evaluates the alert rules that are due (`manage.py tick` does so all the time), or exports them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--export", action="store_true", help="Print the rules for Prometheus instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["export"]:
            enabled = [row.rule for row in people.rules() if row.enabled]
            self.stdout.write(rules_yaml(enabled), ending="")
            return
        done = evaluate.evaluate_due(wiring.metrics_source(), timezone.now())
        self.stdout.write(f"{done} rules evaluated.")
