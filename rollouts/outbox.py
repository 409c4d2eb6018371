"""From the moves of rollouts to notices: each move is handed over once, in order per rollout.

`Transition.notified_at` is the mark. It is set in the transaction that writes the notices, so a process that
dies in between leaves the move to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from monitoring import notices
from rollouts import calls
from rollouts.domain.announcements import Move, announce
from rollouts.domain.phases import Phase
from rollouts.models import Transition

LIMIT = 200
_ROWS = Transition.objects.select_related(
    "rollout__endpoint__environment", "rollout__stable__version", "rollout__candidate__version"
)


def fan_out() -> int:
    """Hands moves that nobody was told of yet to the targets of notices and to hooks; returns how many.

    Callers of the same moment follow each other: they lock the moves in the order of their ids, so a later
    move of a rollout is never handed over before an earlier one.
    """
    untold = Transition.objects.filter(notified_at=None)
    if not untold.exists():
        return 0
    with transaction.atomic():
        rows = _ROWS.filter(notified_at=None).select_for_update(of=("self",)).order_by("id")
        moves = list(rows[:LIMIT])
        _tell(moves)
        calls.tell(moves, timezone.now())
        _mark(moves, timezone.now())
    return len(moves)


def _tell(moves: Sequence[Transition]) -> None:
    targets = notices.active_targets()
    for row in moves if targets else ():
        said = announce(_move(row))
        notices.notify(
            kind=said.kind,
            title=said.title,
            text=said.text,
            severity=said.severity,
            environment=row.rollout.endpoint.environment.name,
            path=f"/rollouts/{row.rollout_id}/",
            stream=f"rollouts/{row.rollout_id}",
            key=f"transitions/{row.pk}",
            among=targets,
        )


def _mark(moves: Sequence[Transition], now: datetime) -> None:
    Transition.objects.filter(pk__in=[move.pk for move in moves]).update(notified_at=now)


def _move(row: Transition) -> Move:
    rollout = row.rollout
    return Move(
        rollout=rollout.pk,
        number=row.number,
        endpoint=rollout.endpoint.name,
        stable=rollout.stable.version.ref,
        candidate=rollout.candidate.version.ref,
        from_phase=row.from_phase,
        to_phase=row.to_phase,
        weight=row.weight,
        actor=row.actor,
        reason=row.reason,
        step=rollout.plan["steps"][row.step]["kind"],
        ending=Phase(rollout.ending),
    )
