"""`manage.py apply_retention`: delete versions that no policy keeps, and free content that nobody needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from registry.domain.actor import SYSTEM
from registry.models import Model
from registry.queries import model_by_name
from registry.services import blobs, retention
from registry.wiring import artifact_store


class Command(BaseCommand):
    help = (
        "Delete versions beyond each model's retention (softly: rows and numbers stay), then free "
        "the content of versions deleted --grace-days ago. Meant to run daily; --dry-run only tells."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--model", help="Only this model; content is then not freed.")
        parser.add_argument("--grace-days", type=float, default=blobs.GRACE.days)

    def handle(self, *args: Any, **options: Any) -> None:
        dry, name, count = options["dry_run"], options["model"], 0
        for model in [model_by_name(name)] if name else Model.objects.filter(deleted_at=None).iterator():
            found = retention.removals(model) if dry else retention.apply_retention(model=model, actor=SYSTEM)
            count += len(found)
            for removal in found:
                verb = f"kept ({removal.held})" if removal.held else "would go" if dry else "deleted"
                self.stdout.write(f"{model.name} version {removal.number}: {verb}: {removal.reason}")
        if not name:
            count += self._free(timedelta(days=options["grace_days"]), dry=dry)
        if not count:
            self.stdout.write("Nothing to do: every version is within its retention, all content needed.")

    def _free(self, grace: timedelta, *, dry: bool) -> int:
        store = artifact_store()
        digests = blobs.unneeded(store, grace)
        if not dry:
            reason = "no version needs it"
            digests = blobs.free(digests, store, actor=SYSTEM, reason=reason, grace=grace)
        for digest in digests:
            self.stdout.write(f"{digest}: {'would be freed' if dry else 'freed'}")
        return len(digests)
