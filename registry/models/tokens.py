"""API tokens: only a digest of the secret is kept."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from registry.domain.access import Limits, Scope


class ApiToken(models.Model):
    """A bearer token of one user; `digest` is the SHA-256 of its secret.

    `scopes` None means everything the user's roles allow; `team` or `model` narrow it to a team's models or
    to one model.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(null=True, blank=True)
    team = models.CharField(max_length=128, blank=True)
    model = models.ForeignKey("registry.Model", on_delete=models.CASCADE, null=True, related_name="+")
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def limits(self) -> Limits:
        """How it narrows what its user may do."""
        scopes = None if self.scopes is None else frozenset(self.scopes)
        return Limits(scopes, Scope(self.team, self.model_id))

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked` at `now`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"
