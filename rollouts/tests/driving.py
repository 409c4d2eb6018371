"""Driving a rollout through the database with a scripted judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from monitoring.domain.judge import Verdict
from rollouts import reconcile
from rollouts.models import Endpoint, Rollout
from rollouts.reconcile import Ports
from rollouts.tests.cast import judgement


@dataclass
class Driver:
    """Ticks one endpoint with a clock of its own; `verdict` is what the next looks say."""

    endpoint: Endpoint
    ports: Ports
    verdict: Verdict = Verdict.PASS
    now: datetime = field(default_factory=timezone.now)

    def judge(self, *args: object) -> object:
        """Stands in for `monitoring.analysis.judge`."""
        return judgement(self.verdict)

    def tick(self, times: int = 1, *, seconds: float = 1) -> None:
        """So many ticks, so many seconds apart."""
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            reconcile.tick(self.endpoint.pk, self.ports, self.now)

    def until(self, phase: str, *, most: int = 400) -> Rollout:
        """Ticks until the newest rollout is in that phase."""
        for _ in range(most):
            rollout = Rollout.objects.filter(endpoint=self.endpoint).latest("id")
            if rollout.phase == phase:
                return rollout
            self.tick()
        raise AssertionError(f"{rollout.phase} ({rollout.reason}) instead of {phase}")
