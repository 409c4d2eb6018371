"""What rollouts look like over REST: input shapes that DRF checks, and output documents."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from rollouts.domain.plan import Plan
from rollouts.models import (
    Approval,
    Endpoint,
    FreezeWindow,
    Look,
    PlanTemplate,
    PlanTemplateVersion,
    Release,
    Rollout,
    Transition,
)
from rollouts.queries import allowed_verbs
from rollouts.targets import address


class EnvironmentIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=63)
    alias = serializers.CharField(
        max_length=128,
        required=False,
        default="",
        help_text="Follows the stable version; by default the name.",
    )
    target = serializers.CharField(
        max_length=53,
        required=False,
        default="default",
        help_text="Where its endpoints live: see GET /api/v1/targets.",
    )
    policy = serializers.DictField(
        required=False,
        default=dict,
        help_text="`approvals`, `four_eyes`, `after`, `parity`, `without`, `hooks`; see docs/rollouts.md.",
    )


class EnvironmentOut(EnvironmentIn):
    cluster = serializers.CharField(allow_null=True)
    router = serializers.CharField(allow_null=True)
    url = serializers.CharField()
    files = serializers.ListField(
        child=serializers.CharField(), help_text="Formats of single files that its model servers run."
    )
    folders = serializers.ListField(child=serializers.CharField(), help_text="Formats of folders.")


class EnvironmentTargetIn(serializers.Serializer[Any]):
    target = serializers.CharField(max_length=53)
    reason = serializers.CharField(max_length=2000)


class EnvironmentTargetOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    cluster = serializers.CharField()
    router = serializers.CharField()
    url = serializers.CharField()
    place = serializers.CharField()


class PolicyIn(serializers.Serializer[Any]):
    policy = serializers.DictField()
    reason = serializers.CharField(max_length=2000)


class EndpointIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=53)
    model = serializers.CharField(max_length=256)
    environment = serializers.CharField(max_length=63)
    version = serializers.IntegerField(min_value=1)
    replicas = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    reason = serializers.CharField(max_length=2000, required=False, default="")


class PreviewIn(serializers.Serializer[Any]):
    endpoint = serializers.CharField(max_length=53)
    strategy = serializers.CharField(
        max_length=32, required=False, help_text="By default the template's, else `canary`."
    )
    template = serializers.CharField(
        max_length=60, required=False, help_text="A saved plan, `name` for its newest version or `name@3`."
    )
    parameters = serializers.DictField(
        required=False, default=dict, help_text="Of the strategy; beside a template, instead of its own."
    )
    version = serializers.IntegerField(
        min_value=1, required=False, help_text="For `warnings`: what the gates can never decide of it."
    )


class RolloutIn(PreviewIn):
    version = serializers.IntegerField(min_value=1)
    reason = serializers.CharField(max_length=2000)
    supersede = serializers.BooleanField(
        default=False, help_text="Let a rollout under way give the traffic back first, then start this one."
    )

    break_glass = serializers.BooleanField(
        default=False, help_text="Neither a freeze nor an approval holds it; needs the permission to promote."
    )


class VoteIn(serializers.Serializer[Any]):
    comment = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


class VoteOut(serializers.ModelSerializer[Approval]):
    class Meta:
        model = Approval
        fields = ("step", "approve", "voter", "role", "comment", "digest", "plan_digest", "at")


class FreezeIn(serializers.Serializer[Any]):
    environment = serializers.CharField(max_length=63, required=False, allow_null=True, default=None)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    rule = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    timezone = serializers.CharField(max_length=64, required=False, default="UTC")
    reason = serializers.CharField(max_length=200)


class FreezeOut(serializers.ModelSerializer[FreezeWindow]):
    environment = serializers.CharField(source="environment.name", allow_null=True, default=None)

    class Meta:
        model = FreezeWindow
        fields = (
            "id",
            "environment",
            "starts_at",
            "ends_at",
            "rule",
            "timezone",
            "reason",
            "created_by",
            "ended_at",
        )


class TenureOut(serializers.Serializer[Any]):
    version = serializers.IntegerField(source="release.version.number")
    digest = serializers.CharField(source="release.digest")
    rollout = serializers.IntegerField(source="rollout_id", allow_null=True)
    start = serializers.DateTimeField()
    end = serializers.DateTimeField(allow_null=True)


class TemplateIn(serializers.Serializer[Any]):
    strategy = serializers.CharField(max_length=32, default="canary")
    parameters = serializers.DictField(required=False, default=dict)
    model = serializers.CharField(max_length=128, required=False, allow_null=True, default=None)
    environment = serializers.CharField(max_length=63, required=False, allow_null=True, default=None)
    reason = serializers.CharField(max_length=2000)


class TemplateVersionOut(serializers.ModelSerializer[PlanTemplateVersion]):
    class Meta:
        model = PlanTemplateVersion
        fields = ("number", "strategy", "parameters", "reason", "created_by", "created_at")


class TemplateOut(serializers.ModelSerializer[PlanTemplate]):
    model = serializers.CharField(source="model.name", allow_null=True, default=None)
    environment = serializers.CharField(source="environment.name", allow_null=True, default=None)
    versions = TemplateVersionOut(many=True)

    class Meta:
        model = PlanTemplate
        fields = ("name", "model", "environment", "archived_at", "versions")


class ReasonIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class RollbackIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)
    version = serializers.IntegerField(
        min_value=1, required=False, help_text="One that served here before; by default the previous one."
    )


class StepOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    description = serializers.CharField()


class RolloutOut(serializers.Serializer[Any]):
    """Schema of `rollout_document`."""

    id = serializers.IntegerField()
    endpoint = serializers.CharField()
    model = serializers.CharField()
    strategy = serializers.CharField()
    stable = serializers.IntegerField()
    candidate = serializers.IntegerField()
    digest = serializers.CharField()
    phase = serializers.CharField()
    active = serializers.BooleanField()
    step = serializers.IntegerField()
    steps = StepOut(many=True)
    weight = serializers.DictField(help_text="Candidate's share in percent: `intended` and `observed`.")
    verdict = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    actions = serializers.ListField(child=serializers.CharField())
    plan_digest = serializers.CharField()
    template = serializers.CharField(allow_null=True, help_text="The saved plan it was started from.")
    earlier = serializers.IntegerField(
        allow_null=True, help_text="The success of the same artifact in the environment the policy asks for."
    )
    override = serializers.BooleanField(help_text="The glass was broken.")
    start_reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    warnings = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Not in lists: what the plan's gates can never decide of this version.",
    )


class TransitionOut(serializers.ModelSerializer[Transition]):
    class Meta:
        model = Transition
        fields = ("number", "at", "from_phase", "to_phase", "step", "weight", "actor", "reason", "evidence")


class LookOut(serializers.Serializer[Any]):
    """Schema of `look_document`."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    step = serializers.IntegerField()
    verdict = serializers.CharField()
    reason = serializers.CharField()
    gates = serializers.ListField(
        child=serializers.DictField(), help_text="`name`, `verdict`, `reason` and the numbers of each gate."
    )


