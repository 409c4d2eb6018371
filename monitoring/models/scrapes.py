"""What the embedded scraper stores: one row per target and scrape."""

from __future__ import annotations

from django.db import models


class ScrapeTarget(models.Model):
    """A /metrics page with the labels it was listed under; another port or label is another target."""

    key = models.CharField(max_length=64, unique=True, help_text="SHA-256 of address and labels.")
    address = models.CharField(max_length=255)
    job = models.CharField(max_length=100, blank=True)
    endpoint = models.CharField(max_length=100, blank=True)
    labels = models.JSONField(default=dict)
    born = models.BooleanField(
        default=False, help_text="Its counters started from zero just before it was first seen."
    )
    first_seen = models.FloatField()
    last_seen = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["endpoint", "last_seen"], name="scrapetarget_endpoint_seen")]

    def __str__(self) -> str:
        return f"{self.address} ({self.endpoint or self.job})"


class ScrapeLayout(models.Model):
    """Which series a page lists, in its order; pages keep theirs for hours, so it is stored once."""

    digest = models.CharField(max_length=64, unique=True)
    columns = models.BinaryField(help_text="zlib over a JSON list of [name, labels].")

    def __str__(self) -> str:
        return self.digest[:12]


class Scrape(models.Model):
    """All values of one page at one moment. `epoch` grows whenever a counter of the target fell."""

    target = models.ForeignKey(ScrapeTarget, on_delete=models.CASCADE, db_index=False)
    layout = models.ForeignKey(ScrapeLayout, on_delete=models.PROTECT, null=True)
    at = models.FloatField(help_text="Unix time.")
    epoch = models.PositiveIntegerField(default=0)
    up = models.BooleanField(default=True)
    values = models.BinaryField(
        default=b"", help_text="float64 vector in layout order, shuffled and deflated."
    )

    class Meta:
        indexes = [
            models.Index(fields=["target", "at"], name="scrape_target_at"),
            models.Index(fields=["at"], name="scrape_at"),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} at {self.at:.3f}"
