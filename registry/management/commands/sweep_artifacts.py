"""`manage.py sweep_artifacts`: remove uploads that were begun and never finished."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.services.uploads import sweep_uploads
from registry.wiring import artifact_store


class Command(BaseCommand):
    help = "Remove unfinished uploads that nobody touched for --hours (default 24)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=float, default=24.0)

    def handle(self, *args: Any, **options: Any) -> None:
        removed = sweep_uploads(artifact_store(), timedelta(hours=options["hours"]))
        self.stdout.write(f"{removed} unfinished uploads removed.")
