"""What the doors show of rollouts. The number of queries never depends on the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from registry.models import Version
from rollouts import store
from rollouts.domain.commands import VERBS
from rollouts.domain.phases import ACTIVE, UNENDED, Phase
from rollouts.errors import NotFound
from rollouts.models import Endpoint, Environment, FreezeWindow, Look, Rollout, Tenure, Transition

PAGE = 50
EVERYTHING = Q()


def environment_by_name(name: str) -> Environment:
    """NotFound names the environments that exist."""
    environment = Environment.objects.filter(name=name).first()
    if environment is None:
        known = ", ".join(Environment.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise NotFound(f"There is no environment {name!r}.", field="environment", hint=f"There is: {known}.")
    return environment


def environments() -> QuerySet[Environment]:
    """Every environment, by name."""
    return Environment.objects.order_by("name")


def occupied_environments() -> set[int]:
    """The keys of the environments that have endpoints."""
    return set(Endpoint.objects.values_list("environment_id", flat=True).distinct())


def endpoints_page(limit: int, *, after: str = "", within: Q = EVERYTHING) -> Sequence[Endpoint]:
    """A page of endpoints by name; `after` is the last name of the page before, `within` filters them."""
    return list(endpoints_overview().filter(within, name__gt=after)[:limit])


def endpoints_overview() -> QuerySet[Endpoint]:
    """Every endpoint with its releases and its active rollout."""
    return Endpoint.objects.select_related(
        "model",
        "environment",
        "stable__version",
        "previous__version",
        "active__candidate__version",
        "active__stable__version",
    )


def is_served(model: str, within: Q = EVERYTHING) -> bool:
    """Whether the model of that name has an endpoint that the reader may see."""
    return Endpoint.objects.filter(within, model__name=model).exists()


def endpoint_by_name(name: str) -> Endpoint:
    """NotFound when there is none of that name."""
    endpoint = endpoints_overview().filter(name=name).first()
    if endpoint is None:
        raise NotFound(f"There is no endpoint {name!r}.", field="endpoint")
    return endpoint


def rollouts() -> QuerySet[Rollout]:
    """All rollouts with what a list shows, newest first."""
    return Rollout.objects.select_related(
        "endpoint__model",
        "endpoint__environment",
        "stable__version",
        "candidate__version",
        "template__template",
    ).order_by("-id")


def recent_rollouts(
    limit: int = PAGE,
    *,
    before: int | None = None,
    endpoint: str | None = None,
    phase: str | None = None,
    model: str | None = None,
    within: Q = EVERYTHING,
) -> Sequence[Rollout]:
    """A page of rollouts, newest first; `before` is the last id of the page before (key-set pagination).

    phase: one phase, or "active" for all that have not ended. within: what the reader may see.
    """
    rows = rollouts().filter(within)
    if before is not None:
        rows = rows.filter(id__lt=before)
    if endpoint:
        rows = rows.filter(endpoint__name=endpoint)
    if model:
        rows = rows.filter(endpoint__model__name=model)
    if phase:
        rows = rows.filter(phase__in=sorted(ACTIVE) if phase == "active" else [phase])
    return list(rows[:limit])


def rollout_by_id(rollout_id: int) -> Rollout:
    """NotFound when there is none of that number."""
    rollout = rollouts().filter(pk=rollout_id).first()
    if rollout is None:
        raise NotFound(f"There is no rollout {rollout_id}.")
    return rollout


def timeline(rollout: Rollout) -> QuerySet[Transition]:
    """Everything that happened to it, oldest first."""
    return rollout.transitions.order_by("number")


def timeline_page(rollout: Rollout, limit: int, *, before: int | None = None) -> Sequence[Transition]:
    """A page of the timeline, newest first; `before` is the last number of the page before."""
    rows = rollout.transitions.order_by("-number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    return list(rows[:limit])


def causes(page: Iterable[Rollout]) -> Mapping[int, str]:
    """Rollout id → the reason of its rollback, for those that had one; one query.

    Giving the traffic back at the end of a plan without a promotion is no rollback.
    """
    rows = Transition.objects.filter(
        rollout_id__in=[rollout.pk for rollout in page], to_phase=Phase.ROLLING_BACK
    ).exclude(Q(from_phase=Phase.ROLLING_BACK) | Q(rollout__ending=Phase.CONCLUDED))
    return dict(rows.order_by("number").values_list("rollout_id", "reason"))


def moves_since(endpoint: Endpoint, start: datetime) -> Sequence[Transition]:
    """Transitions of all rollouts of the endpoint from `start` on, oldest first; no planned endings."""
    rows = Transition.objects.filter(rollout__endpoint=endpoint, at__gte=start)
    rows = rows.exclude(to_phase=Phase.ROLLING_BACK, rollout__ending=Phase.CONCLUDED)
    return list(rows.defer("evidence").order_by("at", "id"))


def earlier_success(rollout: Rollout) -> Rollout | None:
    """The success of the same artifact in the environment that the policy asks for."""
    return rollouts().filter(pk=rollout.earlier_id).first() if rollout.earlier_id else None


def latest_look(rollout: Rollout) -> Look | None:
    """The newest look at its gates."""
    return rollout.look_log.order_by("-number").first()


def looks_page(rollout: Rollout, limit: int, *, before: int | None = None) -> Sequence[Look]:
    """A page of the looks at its gates, newest first; `before` is the last number of the page before."""
    rows = rollout.look_log.order_by("-number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    return list(rows[:limit])


def deciding_look(rollout: Rollout) -> Look | None:
    """The failed look that rolled it back, or else the newest one."""
    failed = rollout.look_log.filter(verdict="fail").order_by("-number").first()
    return failed or latest_look(rollout)


def verdicts(page: Iterable[Rollout]) -> Mapping[int, str]:
    """The newest verdict of each rollout, in one query."""
    newest = Look.objects.filter(rollout=OuterRef("rollout")).order_by("-number").values("number")[:1]
    rows = Look.objects.filter(rollout__in=[rollout.pk for rollout in page], number=Subquery(newest))
    return dict(rows.values_list("rollout_id", "verdict"))


def intended_weight(rollout: Rollout) -> int:
    """The candidate's share in percent as the row intends it; 100 once it has succeeded."""
    return store.snapshot_of(rollout).weight


