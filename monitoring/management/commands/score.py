"""`manage.py score`: a version over the tables of a folder or a bucket, resumed after its last chunk."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring import scoring
from monitoring.adapters.tables import Folder
from monitoring.tasks import score_folder
from registry import lookups
from registry.errors import DomainError, NotFound
from registry.wiring import artifact_store


class Command(BaseCommand):
    help = "Score CSV, Parquet and NPZ files with a version; run it again to go on after an interruption."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("version", type=int)
        parser.add_argument("source", help="folder or s3://bucket/prefix of the tables")
        parser.add_argument("target", help="folder or s3://bucket/prefix for the parts")
        parser.add_argument("--chunk-rows", type=int, default=scoring.CHUNK_ROWS)
        parser.add_argument("--queue", action="store_true", help="Have a Celery worker do it.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = lookups.version(options["model"], options["version"])
            if version is None:
                raise NotFound(f"There is no version {options['version']} of {options['model']}.")
            source, target, rows = options["source"], options["target"], options["chunk_rows"]
            job = scoring.Job(version, Folder(source), Folder(target), rows)
            if options["queue"]:
                score_folder.delay(version.pk, source, target, rows)
                self.stdout.write(f"queued; progress is in {target}/{scoring.PROGRESS}")
                return
            result = scoring.score(job, artifact_store(), self._tell)
            assert result is not None
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            json.dumps({key: value for key, value in result.items() if key != "parts"}, indent=1)
        )

    def _tell(self, progress: dict[str, Any]) -> None:
        self.stderr.write(f"file {progress['file']} of {progress['files']}: {progress['rows']:,} rows")
