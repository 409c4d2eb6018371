"""Why rollouts were rolled back: what a list says of them instead of their last word."""

from __future__ import annotations

from collections.abc import Iterable

from rollouts.domain.phases import Phase
from rollouts.models import Rollout, Transition


def causes(rollouts: Iterable[Rollout]) -> dict[int, str]:
    """Rollout id → the reason of its rollback, for those that had one; one query."""
    ids = [rollout.pk for rollout in rollouts]
    rows = Transition.objects.filter(rollout_id__in=ids, to_phase=Phase.ROLLING_BACK).exclude(
        from_phase=Phase.ROLLING_BACK
    )
    return dict(rows.order_by("number").values_list("rollout_id", "reason"))
