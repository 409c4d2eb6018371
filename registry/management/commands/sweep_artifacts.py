"""`manage.py sweep_artifacts`: remove what uploads that died left in the artifact store."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.wiring import artifact_store


class Command(BaseCommand):
    help = "Remove half-written uploads older than --hours (default 24)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=float, default=24.0)

    def handle(self, *args: Any, **options: Any) -> None:
        removed = artifact_store().sweep(options["hours"] * 3600)
        self.stdout.write(f"{removed} unfinished uploads removed.")
