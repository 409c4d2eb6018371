"""What happened, for lists and charts: why rollouts were rolled back, and what moved an endpoint lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rollouts.domain.phases import Phase
from rollouts.models import Endpoint, Rollout, Transition


def causes(rollouts: Iterable[Rollout]) -> dict[int, str]:
    """Rollout id → the reason of its rollback, for those that had one; one query."""
    ids = [rollout.pk for rollout in rollouts]
    rows = Transition.objects.filter(rollout_id__in=ids, to_phase=Phase.ROLLING_BACK).exclude(
        from_phase=Phase.ROLLING_BACK
    )
    return dict(rows.order_by("number").values_list("rollout_id", "reason"))


def moves_since(endpoint: Endpoint, start: datetime) -> Sequence[Transition]:
    """Transitions of all rollouts of the endpoint from `start` on, oldest first."""
    rows = Transition.objects.filter(rollout__endpoint=endpoint, at__gte=start)
    return list(rows.defer("evidence").order_by("at", "id"))
