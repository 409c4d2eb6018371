"""Sampled predictions and the labels that join them by request id."""

from __future__ import annotations

from django.db import models


class Prediction(models.Model):
    """What one version answered to one request that the sampling rule chose.

    Rows are appended in the order of their arrival and deleted from the oldest on, so ids tell how many
    there are and how fast they come.
    """

    endpoint = models.CharField(max_length=100)
    version = models.CharField(max_length=64)
    request_id = models.CharField(max_length=128)
    at = models.FloatField(help_text="Unix time of the answer.")
    received = models.FloatField(help_text="Unix time of its arrival here.")
    outputs = models.JSONField(help_text="Output name → flat list of numbers or texts.")
    mirrored = models.BooleanField(default=False, help_text="A copy whose answer no user saw.")
    segment = models.JSONField(default=dict, blank=True)
    trace_id = models.CharField(
        max_length=32, blank=True, default="", db_default="", help_text="W3C trace of the request."
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint", "request_id", "version"), name="one_prediction_per_request_and_version"
            ),
        )
        indexes = (
            models.Index(fields=("endpoint", "at"), name="prediction_endpoint_at"),
            models.Index(fields=("received",), name="prediction_received"),
        )

    def __str__(self) -> str:
        return f"{self.endpoint} version {self.version}: {self.request_id}"


class Label(models.Model):
    """What turned out to be true of a request: a class, a value, a conversion.

    `version` is "" for a label that holds for every version that answered the request. Numbers and booleans
    (1 and 0) are in `number`, texts in `text`.
    """

    endpoint = models.CharField(max_length=100)
    request_id = models.CharField(max_length=128)
    name = models.CharField(max_length=64)
    version = models.CharField(max_length=64, blank=True)
    number = models.FloatField(null=True)
    text = models.CharField(max_length=200, blank=True)
    at = models.FloatField(help_text="Unix time at which it was known.")
    received = models.FloatField(help_text="Unix time of its arrival here.")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint", "request_id", "name", "version"), name="one_label_per_request_and_name"
            ),
        )
        indexes = (
            models.Index(fields=("endpoint", "name", "at"), name="label_endpoint_at"),
            models.Index(fields=("received",), name="label_received"),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.endpoint}: {self.request_id}"
