"""What other gates would have said of rollouts that were: their looks once more, over the data of then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitoring.adapters.cached import CachedSource, Question, ask_together
from monitoring.analysis import Subject, judge, questions
from monitoring.domain.judge import GateSpec, Judgement, Verdict
from monitoring.domain.window import Window
from monitoring.errors import MetricsGone, MetricsUnavailable
from monitoring.ports import MetricsSource
from rollouts.domain.plan import Plan
from rollouts.models import Endpoint, Look, Rollout

# So many rollouts, and looks of each spread over its time, are replayed at most.
ROLLOUTS, LOOKS = 10, 30
LONGEST = timedelta(days=366)
PREDICTIONS = "model_predictions_total"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One look: the verdict of then, what the other gates say, and whether the data they need is `gone`."""

    number: int
    weight: int
    then: Verdict
    now: Judgement
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """One rollout replayed; `looks` in order of time."""

    rollout: Rollout
    looks: tuple[Replayed, ...]

    @property
    def failed_at(self) -> Replayed | None:
        """The first look at which the gates would have rolled it back."""
        return next((look for look in self.looks if look.now.verdict is Verdict.FAIL), None)

    @property
    def conclusion(self) -> str:
        """`rolled back`, `promoted` or `held`, by the first failure or the last verdict.

        `unknown` when the data of the last look is gone.
        """
        if self.failed_at is not None:
            return "rolled back"
        if self.looks and self.looks[-1].gone:
            return "unknown"
        return "promoted" if self.looks and self.looks[-1].now.verdict is Verdict.PASS else "held"

    def to_dict(self) -> dict[str, Any]:
        failed = self.failed_at
        return {
            "rollout": self.rollout.pk,
            "version": self.rollout.candidate.version.ref,
            "ended": self.rollout.phase,
            "would_have": self.conclusion,
            "failed_at": failed.now.window.end.isoformat() if failed else None,
            "reason": (failed or self.looks[-1]).now.reason if self.looks else "",
            "looks": [
                {
                    "number": look.number, "weight": look.weight, "then": look.then.value,
                    "verdict": look.now.verdict.value, "judgement": look.now.to_dict(),
                }
                for look in self.looks
            ],
        }  # fmt: skip


def replay_endpoint(
    endpoint: Endpoint, gates: Sequence[GateSpec], source: MetricsSource, since: datetime
) -> list[Replay]:
    """The endpoint's newest rollouts that began after `since` and had looks, the newest first.

    Nothing is written and nothing moves. Where the data of then is gone, the verdicts say so.
    """
    rows = (
        Rollout.objects.filter(endpoint=endpoint, created_at__gte=since, looks__gt=0)
        .select_related("stable__version", "candidate__version", "endpoint")
        .order_by("-id")[:ROLLOUTS]
    )
    return [replay(row, gates, source) for row in rows]


def replay(rollout: Rollout, gates: Sequence[GateSpec], source: MetricsSource) -> Replay:
    """One rollout's looks, spread over its time, with these gates."""
    plan = Plan.from_dict(rollout.plan)
    looks = _spread(list(Look.objects.filter(rollout=rollout).order_by("number")))
    subjects = [_subject(rollout, plan, look) for look in looks]
    pairs = list(zip(looks, subjects, strict=True))
    asked = [q for look, subject in pairs for q in (*questions(gates, subject, look.at), _counts(subject))]
    known = ask_together(source, asked)
    return Replay(rollout, tuple(_replayed(look, subject, plan, gates, known) for look, subject in pairs))


def _replayed(
    look: Look, subject: Subject, plan: Plan, gates: Sequence[GateSpec], known: CachedSource
) -> Replayed:
    judgement, gone = judge(gates, subject, known, look.at), _is_gone(look, subject, known)
    if gone:
        reason = (
            f"the measurements of {look.at:%b %d, %H:%M:%S} UTC are gone from the metrics provider, "
            "so nothing can be said"
        )
        judgement = replace(judgement, verdict=Verdict.NO_DATA, reason=reason)
    return Replayed(look.number, plan.weight_at(look.step), Verdict(look.verdict), judgement, gone)


def _counts(subject: Subject) -> Question:
    """Predictions of both versions over the window: where there are some, its data is still there."""
    where = {"endpoint": subject.endpoint, "model_version": [subject.candidate, subject.stable or ""]}
    return Question.of("increase", PREDICTIONS, ("model_version",), where, subject.window, None)


def _is_gone(look: Look, subject: Subject, known: CachedSource) -> bool:
    """Whether the look had predictions to judge and the source knows of none any more."""
    asked = _counts(subject)
    try:
        found = known.increase(asked.metric, by=asked.by, where=asked.where, window=asked.window)
    except MetricsGone:
        return True
    except MetricsUnavailable:
        return False
    return not found and any(gate.get("n") for gate in look.judgement["gates"])


def _subject(rollout: Rollout, plan: Plan, look: Look) -> Subject:
    return Subject(
        endpoint=rollout.endpoint.name,
        stable=None if plan.weight_at(look.step) == 100 else rollout.stable.version.ref,
        candidate=rollout.candidate.version.ref,
        window=Window.from_dict(look.judgement["window"]),
        look=look.number,
        windows=plan.windows,
        profile=rollout.candidate.version.profile,
    )


def _spread(looks: list[Look]) -> list[Look]:
    """At most LOOKS of them, evenly, with the first and the last."""
    if len(looks) <= LOOKS:
        return looks
    step = (len(looks) - 1) / (LOOKS - 1)
    return [looks[round(index * step)] for index in range(LOOKS)]
