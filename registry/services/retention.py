"""Keeping the last versions that served production, and removing what was overtaken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.retention import Candidate, expendable
from registry.errors import Conflict, Invalid, NotFound
from registry.models import Alias, Model, Turn, Version
from registry.models.signals import production_asked, version_deleting
from registry.services.models import locked, target
from registry.services.versions import delete_version

AT_ONCE = 200
_TURN = "retention"


@dataclass(frozen=True, slots=True)
class Removal:
    """A version that the policy lets go and why; `held` says what keeps it all the same."""

    number: int
    reason: str
    held: str = ""


def set_retention(*, model: Model, keep: Any, actor: Actor, reason: str = "") -> Model:
    """How many versions that served production are kept; 0 keeps everything."""
    if isinstance(keep, bool) or not isinstance(keep, int) or not 0 <= keep <= 1000:
        raise Invalid("It must be a whole number from 0 to 1000.", field="keep")
    with transaction.atomic():
        model = locked(model)
        before, model.keep_served = model.keep_served, keep
        model.save(update_fields=["keep_served", "updated_at"])
        audit.record(
            actor=actor,
            action="model.retention",
            target=target(model),
            before={"keep": before},
            after={"keep": keep},
            reason=reason,
        )
    return model


def removals(model: Model, now: datetime | None = None) -> Sequence[Removal]:
    """What applying the policy would do, the oldest 200 first; nothing is changed."""
    found = _expendable(model, now or timezone.now())
    rows = Version.objects.filter(model=model, number__in=list(found), deleted_at=None).defer(
        "profile", "inspection"
    )
    rows = rows.select_related("model").order_by("number")
    return [Removal(row.number, found[row.number], _held(row)) for row in rows[:AT_ONCE]]


def apply_retention(*, model: Model, actor: Actor, now: datetime | None = None) -> Sequence[Removal]:
    """Delete, softly, what the policy lets go; returns what was removed and what is held."""
    done = []
    for removal in removals(model, now):
        row = Version.objects.select_related("model").get(model=model, number=removal.number)
        try:
            if not removal.held:
                delete_version(version=row, actor=actor, reason=f"retention: {removal.reason}")
            done.append(removal)
        except (Conflict, NotFound) as error:
            done.append(Removal(removal.number, removal.reason, error.message))
    return done


def apply_everywhere(actor: Actor) -> Iterator[tuple[Model, Removal]]:
    """`apply_retention` for every live model."""
    for model in Model.objects.filter(deleted_at=None).order_by("pk").iterator():
        for removal in apply_retention(model=model, actor=actor):
            yield model, removal


def take_turn(every: timedelta, now: datetime) -> bool:
    """Whether the scheduled run is due and the caller's to make: of many processes one is told so."""
    Turn.objects.get_or_create(name=_TURN, defaults={"at": now - every})
    return bool(Turn.objects.filter(name=_TURN, at__lte=now - every).update(at=now))


def last_turn() -> datetime | None:
    """When the last scheduled run began."""
    return Turn.objects.filter(name=_TURN).values_list("at", flat=True).first()


def _expendable(model: Model, now: datetime) -> dict[int, str]:
    settled = Version.objects.filter(model=model, deleted_at=None, intake=None)
    named = set(Alias.objects.filter(model=model).values_list("version__number", flat=True))
    served: dict[int, datetime] = {}
    for _, answer in production_asked.send(sender=Model, model=model, now=now):
        served |= cast(dict[int, datetime], answer or {})
    rows = settled.values_list("number", "created_at").iterator()
    candidates = (Candidate(number, created_at, number in named) for number, created_at in rows)
    return expendable(candidates, served, keep=model.keep_served, now=now)


def _held(version: Version) -> str:
    """Why an app above keeps it, "" when none does."""
    try:
        version_deleting.send(sender=Version, version=version)
    except Conflict as error:
        return error.message
    return ""
