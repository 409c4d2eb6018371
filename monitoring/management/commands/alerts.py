"""`manage.py alerts`: evaluates alert rules as a process of its own, or prints them for Prometheus."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from monitoring import wiring
from monitoring.alerting import people
from monitoring.alerting.export import rules_yaml
from monitoring.alerting.loop import run


class Command(BaseCommand):
    help = "Evaluates alert rules until stopped (`manage.py scrape` does so as well), or exports them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Evaluate what is due now and stop.")
        parser.add_argument("--export", action="store_true", help="Print the rules for Prometheus.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["export"]:
            enabled = [row.rule for row in people.rules() if row.enabled]
            self.stdout.write(rules_yaml(enabled), ending="")
            return
        stop = threading.Event()
        if options["once"]:
            run(wiring.metrics_source(), stop, once=True)
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run(wiring.metrics_source(), stop)
