"""The verbs on a rollout that is under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.models import Version
from rollouts import store
from rollouts.domain import commands
from rollouts.domain.snapshot import Decision, Snapshot
from rollouts.domain.wording import check_reason
from rollouts.errors import LostRace
from rollouts.models import Endpoint, Rollout
from rollouts.services.admission import check_freeze

# An abort races against ticks and other people; it must win, so it tries again on the newer row.
MUST_WIN = frozenset({commands.abort, commands.supersede})
ATTEMPTS = 20


def pause(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Holds the rollout at its present share."""
    return _command(rollout, commands.pause, actor, reason)


def resume(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Lets a paused rollout go on."""
    return _command(rollout, commands.resume, actor, reason)


def promote(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Skips the steps before the promotion, but no approval; Conflict during a freeze."""
    if not rollout.override:
        check_freeze(rollout.endpoint)
    return _command(rollout, commands.promote, actor, reason)


def break_glass(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """From now on neither freezes nor approvals hold this rollout."""
    return _command(rollout, commands.break_glass, actor, reason)


def abort(*, rollout: Rollout, actor: Actor, reason: str) -> Rollout:
    """Rolls back. Against any concurrent verb or tick the abort wins."""
    return _command(rollout, commands.abort, actor, reason)


def give_way(endpoint: Endpoint, version: Version, actor: Actor, reason: str) -> None:
    """Sends the rollouts of the endpoint that have not ended on their way out."""
    for rollout in (endpoint.queued, endpoint.active):
        if rollout is not None:
            _command(rollout, commands.supersede, actor, f"superseded by version {version.ref}: {reason}")


def _command(
    rollout: Rollout, verb: Callable[[Snapshot, str, datetime], Decision], actor: Actor, reason: str
) -> Rollout:
    """One verb on a rollout. The verbs that must win try again on the newer row when they lose a race."""
    reason = check_reason(reason)
    for _ in range(ATTEMPTS if verb in MUST_WIN else 1):
        try:
            return _attempt(rollout, verb, actor, reason)
        except LostRace as error:
            lost = error
    raise lost


def _attempt(
    rollout: Rollout, verb: Callable[[Snapshot, str, datetime], Decision], actor: Actor, reason: str
) -> Rollout:
    now = timezone.now()
    row = Rollout.objects.select_related("endpoint", "stable__version", "candidate__version").get(
        pk=rollout.pk
    )
    loaded = store.Loaded(row.endpoint, row, store.snapshot_of(row))
    assert loaded.snapshot is not None
    decision = verb(loaded.snapshot, reason, now)
    with transaction.atomic():
        store.record(loaded, decision, actor=actor, now=now)
        audit.record(
            actor=actor,
            action=f"rollout.{verb.__name__}",
            target=f"rollouts/{row.pk}",
            before={"phase": loaded.snapshot.phase.value, "step": loaded.snapshot.step},
            after={"phase": decision.snapshot.phase.value, "step": decision.snapshot.step},
            reason=reason,
        )
    return Rollout.objects.get(pk=rollout.pk)
