"""One effect for a request that is sent again under the same `Idempotency-Key`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.domain.text import clean_line
from registry.errors import KeyBusy, KeyReused
from registry.models import IdempotentRequest

KEPT = timedelta(days=1)
# A request that was not answered by then died with its process; the next one may try.
ABANDONED = timedelta(minutes=15)
_FIELD = "Idempotency-Key"


def claim(*, user: User, key: str, fingerprint: str) -> IdempotentRequest:
    """The record of this key: with a `status` when it was answered before, else the caller's to work on.

    `KeyReused` when the key stood for another request, `KeyBusy` while the first one is worked on.
    """
    key, now = clean_line(key, field=_FIELD, maximum=255, required=True), timezone.now()
    IdempotentRequest.objects.filter(user=user, at__lt=now - KEPT).delete()
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(user=user, key=key, fingerprint=fingerprint, at=now)
    except IntegrityError:
        found = IdempotentRequest.objects.filter(user=user, key=key).first()
    if found is None:
        raise KeyBusy("The first request with this key has just failed.", field=_FIELD, hint="Send it again.")
    if found.fingerprint != fingerprint:
        raise KeyReused(
            "This key was used for another request.", field=_FIELD, hint="Use a new key for every request."
        )
    if found.status is None and not _take_over(found):
        raise KeyBusy(
            "The first request with this key is still being worked on.", field=_FIELD, hint="Ask again later."
        )
    return found


def answered(record: IdempotentRequest, *, status: int, answer: Any) -> None:
    """Keep the answer for whoever sends the request again."""
    IdempotentRequest.objects.filter(pk=record.pk).update(status=status, answer=answer)


def failed(record: IdempotentRequest) -> None:
    """Forget the key: nothing was done, so the request may be mended and sent again under it."""
    IdempotentRequest.objects.filter(pk=record.pk).delete()


def _take_over(record: IdempotentRequest) -> bool:
    now = timezone.now()
    if record.at > now - ABANDONED:
        return False
    # Compare and set: of two that find it abandoned, one goes on.
    return bool(IdempotentRequest.objects.filter(pk=record.pk, status=None, at=record.at).update(at=now))
