"""The audit trail: append-only rows, each sealed with the digest of the one before it."""

from __future__ import annotations

from django.db import models

from registry.models.fields import CanonicalJSONField, Kept, KeptManager


class AuditEntry(Kept):
    """Who did what to what, when, from where and why; written by `registry.audit.record` only."""

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=150)
    via = models.CharField(max_length=16, blank=True)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=512)
    before = CanonicalJSONField(null=True)
    after = CanonicalJSONField(null=True)
    reason = models.TextField(blank=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    objects = KeptManager()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-sequence",)
        constraints = (models.UniqueConstraint(fields=("digest",), name="audit_digest_is_unique"),)
        indexes = (
            models.Index(fields=("target", "-sequence"), name="audit_of_target"),
            models.Index(fields=("actor_name", "-sequence"), name="audit_of_actor"),
            models.Index(fields=("action", "-sequence"), name="audit_of_action"),
        )

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.target}"


class AuditHead(models.Model):
    """The end of the chain, one row: its lock serialises insertion, its digest shows a cut-off tail.

    `seal` is an HMAC of both under the installation's secret key, so that whoever can write to the database
    but does not know the key cannot give the trail another end.
    """

    sequence = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    seal = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.sequence} {self.digest[:12]}"
