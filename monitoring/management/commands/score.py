"""`manage.py score`: a version over the tables of a folder or a bucket, resumed after its last chunk."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from monitoring.adapters.tables.folder import Folder
from monitoring.models import ScoringJob
from monitoring.scoring import engine, jobs, turns
from registry import queries
from registry.domain.actor import SYSTEM
from registry.errors import Conflict, DomainError, NotFound
from registry.models import Version
from registry.wiring import artifact_store

PLACES = "folder or s3://bucket/prefix"


class Command(BaseCommand):
    help = "Score CSV, Parquet and NPZ files with a version; run it again to go on after an interruption."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", nargs="?")
        parser.add_argument("version", nargs="?", help="a number, or an alias such as champion")
        parser.add_argument("source", nargs="?", help=f"{PLACES} of the tables")
        parser.add_argument("target", nargs="?", help=f"{PLACES} for the parts; {{date}} is today's")
        parser.add_argument("--chunk-rows", type=int, default=engine.CHUNK_ROWS)
        parser.add_argument("--queue", action="store_true", help="Make it a job that is shown on the pages.")
        parser.add_argument("--job", type=int, help="Work on this job to its end, instead of naming tables.")
        parser.add_argument("--claim", default="", help="With --job: the claim it was handed out with.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["job"] is not None:
                self._work(options["job"], options["claim"])
            elif options["target"] is None:
                raise CommandError("name a model, a version, a source and a target, or --job")
            else:
                self._score(**options)
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _score(
        self, *, model: str, version: str, source: str, target: str, chunk_rows: int, queue: bool, **_: Any
    ) -> None:
        found = _version(model, version)
        target = target.replace("{date}", timezone.now().strftime("%Y-%m-%d"))
        if queue:
            job = jobs.start(version=found, source=source, target=target, chunk_rows=chunk_rows, actor=SYSTEM)
            self.stdout.write(f"queued as job {job.pk}: /scorings/{job.pk}/")
            return
        work = engine.Job(found, Folder(source), Folder(target), chunk_rows)
        result = engine.score(work, artifact_store(), self._tell)
        assert result is not None
        self.stdout.write(
            json.dumps({key: value for key, value in result.items() if key != "parts"}, indent=1)
        )

    def _work(self, pk: int, claim: str) -> None:
        """What the pod of a Kubernetes Job does; a claim that is another's by now ends it at once."""
        job = ScoringJob.objects.select_related("version__model").filter(pk=pk).first()
        if job is None:
            raise NotFound(f"There is no scoring job {pk}.")
        if claim:
            if turns.claimed(pk, claim) is None:
                self.stdout.write(f"job {pk} is {job.state}, or another process has it")
                return
        elif not job.is_open or job.leased_until > timezone.now() or not turns.take(job):
            raise Conflict(f"Job {pk} is {job.state}, or another process has it.")
        turns.work(job, artifact_store())
        job.refresh_from_db()
        self.stdout.write(f"job {pk} {job.state}: {job.rows:,} rows {job.error}".rstrip())

    def _tell(self, progress: engine.Progress) -> None:
        self.stderr.write(f"file {progress.file} of {progress.files}: {progress.rows:,} rows")


def _version(model: str, named: str) -> Version:
    found = queries.model_by_name(model)
    if named.isdecimal():
        return queries.version_by_number(found, int(named))
    alias = found.aliases.filter(name=named).select_related("version__model").first()
    if alias is None:
        raise NotFound(f"{model} has no version or alias {named}.")
    return alias.version
