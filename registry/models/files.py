"""Files by path over content by digest: what MLflow's clients call the artifacts of a run."""

from __future__ import annotations

from django.db import models


class TrackedFile(models.Model):
    """A file or folder below the artifact root; the content itself lies in the artifact store.

    `parent` is the folder's path ("" for the root) and `name` the last segment. A folder has no digest.
    """

    parent = models.CharField(max_length=1000, blank=True)
    name = models.CharField(max_length=255)
    digest = models.CharField(max_length=71, blank=True, db_index=True)
    size = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("parent", "name")
        constraints = (models.UniqueConstraint(fields=("parent", "name"), name="tracked_path_is_unique"),)

    def __str__(self) -> str:
        return self.path

    @property
    def path(self) -> str:
        """The whole path, without a leading slash."""
        return f"{self.parent}/{self.name}" if self.parent else self.name

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return not self.digest
