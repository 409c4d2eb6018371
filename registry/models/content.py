"""What versions consist of, and what is still on its way."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from registry.models.catalogue import Model, Version
from registry.models.fields import Kept, KeptManager


class VersionFile(Kept):
    """One file of a version that is a folder; single files are described by the version itself."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="files", db_index=False)
    path = models.CharField(max_length=512)
    # Empty while a file whose sender could not know its digest is verified.
    digest = models.CharField(max_length=71, db_index=True)
    size = models.BigIntegerField()

    objects = KeptManager()

    class Meta:
        ordering = ("path",)
        constraints = (
            models.UniqueConstraint(fields=("version", "path"), name="path_is_unique_in_a_version"),
        )

    def __str__(self) -> str:
        return self.path

    @classmethod
    def verified(cls, version: Version, path: str, digest: str) -> None:
        """Write what was found to be in a file whose sender could not know it; once."""
        unknown = cls.objects.filter(version=version, path=path, digest="")
        models.QuerySet.update(unknown, digest=digest)


class Intake(models.Model):
    """Work still to do on a version: verify what was uploaded, inspect it. Gone when the version is settled.

    Whoever works on it holds a lease; one that ran out belongs to a process that died.
    """

    ATTEMPTS: ClassVar[int] = 3

    version = models.OneToOneField(Version, on_delete=models.CASCADE, related_name="intake")
    leased_until = models.DateTimeField(default=timezone.now, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    # Where the tracked file lies that the version came of; what its tensors keep beside it belongs to it.
    folder = models.CharField(max_length=1000, blank=True)

    def __str__(self) -> str:
        return f"intake of {self.version_id}"

    @property
    def percent(self) -> int:
        """How much of the bytes is verified, in percent."""
        return min(100, self.done_bytes * 100 // self.total_bytes) if self.total_bytes else 100


class Upload(models.Model):
    """A file that arrives in parts; `digest` is what its sender says, until a version's intake verifies it.

    `ref` is the store's own name for it. `intake` is set once a version waits for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="uploads")
    digest = models.CharField(max_length=71)
    size = models.BigIntegerField()
    filename = models.CharField(max_length=255, blank=True)
    part_size = models.BigIntegerField()
    ref = models.CharField(max_length=1024)
    completed_at = models.DateTimeField(null=True, blank=True)
    is_reference = models.BooleanField(default=False)
    # Which file of a folder it is, where its digest must tell the folder's.
    path = models.CharField(max_length=512, blank=True)
    intake = models.ForeignKey(
        Intake, on_delete=models.PROTECT, related_name="uploads", null=True, blank=True
    )
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return str(self.id)

    @property
    def parts(self) -> int:
        """How many parts it has."""
        return max(1, -(-self.size // self.part_size))

    def size_of(self, number: int) -> int:
        """Bytes of part `number`, from 1."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)
