"""Models, their versions, and what was measured of them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone

from registry.domain.retention import DEFAULT_KEEP
from registry.domain.states import UNFINISHED, State
from registry.models.fields import Kept, KeptManager
from registry.models.origin import Origin


def _saying(name: str, field: str, *then: str) -> models.Index:
    """Of the rows that say something there; those that say the same in the order of `then`."""
    return models.Index(fields=(field, *then), condition=~models.Q(**{field: ""}), name=name)


class Model(models.Model):
    """A line of versions that answer the same question, owned by one team."""

    name = models.CharField(max_length=256)
    owner_team = models.CharField(max_length=128, blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    # The number of the newest version: incremented under the row's lock, so numbers have no gaps.
    last_number = models.PositiveIntegerField(default=0, editable=False)
    # How many versions that served production retention keeps; 0: everything.
    keep_served = models.PositiveSmallIntegerField(default=DEFAULT_KEEP)
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("name",), condition=models.Q(deleted_at=None), name="model_name_is_unique"
            ),
        )
        indexes = (
            models.Index(fields=("-updated_at", "name"), name="model_by_change"),
            models.Index(
                fields=("owner_team", "name"), condition=models.Q(deleted_at=None), name="model_of_team"
            ),
            models.Index(fields=("id",), condition=~models.Q(deleted_at=None), name="model_deleted"),
            _saying("model_of_creator", "created_by", "name"),
            models.Index(fields=("created_at",), name="model_created"),
            models.Index(fields=("last_number",), name="model_versions"),
            # On PostgreSQL; SQLite makes it a plain index, which searches by tag do not use.
            GinIndex(fields=("tags",), name="model_tags"),
        )

    def __str__(self) -> str:
        return self.name


class Version(Origin, Kept):
    """One immutable artifact with everything known about how it came to be.

    `digest` is `sha256:<64 hex>`; `signature`, `profile` and `inspection` are the documents described in
    `registry.domain.signature`, `registry.domain.profile` and `registry.inspect`.
    """

    MUTABLE: ClassVar[frozenset[str]] = frozenset({"notes", "tags", "stage", "updated_at", "deleted_at"})
    # What the inspection found and the training run knew: written once, by `settle`, for a version that was
    # registered before it, or by `profiled` for one that was registered without a reference set.
    SETTLED: ClassVar[frozenset[str]] = frozenset(
        {
            "state",
            "problem",
            "format",
            "signature",
            "profile",
            "inspection",
            "findings",
            "feature_names",
            "hyperparameters",
            "digest",
            "size",
            "reference_digest",
        }
    )

    # Where the first column of a unique constraint or another index is the same, a foreign key needs none.
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=64, blank=True)
    # Empty while a file whose sender could not know its digest is verified, and for what is only recorded.
    digest = models.CharField(max_length=71, blank=True, db_index=True)
    size = models.BigIntegerField()
    # 0: a single file. Otherwise a folder: its files are `VersionFile` rows, its digest is the manifest's.
    file_count = models.PositiveIntegerField(default=0)
    filename = models.CharField(max_length=255, blank=True)
    reference_digest = models.CharField(max_length=71, blank=True, db_index=True)
    state = models.CharField(max_length=16, default=State.READY.value)
    problem = models.JSONField(null=True, blank=True)
    format = models.CharField(max_length=32, blank=True)
    framework = models.CharField(max_length=128, blank=True)
    signature = models.JSONField(default=dict, blank=True)
    profile = models.JSONField(null=True, blank=True)
    inspection = models.JSONField(default=dict, blank=True)
    findings = models.JSONField(default=list, blank=True)
    feature_names = models.JSONField(default=list, blank=True)
    feature_schema_version = models.CharField(max_length=64, blank=True)
    hyperparameters = models.JSONField(default=dict, blank=True)
    git_sha = models.CharField(max_length=64, blank=True)
    training_run = models.CharField(max_length=500, blank=True)
    dataset_ref = models.CharField(max_length=500, blank=True)
    dataset_digest = models.CharField(max_length=128, blank=True)
    dependencies = models.JSONField(default=list, blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, related_name="children", null=True, blank=True
    )
    tags = models.JSONField(default=dict, blank=True)
    notes = models.TextField(blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = KeptManager()

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=("model", "number"), name="version_number_is_unique"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="version_number_is_positive"),
        )
        indexes = (
            models.Index(
                fields=("model", "stage", "-number"),
                condition=models.Q(deleted_at=None),
                name="version_newest_of_stage",
            ),
            models.Index(fields=("-updated_at",), name="version_by_change"),
            models.Index(
                fields=("model", "-updated_at", "-number"),
                condition=models.Q(deleted_at=None),
                name="version_of_model_by_change",
            ),
            _saying("version_of_run", "training_run"),
            _saying("version_of_source", "source"),
            GinIndex(fields=("tags",), name="version_tags"),
            GinIndex(fields=("hyperparameters",), name="version_parameters"),
            models.Index(fields=("git_sha",), name="version_commit"),
            models.Index(fields=("created_at",), name="version_created"),
            models.Index(fields=("dataset_digest", "model"), name="version_dataset"),
            # For searches: each is a condition of the filter language that few versions may meet.
            _saying("version_of_label", "label", "id"),
            _saying("version_of_format", "format", "id"),
            _saying("version_of_framework", "framework", "id"),
            _saying("version_of_creator", "created_by", "id"),
            _saying("version_of_filename", "filename", "id"),
            _saying("version_of_dataset_ref", "dataset_ref", "id"),
            _saying("version_of_features", "feature_schema_version", "id"),
            models.Index(fields=("id",), condition=~models.Q(notes=""), name="version_noted"),
            models.Index(fields=("size",), name="version_size"),
            models.Index(fields=("number",), name="version_number"),
        )

    def __str__(self) -> str:
        return f"{self.model.name} version {self.number}"

    def settle(self, **values: Any) -> bool:
        """Write what the intake found while the version is unfinished; False when it is not (any more)."""
        assert set(values) <= self.SETTLED
        unfinished = Version.objects.filter(pk=self.pk, state__in=[state.value for state in UNFINISHED])
        changed = bool(models.QuerySet.update(unfinished, **values))
        for name, value in values.items() if changed else ():
            setattr(self, name, value)
        return changed

    def profiled(self, **values: Any) -> bool:
        """Write what an inspection with a reference set found; False when there is a profile already."""
        assert set(values) <= self.SETTLED
        bare = Version.objects.filter(pk=self.pk, state=State.READY.value, profile__isnull=True)
        changed = bool(models.QuerySet.update(bare, **values))
        for name, value in values.items() if changed else ():
            setattr(self, name, value)
        return changed

    @property
    def is_ready(self) -> bool:
        """Whether it may be named by an alias and rolled out."""
        return self.state == State.READY.value

    @property
    def is_folder(self) -> bool:
        """Whether it is a manifest of files."""
        return self.file_count > 0

    @property
    def parity(self) -> bool | None:
        """Whether it gives the answers shipped with its reference set; None when none were."""
        found = self.inspection.get("parity") or {}
        return found.get("passed")

    @property
    def unready(self) -> str:
        """Why no server can run it, whatever its format; "" when its format decides."""
        if self.state == State.RECORDED.value:
            return f"cannot be deployed: {(self.problem or {}).get('message', 'its files are elsewhere')}"
        return "" if self.is_ready else f"is {self.state}, not ready"

    @property
    def ref(self) -> str:
        """The number as a string: how metrics, routes and processes name the version."""
        return str(self.number)


class Metric(Kept):
    """One measured point; a training curve is many points of one name, told apart by `step`."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="metrics", db_index=False)
    name = models.CharField(max_length=128)
    value = models.FloatField()
    step = models.BigIntegerField(default=0)
    at = models.DateTimeField(auto_now_add=True)

    objects = KeptManager()

    class Meta:
        ordering = ("version", "name", "step", "id")
        indexes = (models.Index(fields=("version", "name", "step", "id"), name="metric_history"),)

    def __str__(self) -> str:
        return f"{self.name}[{self.step}] = {self.value:g}"


class LatestMetric(models.Model):
    """The last point of each metric of a version: derived from `Metric`, so lists need not read histories."""

    version = models.ForeignKey(
        Version, on_delete=models.CASCADE, related_name="latest_metrics", db_index=False
    )
    name = models.CharField(max_length=128)
    value = models.FloatField()
    step = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("version", "name"), name="latest_metric_is_unique"),)
        indexes = (models.Index(fields=("name", "value", "version"), name="latest_metric_value"),)

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g}"


class Alias(models.Model):
    """A movable name for one version of a model, such as `champion`."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="aliases", db_index=False)
    name = models.CharField(max_length=255)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="aliases")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("model", "name"), name="alias_is_unique"),)

    def __str__(self) -> str:
        return self.name