class EndpointOut(serializers.Serializer[Any]):
    """Schema of `endpoint_document`."""

    name = serializers.CharField()
    model = serializers.CharField()
    environment = serializers.CharField()
    url = serializers.CharField(help_text="Where applications send requests; empty when it is not known.")
    replicas = serializers.IntegerField()
    stable = serializers.DictField(allow_null=True)
    previous = serializers.DictField(allow_null=True)
    previous_until = serializers.DateTimeField(allow_null=True)
    rollout = serializers.IntegerField(allow_null=True, help_text="The active rollout.")
    observed = serializers.DictField()
    observed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


def rollout_document(rollout: Rollout, *, weight: int, verdict: str | None) -> dict[str, Any]:
    """A rollout as JSON; `weight` is the intended share, the observed one comes from the endpoint's row."""
    candidate = rollout.candidate.version
    observed = (rollout.endpoint.observed or {}).get("weights")
    plan = Plan.from_dict(rollout.plan)
    return {
        "id": rollout.pk,
        "endpoint": rollout.endpoint.name,
        "model": rollout.endpoint.model.name,
        "strategy": rollout.strategy,
        "stable": rollout.stable.version.number,
        "candidate": candidate.number,
        "digest": rollout.candidate.digest,
        "phase": rollout.phase,
        "active": rollout.finished_at is None,
        "step": rollout.step,
        "steps": [{"kind": step.kind, "description": step.describe()} for step in plan.steps],
        "weight": {
            "intended": weight,
            "observed": None if observed is None else observed.get(candidate.ref, 0),
        },
        "verdict": verdict,
        "reason": rollout.reason,
        "actions": [verb for verb, allowed in allowed_verbs(rollout).items() if allowed],
        "plan_digest": rollout.plan_digest,
        "template": str(rollout.template) if rollout.template else None,
        "earlier": rollout.earlier_id,
        "override": rollout.override,
        "start_reason": rollout.start_reason,
        "created_by": rollout.created_by,
        "created_at": rollout.created_at,
        "finished_at": rollout.finished_at,
    }


def look_document(look: Look) -> dict[str, Any]:
    """One look at the gates as JSON: the verdict, its sentence, and every gate."""
    judgement = look.judgement
    return {
        "number": look.number,
        "at": look.at,
        "step": look.step,
        "verdict": look.verdict,
        "reason": judgement["reason"],
        "gates": judgement["gates"],
    }


def endpoint_document(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as JSON."""
    return {
        "name": endpoint.name,
        "model": endpoint.model.name,
        "environment": endpoint.environment.name,
        "url": address(endpoint.environment.target, endpoint.name),
        "replicas": endpoint.replicas,
        "stable": _release(endpoint.stable),
        "previous": _release(endpoint.previous),
        "previous_until": endpoint.previous_until,
        "rollout": endpoint.active_id,
        "observed": endpoint.observed,
        "observed_at": endpoint.observed_at,
        "created_at": endpoint.created_at,
    }


def _release(release: Release | None) -> dict[str, Any] | None:
    return None if release is None else {"version": release.version.number, "digest": release.digest}
