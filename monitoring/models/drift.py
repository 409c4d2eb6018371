"""How far live versions are from their baselines, hour by hour."""

from __future__ import annotations

from django.db import models


class DriftReading(models.Model):
    """One version of an endpoint over one window: every column of its profile, the farthest first."""

    endpoint = models.CharField(max_length=100)
    model = models.CharField(max_length=128)
    version = models.CharField(max_length=64)
    start = models.FloatField(help_text="Unix time.")
    at = models.FloatField(help_text="Unix time of the window's end.")
    state = models.CharField(max_length=16)
    drifted = models.PositiveIntegerField(default=0, help_text="Columns that drift.")
    columns = models.JSONField(help_text="monitoring.domain.drift.assessment.ColumnDrift, ranked.")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint", "version", "at"), name="one_drift_reading_per_window"
            ),
        )
        indexes = (models.Index(fields=("at",), name="driftreading_at"),)

    def __str__(self) -> str:
        return f"{self.endpoint} version {self.version}: {self.state}"


class Chore(models.Model):
    """When something that is done now and then is due next; moved on by the one who does it."""

    name = models.CharField(max_length=100, unique=True)
    due_at = models.FloatField(default=0.0, help_text="Unix time.")
    done_until = models.FloatField(default=0.0, help_text="Unix time up to which all is done.")

    def __str__(self) -> str:
        return self.name
