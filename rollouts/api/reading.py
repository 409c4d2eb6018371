"""How the API's views read a request and show a rollout."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from rest_framework.request import Request

from registry.domain.moments import moment_of
from rollouts import plan_templates, queries, services
from rollouts.api import serializers
from rollouts.domain.plan import Plan
from rollouts.errors import Invalid
from rollouts.models import Endpoint, PlanTemplateVersion, Rollout

PAGE_LIMIT = 200


class WantedPlan(NamedTuple):
    """What a body asks to be compiled."""

    strategy: str
    parameters: dict[str, Any]
    template: PlanTemplateVersion | None


def validated(shape: type[Any], request: Request) -> dict[str, Any]:
    """The body as the shape reads it; what is wrong is told per field."""
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    values: dict[str, Any] = body.validated_data
    return values


def document(rollout: Rollout) -> dict[str, Any]:
    """One rollout as JSON, with its intended share, the verdict that decided last, and warnings."""
    look = queries.deciding_look(rollout)
    weight = queries.intended_weight(rollout)
    shown = serializers.rollout_document(rollout, weight=weight, verdict=look.verdict if look else None)
    warnings = services.warnings(Plan.from_dict(rollout.plan), rollout.candidate.version)
    return {**shown, "warnings": warnings}


def integer(request: Request, name: str, default: int | None) -> int | None:
    """A whole number from the query; Invalid names the parameter."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not value.isdecimal() or len(value) > 18:
        raise Invalid(f"{value!r} is not a whole number.", field=name)
    return int(value)


def moment(request: Request, name: str) -> datetime | None:
    """A moment with its zone from the query; Invalid names the parameter."""
    value = request.query_params.get(name)
    if value is None:
        return None
    moment = moment_of(value)
    if moment is None:
        raise Invalid(f"{value!r} is not a moment.", field=name, hint="Write 2026-03-01T12:00:00Z.")
    return moment


def wanted_plan(values: dict[str, Any], endpoint: Endpoint) -> WantedPlan:
    """The strategy and its parameters, from the saved plan that the body names or from the body alone."""
    strategy, reference = values.get("strategy"), values.get("template")
    if not reference:
        return WantedPlan(strategy or "canary", values["parameters"], None)
    version, parameters = plan_templates.filled_in(reference, endpoint, strategy, values["parameters"])
    return WantedPlan(version.strategy, parameters, version)
