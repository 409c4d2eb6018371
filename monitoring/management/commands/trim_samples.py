"""`manage.py trim_samples`: delete sampled predictions and labels that are too old or too many."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from monitoring.samples.retention import trim


class Command(BaseCommand):
    help = "Deletes sampled predictions and labels beyond SLIPWAY_SAMPLES_KEEP_DAYS and SLIPWAY_SAMPLES_MAX."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{trim(timezone.now().timestamp()):,} rows deleted.")
