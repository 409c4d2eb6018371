"""`manage.py scrape`: the embedded metrics scraper."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from monitoring.adapters.scrape.scraper import Scraper


class Command(BaseCommand):
    help = "Scrapes the targets of a Prometheus file_sd file into the database, until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        default = Path(settings.SLIPWAY_HOME) / "fleet" / "targets.json"
        parser.add_argument("--targets", type=Path, default=default, help=f"file_sd file (default {default})")
        parser.add_argument(
            "--interval",
            type=float,
            default=settings.SLIPWAY_SCRAPE_INTERVAL,
            help="seconds between scrapes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Scraping {options['targets']} every {options['interval']:g} s.")
        Scraper(options["targets"], options["interval"]).run()
