"""`manage.py verify_artifacts`: every artifact that a version names is there and is what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.domain.states import State
from registry.errors import DomainError
from registry.models import Version, VersionFile
from registry.ports import ArtifactStore
from registry.wiring import artifact_store

CHUNK = 1 << 20


class Command(BaseCommand):
    help = "Read every artifact of a ready version and compare its digest; exit 1 and name those that differ."

    def handle(self, *args: Any, **options: Any) -> None:
        store, checked, bad = artifact_store(), 0, []
        for digest in _named():
            checked += 1
            if found := _fault(store, digest):
                bad.append(f"{digest}: {found}")
                self.stderr.write(bad[-1])
        if bad:
            raise CommandError(f"{len(bad)} of {checked} artifacts are not what they were.")
        self.stdout.write(f"All {checked} artifacts are whole.")


def _named() -> Iterator[str]:
    """The digests of files, each once; a folder's is the digest of a list, and its files are named."""
    ready = Version.objects.filter(state=State.READY.value, deleted_at=None)
    files = ready.filter(file_count=0).exclude(digest="").values_list("digest", flat=True)
    references = ready.exclude(reference_digest="").values_list("reference_digest", flat=True)
    inside = VersionFile.objects.filter(version__in=ready).values_list("digest", flat=True)
    seen: set[str] = set()
    for digests in (files, references, inside):
        for digest in digests.order_by().distinct().iterator():
            if digest not in seen:
                seen.add(digest)
                yield digest


def _fault(store: ArtifactStore, digest: str) -> str:
    """What is wrong with an artifact; empty when nothing is."""
    found = hashlib.sha256()
    try:
        with store.open(digest) as stream:
            while chunk := stream.read(CHUNK):
                found.update(chunk)
    except DomainError as error:
        return str(error)
    return "" if f"sha256:{found.hexdigest()}" == digest else f"is now sha256:{found.hexdigest()}"
