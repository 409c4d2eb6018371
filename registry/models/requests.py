"""Requests that may be sent twice and must act once."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class IdempotentRequest(models.Model):
    """A key a client chose, what it stood for, and the answer; `status` is null while it is worked on."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_is_unique_per_user"),
        )
        indexes = (models.Index(fields=("user", "at"), name="idempotency_age"),)

    def __str__(self) -> str:
        return self.key


class Turn(models.Model):
    """When something that is done every so often was begun last; whoever moves it on does it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M}"
