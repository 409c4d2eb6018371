"""The closed loop: drift or degradation asks for training, and what comes back is rolled out if it is better.

Off until somebody switches it on. Every step is a row, so that a crash anywhere is harmless: `ask` writes the
request, `deliver` sends it signed, `settle` looks for the version that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q

from monitoring.adapters import webhook
from monitoring.domain.signing import signed_headers
from monitoring.errors import Unreachable
from monitoring.models import ConceptReading, DriftReading
from registry import audit
from registry.domain.actor import SYSTEM, Actor
from registry.models import LatestMetric, Version
from rollouts import hooks, services
from rollouts.domain.retraining import QualityFloor, RetrainingPolicy, compare, degraded
from rollouts.errors import Conflict, DomainError
from rollouts.models import Endpoint, RetrainingRule, RetrainingRun

ATTEMPTS = 6
PAUSE = timedelta(minutes=1)
# What is older than this says nothing of now.
RECENT = timedelta(hours=48)
# So long a run is waited for, and so long its version may lack a metric or find the endpoint busy.
EXPIRES, PATIENCE = timedelta(days=7), timedelta(hours=24)


def set_policy(*, endpoint: Endpoint, document: object, actor: Actor, reason: str = "") -> RetrainingRule:
    """Replace the endpoint's policy; InvalidPlan for a bad one, also of its strategy and parameters."""
    policy = RetrainingPolicy.parse(document)
    services.preview(endpoint=endpoint, strategy=policy.strategy, parameters=policy.parameters)
    if policy.enabled:
        hooks.by_name(policy.hook)
    with transaction.atomic():
        before = RetrainingRule.objects.select_for_update().filter(endpoint=endpoint).first()
        rule, _ = RetrainingRule.objects.update_or_create(
            endpoint=endpoint, defaults={"document": policy.to_dict(), "changed_by": str(actor)[:150]}
        )
        audit.record(
            actor=actor, action="retraining.set", target=f"endpoints/{endpoint.name}/retraining",
            before=before and before.document, after=rule.document, reason=reason,
        )  # fmt: skip
    return rule


def policy_of(endpoint: Endpoint) -> RetrainingPolicy:
    """The endpoint's policy; off when nobody set one."""
    rule = RetrainingRule.objects.filter(endpoint=endpoint).first()
    return RetrainingPolicy.parse(rule.document) if rule else RetrainingPolicy()


def runs(endpoint: Endpoint, limit: int = 50) -> list[RetrainingRun]:
    """The endpoint's requests, newest first."""
    rows = RetrainingRun.objects.filter(endpoint=endpoint).select_related("version", "rollout")
    return list(rows[:limit])


def tend(now: float) -> int:
    """One round of the loop; returns how many requests moved."""
    moment = datetime.fromtimestamp(now, UTC)
    return ask(moment) + deliver(moment) + settle(moment)


def ask(now: datetime) -> int:
    """Write a request for every endpoint whose policy asks for one now; returns how many."""
    asked = 0
    rules = RetrainingRule.objects.filter(document__enabled=True)
    for rule in rules.select_related("endpoint__stable__version__model"):
        policy = RetrainingPolicy.parse(rule.document)
        if rule.endpoint.stable is None or not _rested(rule.endpoint, policy, now):
            continue
        cause, evidence = _cause(rule.endpoint, policy, now)
        if cause:
            asked += _ask(rule, policy, cause, evidence, now)
    return asked


def deliver(now: datetime) -> int:
    """Send the requests that are due, each signed with its hook's secret; returns how many arrived."""
    arrived = 0
    for run in RetrainingRun.objects.filter(state="asked", due_at__lte=now).select_related("endpoint"):
        # Claimed by moving its time, so that two workers do not send the same request at once.
        claimed = RetrainingRun.objects.filter(pk=run.pk, state="asked", due_at=run.due_at)
        if not claimed.update(due_at=now + PAUSE * 2**run.attempts, attempts=run.attempts + 1):
            continue
        problem = _send(run, now)
        if not problem:
            RetrainingRun.objects.filter(pk=run.pk).update(state="waiting", sent_at=now, outcome="")
            arrived += 1
        elif run.attempts + 1 >= ATTEMPTS:
            _end(run, "failed", problem)
        else:
            RetrainingRun.objects.filter(pk=run.pk).update(outcome=problem)
    return arrived


def settle(now: datetime) -> int:
    """Compare the versions that came back and start their rollouts; returns how many runs ended."""
    ended = 0
    waiting = RetrainingRun.objects.filter(state="waiting")
    for run in waiting.select_related("endpoint__stable__version", "endpoint__model"):
        version = _returned(run)
        if version is not None:
            ended += _settle(run, version, now)
        elif run.sent_at is not None and now - run.sent_at > EXPIRES:
            _end(run, "expired", "No version that names this run was registered.")
            ended += 1
    return ended


def _rested(endpoint: Endpoint, policy: RetrainingPolicy, now: datetime) -> bool:
    """Whether the cool-down is over and the day's cap not reached."""
    rows = RetrainingRun.objects.filter(endpoint=endpoint)
    if rows.filter(state__in=("asked", "waiting")).exists():
        return False
    if rows.filter(created_at__gt=now - timedelta(hours=policy.cooldown_hours)).exists():
        return False
    return rows.filter(created_at__gt=now - timedelta(days=1)).count() < policy.daily_cap


