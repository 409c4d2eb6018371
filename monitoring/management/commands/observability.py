"""`manage.py observability`: writes the Prometheus rules and Grafana dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from monitoring.alerting.export import files


class Command(BaseCommand):
    help = "Writes deploy/prometheus and deploy/grafana from their one definition."

    def add_arguments(self, parser: CommandParser) -> None:
        default = Path(settings.BASE_DIR) / "deploy"
        parser.add_argument("--out", type=Path, default=default, help=f"folder (default {default})")

    def handle(self, *args: Any, **options: Any) -> None:
        for name, text in files().items():
            path = options["out"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self.stdout.write(str(path))
