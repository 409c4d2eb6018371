"""Where a version that was registered elsewhere, or over the MLflow protocol, came from."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

# MLflow's stages, kept for clients that still use them; they move no traffic.
STAGES = ("None", "Staging", "Production", "Archived")


class Origin(models.Model):
    """Columns of a version that pages and REST do not ask for, but the MLflow protocol does."""

    source = models.CharField(max_length=500, blank=True)
    # What `source` means once names in it are resolved; empty when it is the same.
    resolved_source = models.CharField(max_length=500, blank=True)
    run_link = models.CharField(max_length=500, blank=True)
    logged_model = models.CharField(max_length=64, blank=True)
    stage = models.CharField(max_length=16, default=STAGES[0])
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