def tenures(endpoint: Endpoint, limit: int = PAGE, *, before: datetime | None = None) -> Sequence[Tenure]:
    """What served when, newest first; `before` is the last start of the page before."""
    rows = Tenure.objects.filter(endpoint=endpoint).select_related("release__version", "rollout")
    if before is not None:
        rows = rows.filter(start__lt=before)
    return list(rows[:limit])


def tenure_at(endpoint: Endpoint, moment: datetime) -> Tenure:
    """What was the stable release at that moment; NotFound before the endpoint's first."""
    rows = Tenure.objects.filter(endpoint=endpoint, start__lte=moment).select_related("release__version")
    tenure = rows.first()
    if tenure is None:
        raise NotFound(f"{endpoint.name} served nothing at {moment.isoformat()}.", field="at")
    return tenure


def uses_of(version: Version) -> Sequence[str]:
    """Where a version serves, could be rolled back to, or is being rolled out, in words."""
    found = []
    for endpoint in endpoints_overview().filter(Q(stable__version=version) | Q(previous__version=version)):
        how = "serves it" if endpoint.serves(version) else "could be rolled back to it"
        found.append(f"{endpoint.name} {how}")
    unended = sorted(phase.value for phase in UNENDED)
    for rollout in rollouts().filter(candidate__version=version, phase__in=unended):
        found.append(f"rollout {rollout.pk} moves {rollout.endpoint.name} to it")
    return found


def freezes(*, ended: bool = False) -> QuerySet[FreezeWindow]:
    """Freeze windows by their beginning; without those that were ended or are over unless asked for."""
    rows = FreezeWindow.objects.select_related("environment")
    return rows if ended else rows.filter(ended_at=None).exclude(rule="", ends_at__lte=timezone.now())


def allowed_verbs(rollout: Rollout) -> Mapping[str, bool]:
    """Which verbs apply in its present phase."""
    return {verb: Phase(rollout.phase) in phases for verb, phases in VERBS.items()}
