"""Experiments, runs and logged models: what training told about itself, as MLflow's clients log it.

Times are whole milliseconds since 1970, as the clients send them. Tags and parameters lie in their row, so
that reading a run costs the same however many it has.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Experiment(models.Model):
    """A group of runs; number 0, `Default`, is always there. An empty location means Slipway's own."""

    name = models.CharField(max_length=500, unique=True)
    artifact_location = models.CharField(max_length=500, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    deleted = models.BooleanField(default=False)

    class Meta:
        ordering = ("-created_ms", "id")
        indexes = (
            models.Index(fields=("-created_ms", "id"), name="experiment_by_creation"),
            GinIndex(fields=("tags",), name="experiment_tags"),
        )

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One training: parameters are written once, tags may change, metrics are `Series` of `Point`s."""

    uid = models.CharField(max_length=32, unique=True)
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=250, blank=True)
    user = models.CharField(max_length=256, blank=True)
    status = models.CharField(max_length=16, default="RUNNING")
    started_ms = models.BigIntegerField(default=0)
    ended_ms = models.BigIntegerField(null=True)
    params = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    # Logged models the run read and wrote: [{"model_id", "step"}].
    model_inputs = models.JSONField(default=list, blank=True)
    model_outputs = models.JSONField(default=list, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    deleted = models.BooleanField(default=False)

    class Meta:
        ordering = ("-started_ms", "uid")
        indexes = (
            models.Index(fields=("experiment", "-started_ms", "uid"), name="run_by_start"),
            GinIndex(fields=("tags",), name="run_tags"),
            GinIndex(fields=("params",), name="run_params"),
        )

    def __str__(self) -> str:
        return self.uid


class RunDataset(models.Model):
    """A data set that a run read; `tags` holds its context (`mlflow.data.context`) among others."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=500)
    digest = models.CharField(max_length=36)
    source_type = models.CharField(max_length=36, blank=True)
    source = models.TextField(blank=True)
    schema = models.TextField(blank=True)
    profile = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("run", "name", "digest"), name="dataset_of_run_is_unique"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.digest})"


class Series(models.Model):
    """One metric of a run with its last point, so that lists need not read histories.

    `nan` marks a point that is no number; its `value` is 0, because SQLite keeps no NaN.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="series")
    key = models.CharField(max_length=250)
    value = models.FloatField()
    nan = models.BooleanField(default=False)
    step = models.BigIntegerField(default=0)
    timestamp = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "series"
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=("run", "key"), name="series_of_run_is_unique"),)

    def __str__(self) -> str:
        return self.key


class Point(models.Model):
    """One value of a series; sent twice, it is kept once."""

    # Points are only written by the statement that writes their series, so the database need not look again,
    # which would cost half of the write.
    series = models.ForeignKey(
        Series, on_delete=models.CASCADE, related_name="points", db_index=False, db_constraint=False
    )
    timestamp = models.BigIntegerField()
    step = models.BigIntegerField()
    value = models.FloatField()
    nan = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("series", "timestamp", "step", "value", "nan"), name="point_is_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.value:g} at {self.step}"


class LoggedModel(models.Model):
    """A model that a run logged, before anybody registers it; `uid` is `m-` and 32 hexadecimal digits."""

    uid = models.CharField(max_length=34, unique=True)
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="logged_models")
    name = models.CharField(max_length=500)
    model_type = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=32)
    source_run = models.CharField(max_length=32, blank=True, db_index=True)
    params = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    deleted = models.BooleanField(default=False)

    class Meta:
        ordering = ("-created_ms", "uid")
        indexes = (
            models.Index(fields=("experiment", "-created_ms", "uid"), name="logged_model_by_creation"),
            models.Index(fields=("experiment", "name"), name="logged_model_by_name"),
            GinIndex(fields=("tags",), name="logged_model_tags"),
        )

    def __str__(self) -> str:
        return self.uid


class LoggedMetric(models.Model):
    """The last value of a metric of a logged model, per run and data set."""

    model = models.ForeignKey(LoggedModel, on_delete=models.CASCADE, related_name="metrics")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=250)
    value = models.FloatField()
    nan = models.BooleanField(default=False)
    step = models.BigIntegerField(default=0)
    timestamp = models.BigIntegerField(default=0)
    dataset_name = models.CharField(max_length=500, blank=True)
    dataset_digest = models.CharField(max_length=36, blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("model", "run", "key", "dataset_name", "dataset_digest"),
                name="metric_of_logged_model_is_unique",
            ),
        )

    def __str__(self) -> str:
        return f"{self.key} = {self.value:g}"
