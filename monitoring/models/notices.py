"""Who is told of what happens, and the notices that go out."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from monitoring.domain.notices import Severity, Wish
from registry.models.sealed import SealedField


class NoticeTarget(models.Model):
    """A chat, mailbox or service that is told of what happens.

    url is a secret as a whole; `service` is what may be shown of it. kinds, least and environments are the
    `Wish`. due_at: not before it is anything sent, because somebody sends now or the last attempt failed.
    """

    name = models.CharField(max_length=63, unique=True)
    url = SealedField()
    service = models.CharField(max_length=200)
    kinds = models.JSONField(default=list, blank=True)
    least = models.CharField(max_length=10, default=Severity.INFO.value)
    environments = models.JSONField(default=list, blank=True)
    active = models.BooleanField(default=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveIntegerField(default=0, help_text="Attempts that failed since one succeeded.")
    last_sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def wish(self) -> Wish:
        """What it wants to hear."""
        return Wish(kinds=self.kinds, least=Severity(self.least), environments=self.environments)


class Notice(models.Model):
    """One notice to one target: the outbox, and afterwards the record of what was sent.

    key: the same notice is kept once per target, however often it is given. stream: notices of one stream
    reach a target in the order of their ids. ended: why it will not be sent, when it was given up.
    """

    target = models.ForeignKey(NoticeTarget, on_delete=models.CASCADE, related_name="notices")
    key = models.CharField(max_length=100)
    stream = models.CharField(max_length=100)
    kind = models.CharField(max_length=63)
    severity = models.CharField(max_length=10)
    environment = models.CharField(max_length=63, blank=True)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    path = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    ended = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("target", "key"), name="one_notice_per_target_and_key"),
        )
        indexes = (
            models.Index(
                fields=("target", "id"),
                condition=models.Q(sent_at=None, ended=""),
                name="notice_unsent",
            ),
        )

    def __str__(self) -> str:
        return f"{self.title} to {self.target_id}"