def _cause(endpoint: Endpoint, policy: RetrainingPolicy, now: datetime) -> tuple[str, dict[str, Any]]:
    """Why the stable version is to be trained again, and the evidence; "" when it is not."""
    assert endpoint.stable is not None
    ref, recent = endpoint.stable.version.ref, (now - RECENT).timestamp()
    if policy.drift:
        newest = DriftReading.objects.filter(endpoint=endpoint.name, version=ref, at__gt=recent)
        rows = list(newest.order_by("-at")[: policy.readings])
        if len(rows) == policy.readings and all(row.state == "drifted" for row in rows):
            columns = [column for column in rows[0].columns if column["state"] == "drifted"]
            names = ", ".join(column["name"] for column in columns[:5])
            return (
                f"version {ref} drifted in the last {policy.readings} readings: {names}",
                {"drift": [{"at": _iso(row.at), "drifted": row.drifted} for row in rows], "columns": columns},
            )
    if policy.quality:
        return _worse(endpoint, policy.quality, policy.readings, ref, recent)
    return "", {}


def _worse(
    endpoint: Endpoint, floor: QualityFloor, readings: int, ref: str, recent: float
) -> tuple[str, dict[str, Any]]:
    rows = ConceptReading.objects.filter(
        endpoint=endpoint.name, version=ref, name=floor.label, at__gt=recent
    ).order_by("at")
    known = [row for row in rows if floor.metric in row.metrics]
    if not degraded(floor, [(row.n, row.metrics[floor.metric]) for row in known], readings):
        return "", {}
    last = known[-1].metrics[floor.metric]
    return (
        f"{floor.metric} of version {ref} is {last:.4g}, worse than {floor.limit:g}",
        {"quality": [{"at": _iso(row.at), "labels": row.n, **row.metrics} for row in known[-readings:]]},
    )


def _ask(
    rule: RetrainingRule, policy: RetrainingPolicy, cause: str, evidence: Mapping[str, Any], now: datetime
) -> int:
    """The request, unless another worker wrote one meanwhile."""
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update().get(pk=rule.endpoint_id)
        if not _rested(endpoint, policy, now):
            return 0
        run = RetrainingRun.objects.create(
            key=f"rt_{uuid4().hex}", endpoint=endpoint, policy=policy.to_dict(), cause=cause,
            evidence=evidence, due_at=now, created_at=now,
        )  # fmt: skip
        audit.record(
            actor=SYSTEM, action="retraining.ask", target=f"endpoints/{endpoint.name}/retraining",
            after={"run": run.key}, reason=cause,
        )  # fmt: skip
    return 1


def _send(run: RetrainingRun, now: datetime) -> str:
    """Why it did not arrive, or nothing."""
    body = json.dumps(
        {
            "type": "retraining.requested",
            "timestamp": now.isoformat(),
            "data": {
                "run": run.key,
                "endpoint": run.endpoint.name,
                "model": run.endpoint.model.name,
                "version": run.endpoint.stable.version.number if run.endpoint.stable else None,
                "cause": run.cause,
                "evidence": run.evidence,
                "metrics": run.policy["metrics"],
            },
        }
    ).encode()
    try:
        hook = hooks.by_name(run.policy["hook"])
        if not hook.active:
            return f"The hook {hook.name} is off."
        headers = signed_headers(hook.secret.open(), delivery=run.key, at=now, body=body)
        reply = webhook.post(hook.url.open(), headers, body)
    except (Unreachable, DomainError) as error:
        return str(error)
    return "" if 200 <= reply.status < 300 else f"The hook answered {reply.status}."


def _returned(run: RetrainingRun) -> Version | None:
    """The version that names the run: its `training_run`, or the tag `retraining_run`."""
    named = Q(training_run=run.key) | Q(tags__retraining_run=run.key)
    return (
        Version.objects.filter(named, model=run.endpoint.model, deleted_at=None).order_by("-number").first()
    )


def _settle(run: RetrainingRun, version: Version, now: datetime) -> int:
    policy, champion = RetrainingPolicy.parse(run.policy), run.endpoint.stable
    assert champion is not None
    if version.pk == champion.version_id:
        return 0
    challenger_metrics, champion_metrics = _metrics_of(version), _metrics_of(champion.version)
    patient = now - version.created_at < PATIENCE
    missing = any(metric.name not in challenger_metrics for metric in policy.metrics)
    if patient and (missing or not version.is_ready):
        return 0
    better, why = compare(policy.metrics, challenger_metrics, champion_metrics)
    if not better:
        _end(run, "refused", why, version=version)
        return 1
    try:
        with transaction.atomic():
            # Whoever moves the run first starts its rollout; a start that fails moves nothing.
            if not RetrainingRun.objects.filter(pk=run.pk, state="waiting").update(state="started"):
                return 0
            rollout = services.start_rollout(
                endpoint=run.endpoint, version=version, strategy=policy.strategy,
                parameters=policy.parameters, actor=SYSTEM,
                reason=f"trained again because {run.cause}; better than the champion: {why}"[:500],
            )  # fmt: skip
            _end(run, "started", why, version=version, rollout=rollout)
    except Conflict as error:
        # Another rollout or a freeze: it may be over tomorrow.
        if patient:
            RetrainingRun.objects.filter(pk=run.pk).update(outcome=str(error))
            return 0
        _end(run, "refused", str(error), version=version)
    except DomainError as error:
        _end(run, "refused", str(error), version=version)
    return 1


def _end(run: RetrainingRun, state: str, outcome: str, **links: Any) -> None:
    with transaction.atomic():
        RetrainingRun.objects.filter(pk=run.pk).update(state=state, outcome=outcome, **links)
        audit.record(
            actor=SYSTEM, action=f"retraining.{state}", target=f"endpoints/{run.endpoint.name}/retraining",
            after={"run": run.key, **{name: row.pk for name, row in links.items()}}, reason=outcome,
        )  # fmt: skip


def _metrics_of(version: Version) -> dict[str, float]:
    return dict(LatestMetric.objects.filter(version=version).values_list("name", "value"))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
