"""Scoring jobs: a version over the tables of a folder, worked on in turns."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from registry.models import Version

STATES = (
    ("queued", "Queued"),
    ("running", "Running"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
)
OPEN = ("queued", "running")


class ScoringJob(models.Model):
    """One job; the truth about its content is in the target, this says whose turn it is and what is shown.

    leased_until: nobody takes it before but who has the claim; attempts: turns since one that made a part;
    result: the result document without its list of parts; result_digest: of `_result.json`.
    """

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="scoring_jobs")
    source = models.CharField(max_length=500)
    target = models.CharField(max_length=500)
    chunk_rows = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=STATES, default="queued")
    leased_until = models.DateTimeField(default=timezone.now)
    claim = models.CharField(max_length=32, blank=True, default="", db_default="")
    attempts = models.PositiveIntegerField(default=0)
    file = models.PositiveIntegerField(default=0)
    files = models.PositiveIntegerField(default=0)
    parts = models.PositiveIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    share = models.FloatField(default=0.0, help_text="Of the bytes of all files, 0 to 1.")
    result = models.JSONField(null=True, blank=True)
    result_digest = models.CharField(max_length=71, blank=True)
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("target",), condition=models.Q(state__in=OPEN), name="one_open_scoring_job_per_target"
            ),
        )
        indexes = (
            models.Index(
                fields=("leased_until",), condition=models.Q(state__in=OPEN), name="scoring_job_due"
            ),
        )

    def __str__(self) -> str:
        return f"scoring job {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether it is queued or running."""
        return self.state in OPEN

    @property
    def percent(self) -> int:
        """Of all bytes read, for people."""
        return int(self.share * 100)
