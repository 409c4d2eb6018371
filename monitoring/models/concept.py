"""How right each version was, window by window."""

from __future__ import annotations

from django.db import models


class ConceptReading(models.Model):
    """The figures of one version over one window of prediction times, from the labels known so far."""

    endpoint = models.CharField(max_length=100)
    version = models.CharField(max_length=64)
    name = models.CharField(max_length=64, help_text="Of the label.")
    start = models.FloatField(help_text="Unix time.")
    at = models.FloatField(help_text="Unix time of the window's end.")
    kind = models.CharField(max_length=16)
    n = models.PositiveIntegerField()
    metrics = models.JSONField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint", "version", "name", "at"), name="one_concept_reading_per_window"
            ),
        )
        indexes = (models.Index(fields=("at",), name="conceptreading_at"),)

    def __str__(self) -> str:
        return f"{self.endpoint} version {self.version}: {self.n} labelled {self.name}"
