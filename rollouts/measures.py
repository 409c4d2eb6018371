"""Slipway's own figures, read from the rows that are the truth, so that no restart loses or doubles any.

The number of queries is constant.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, OuterRef, Q, Subquery, Sum

from monitoring.domain.family import Family, Sample
from rollouts.domain.phases import ACTIVE, TERMINAL, UNENDED, Phase
from rollouts.models import Endpoint, Look, Rollout

# Seconds; a rollout lasts minutes to weeks, a rollback well under a second to a minute.
DURATIONS = (60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0, 7 * 86_400.0)
ROLLBACKS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
# A change that had to be undone or repaired (https://dora.dev/guides/dora-metrics/).
FAILED_CHANGE = (Phase.ROLLED_BACK, Phase.FAILED)
RATE_WINDOW = timedelta(days=30)
# Of more rollouts than this only the newest are shown one by one.
SHOWN = 1000


def families(now: datetime) -> list[Family]:
    """Everything that Prometheus is told of rollouts."""
    active = list(_active())
    return [
        _phases(),
        _ended(),
        _histogram(
            "slipway_rollout_duration_seconds",
            "From the start of a rollout to its end",
            DURATIONS,
            Rollout.objects.filter(phase__in=_values(TERMINAL)),
            "created_at",
        ),
        _histogram(
            "slipway_rollback_duration_seconds",
            "From the decision to roll back to the router seen without the candidate",
            ROLLBACKS,
            Rollout.objects.filter(phase=Phase.ROLLED_BACK.value, rolling_back_since__isnull=False),
            "rolling_back_since",
        ),
        _change_failures(now),
        _weights(active),
        *_gates(active),
        *_ticks(now),
    ]


def _values(phases: Iterable[Phase]) -> list[str]:
    return sorted(phase.value for phase in phases)


def _phases() -> Family:
    rows = (
        Rollout.objects.filter(phase__in=_values(UNENDED))
        .order_by()
        .values_list("phase", "endpoint__environment__name")
        .annotate(count=Count("id"))
    )
    samples = tuple(Sample({"phase": p, "environment": e}, count) for p, e, count in rows)
    return Family("slipway_rollouts", "Rollouts that have not ended, by phase", "gauge", samples)


def _ended() -> Family:
    rows = (
        Rollout.objects.filter(phase__in=_values(TERMINAL))
        .order_by()
        .values_list("phase", "strategy", "endpoint__environment__name")
        .annotate(count=Count("id"))
    )
    samples = tuple(
        Sample({"ending": phase, "strategy": strategy, "environment": environment}, count)
        for phase, strategy, environment, count in rows
    )
    return Family("slipway_rollouts_ended", "Rollouts that ended, by how", "counter", samples)


def _histogram(name: str, help_text: str, bounds: tuple[float, ...], rows: Any, since: str) -> Family:
    """Durations from the column `since` to the end, counted per bucket by the database."""
    length = F("finished_at") - F(since)
    counts = {
        f"upto_{at}": Count("id", filter=Q(length__lte=timedelta(seconds=bound)))
        for at, bound in enumerate(bounds)
    }
    found = (
        rows.filter(finished_at__isnull=False)
        .order_by()
        .annotate(length=length)
        .values("strategy")
        .annotate(**counts, every=Count("id"), total=Sum("length"))
    )
    samples = tuple(
        Sample(
            {"strategy": row["strategy"]},
            row["total"].total_seconds() if row["total"] else 0.0,
            (*((bound, row[f"upto_{at}"]) for at, bound in enumerate(bounds)), (math.inf, row["every"])),
        )
        for row in found
    )
    return Family(name, help_text, "histogram", samples)


def _change_failures(now: datetime) -> Family:
    """Failed changes among those that reached users or would have: promoted, rolled back, failed."""
    rows = (
        Rollout.objects.filter(finished_at__gte=now - RATE_WINDOW)
        .exclude(strategy="instant")
        .filter(phase__in=_values({Phase.SUCCEEDED, *FAILED_CHANGE}))
        .order_by()
        .values_list("endpoint__environment__name")
        .annotate(every=Count("id"), failed=Count("id", filter=Q(phase__in=_values(FAILED_CHANGE))))
    )
    samples = tuple(Sample({"environment": name}, failed / every) for name, every, failed in rows)
    return Family(
        "slipway_change_failure_ratio",
        "Share of the releases of the last 30 days that were rolled back or failed",
        "gauge",
        samples,
    )


def _active() -> Iterable[Mapping[str, Any]]:
    """The newest active rollouts with their newest look, in one query."""
    newest = Look.objects.filter(rollout=OuterRef("pk")).order_by("-number")
    return (
        Rollout.objects.filter(phase__in=_values(ACTIVE))
        .order_by("-id")
        .annotate(
            verdict=Subquery(newest.values("verdict")[:1]), judgement=Subquery(newest.values("judgement")[:1])
        )
        .values(
            "id", "endpoint__name", "endpoint__observed", "candidate__version__number", "verdict", "judgement"
        )
    )[:SHOWN]


def _weights(active: Iterable[Mapping[str, Any]]) -> Family:
    samples = []
    for row in active:
        shares = (row["endpoint__observed"] or {}).get("weights") or {}
        version = str(row["candidate__version__number"])
        samples.append(_of(row, float(shares.get(version, 0)) / 100))
    return Family(
        "slipway_candidate_weight_ratio", "Share of the traffic that the candidate was seen with", "gauge",
        tuple(samples),
    )  # fmt: skip


def _gates(active: Iterable[Mapping[str, Any]]) -> tuple[Family, ...]:
    """What the newest look at each active rollout said, gate by gate."""
    verdicts: dict[str, int] = defaultdict(int)
    found: dict[str, list[Sample]] = {"value": [], "reference": [], "limit": []}
    for row in active:
        if row["verdict"]:
            verdicts[row["verdict"]] += 1
        for gate in (row["judgement"] or {}).get("gates", ()):
            for field, samples in found.items():
                if isinstance(gate.get(field), int | float):
                    samples.append(_of(row, float(gate[field]), gate=gate["name"]))
    said = tuple(Sample({"verdict": verdict}, count) for verdict, count in sorted(verdicts.items()))
    return (
        Family("slipway_verdicts", "Newest verdicts of the active rollouts", "gauge", said),
        Family("slipway_gate_value", "Candidate's figure at the newest look", "gauge", tuple(found["value"])),
        Family(
            "slipway_gate_reference", "Stable version's figure at the newest look", "gauge",
            tuple(found["reference"]),
        ),
        Family("slipway_gate_limit", "Effect above which the gate fails", "gauge", tuple(found["limit"])),
    )  # fmt: skip


def _of(row: Mapping[str, Any], value: float, **labels: str) -> Sample:
    named = {"endpoint": row["endpoint__name"], "rollout": str(row["id"])}
    return Sample({**named, **labels}, value)


def _ticks(now: datetime) -> tuple[Family, ...]:
    """How far behind the ticks are: a tick that is due was asked for at `look_at`."""
    due = Endpoint.objects.aggregate(
        oldest=Min("look_at"), seen=Min("observed_at"), overdue=Count("id", filter=Q(look_at__lt=now))
    )
    return (
        _gauge("slipway_tick_lag_seconds", "How overdue the most overdue tick is", _age(due["oldest"], now)),
        _gauge("slipway_ticks_due", "Endpoints whose tick is due", due["overdue"]),
        _gauge(
            "slipway_observation_age_seconds",
            "Age of the oldest observation of an endpoint",
            _age(due["seen"], now),
        ),
    )


def tick_lag(now: datetime) -> float:
    """Seconds by which the most overdue tick is overdue."""
    return _age(Endpoint.objects.aggregate(oldest=Min("look_at"))["oldest"], now)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def _gauge(name: str, help_text: str, value: float) -> Family:
    return Family(name, help_text, "gauge", (Sample({}, float(value)),))
