"""`manage.py import_mlflow URL`: move a registry here from an MLflow server."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.adapters.mlflow_client import MlflowServer
from registry.domain.actor import SYSTEM
from registry.errors import DomainError
from registry.importing import Report, import_registry
from registry.wiring import artifact_store


class Command(BaseCommand):
    help = (
        "Copy models, versions, tags, aliases, runs with metrics, and files from an MLflow server. "
        "Credentials come from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD. "
        "Run it again to go on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="Address of the MLflow server, such as http://mlflow:5000.")

    def handle(self, *args: Any, **options: Any) -> None:
        origin = MlflowServer(
            options["url"],
            token=os.environ.get("MLFLOW_TRACKING_TOKEN", ""),
            user=os.environ.get("MLFLOW_TRACKING_USERNAME", ""),
            password=os.environ.get("MLFLOW_TRACKING_PASSWORD", ""),
        )
        report = Report()
        try:
            import_registry(
                origin, store=artifact_store(), actor=SYSTEM, report=report, tell=self.stderr.write
            )
        except DomainError as error:
            raise CommandError(f"{error} What is here stays; run it again to go on.") from error
        finally:
            for line in report.lines():
                self.stdout.write(line)
        if report.failed:
            raise CommandError(f"{len(report.failed)} could not be imported; the others are here.")
