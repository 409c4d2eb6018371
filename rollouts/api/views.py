"""The REST door of rollouts: parse, authorise, call one service or query, render."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.domain.roles import Permission
from registry.identity import actor_for, require
from registry.queries import model_by_name, version_by_number
from rollouts import queries, services
from rollouts.api import serializers
from rollouts.errors import Invalid
from rollouts.models import Rollout

PAGE_LIMIT = 200


def _validated(shape: type[Any], request: Request) -> dict[str, Any]:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    values: dict[str, Any] = body.validated_data
    return values


def _document(rollout: Rollout) -> dict[str, Any]:
    look = queries.deciding_look(rollout)
    weight = queries.intended_weight(rollout)
    return serializers.rollout_document(rollout, weight=weight, verdict=look.verdict if look else None)


def _integer(request: Request, name: str, default: int | None) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not value.isdecimal() or len(value) > 18:
        raise Invalid(f"{value!r} is not a whole number.", field=name)
    return int(value)


class Environments(APIView):
    """Staging, production, and whatever else endpoints live in."""

    @extend_schema(
        operation_id="environments_create",
        request=serializers.EnvironmentIn,
        responses={201: serializers.EnvironmentIn},
    )
    def post(self, request: Request) -> Response:
        require(request.user, Permission.ADMINISTER)
        values = _validated(serializers.EnvironmentIn, request)
        environment = services.create_environment(**values, actor=actor_for(request))
        return Response(
            {"name": environment.name, "alias": environment.alias}, status=status.HTTP_201_CREATED
        )

    @extend_schema(operation_id="environments_list", responses=serializers.EnvironmentIn(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        items = [{"name": row.name, "alias": row.alias} for row in queries.environments()]
        return Response({"items": items, "next": None})


class Endpoints(APIView):
    """Models served in an environment."""

    @extend_schema(operation_id="endpoints_list", responses=serializers.EndpointOut(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        limit = min(_integer(request, "limit", queries.PAGE) or queries.PAGE, PAGE_LIMIT)
        page = queries.endpoints_page(limit, after=request.query_params.get("after", ""))
        items = [serializers.endpoint_document(endpoint) for endpoint in page]
        return Response({"items": items, "next": page[-1].name if len(page) == limit else None})

    @extend_schema(
        operation_id="endpoints_create",
        request=serializers.EndpointIn,
        responses={201: serializers.EndpointOut},
    )
    def post(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        values = _validated(serializers.EndpointIn, request)
        endpoint = services.create_endpoint(
            name=values["name"],
            environment=queries.environment_by_name(values["environment"]),
            version=version_by_number(model_by_name(values["model"]), values["version"]),
            replicas=values["replicas"],
            actor=actor_for(request),
            reason=values["reason"],
        )
        return Response(serializers.endpoint_document(endpoint), status=status.HTTP_201_CREATED)


class EndpointDetail(APIView):
    """One endpoint: what serves, what was observed."""

    @extend_schema(operation_id="endpoints_retrieve", responses=serializers.EndpointOut)
    def get(self, request: Request, name: str) -> Response:
        require(request.user, Permission.VIEW)
        return Response(serializers.endpoint_document(queries.endpoint_by_name(name)))


class EndpointRollback(APIView):
    """Back at once: aborts the active rollout, or moves all traffic to an earlier version."""

    @extend_schema(
        operation_id="endpoints_rollback",
        request=serializers.RollbackIn,
        responses={202: serializers.RolloutOut},
    )
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.CONTROL_ROLLOUT)
        values = _validated(serializers.RollbackIn, request)
        endpoint = queries.endpoint_by_name(name)
        number = values.get("version")
        rollout = services.rollback_endpoint(
            endpoint=endpoint,
            version=version_by_number(endpoint.model, number) if number else None,
            actor=actor_for(request),
            reason=values["reason"],
        )
        return Response(_document(queries.rollout_by_id(rollout.pk)), status=status.HTTP_202_ACCEPTED)


class Rollouts(APIView):
    """Rollouts, newest first; POST starts one."""

    @extend_schema(
        operation_id="rollouts_list",
        parameters=[
            OpenApiParameter("endpoint", str),
            OpenApiParameter("model", str),
            OpenApiParameter("phase", str, description="One phase, or `active`."),
            OpenApiParameter("before", int, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.RolloutOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        limit = max(1, min(_integer(request, "limit", queries.PAGE) or queries.PAGE, PAGE_LIMIT))
        page = queries.recent_rollouts(
            limit,
            before=_integer(request, "before", None),
            endpoint=request.query_params.get("endpoint"),
            model=request.query_params.get("model"),
            phase=request.query_params.get("phase"),
        )
        verdicts = queries.verdicts(page)
        items = [
            serializers.rollout_document(
                rollout, weight=queries.intended_weight(rollout), verdict=verdicts.get(rollout.pk)
            )
            for rollout in page
        ]
        return Response({"items": items, "next": page[-1].pk if len(page) == limit else None})

    @extend_schema(
        operation_id="rollouts_start", request=serializers.RolloutIn, responses={201: serializers.RolloutOut}
    )
    def post(self, request: Request) -> Response:
        require(request.user, Permission.START_ROLLOUT)
        values = _validated(serializers.RolloutIn, request)
        endpoint = queries.endpoint_by_name(values["endpoint"])
        rollout = services.start_rollout(
            endpoint=endpoint,
            version=version_by_number(endpoint.model, values["version"]),
            strategy=values["strategy"],
            parameters=values["parameters"],
            actor=actor_for(request),
            reason=values["reason"],
            supersede=values["supersede"],
        )
        return Response(_document(queries.rollout_by_id(rollout.pk)), status=status.HTTP_201_CREATED)


class RolloutDetail(APIView):
    """One rollout: phase, step, shares intended and observed, verdict."""

    @extend_schema(operation_id="rollouts_retrieve", responses=serializers.RolloutOut)
    def get(self, request: Request, rollout_id: int) -> Response:
        require(request.user, Permission.VIEW)
        return Response(_document(queries.rollout_by_id(rollout_id)))


class RolloutTransitions(APIView):
    """Everything that happened to a rollout, oldest first, with the evidence."""

    @extend_schema(operation_id="rollouts_transitions", responses=serializers.TransitionOut(many=True))
    def get(self, request: Request, rollout_id: int) -> Response:
        require(request.user, Permission.VIEW)
        limit = max(1, min(_integer(request, "limit", PAGE_LIMIT) or PAGE_LIMIT, PAGE_LIMIT))
        after = _integer(request, "after", 0) or 0
        rows = list(queries.timeline(queries.rollout_by_id(rollout_id)).filter(number__gt=after)[:limit])
        items = serializers.TransitionOut(rows, many=True).data
        return Response({"items": items, "next": rows[-1].number if len(rows) == limit else None})


# The verb in the URL, the permission it needs, the service that does it.
VERBS: dict[str, tuple[Permission, Callable[..., Rollout]]] = {
    "pause": (Permission.CONTROL_ROLLOUT, services.pause),
    "resume": (Permission.CONTROL_ROLLOUT, services.resume),
    "abort": (Permission.CONTROL_ROLLOUT, services.abort),
    "promote": (Permission.PROMOTE, services.promote),
}


class RolloutVerb(APIView):
    """pause, resume, promote or abort; each needs a reason, which is kept."""

    verb = ""

    @extend_schema(request=serializers.ReasonIn, responses={202: serializers.RolloutOut})
    def post(self, request: Request, rollout_id: int) -> Response:
        permission, service = VERBS[self.verb]
        require(request.user, permission)
        reason = _validated(serializers.ReasonIn, request)["reason"]
        service(rollout=queries.rollout_by_id(rollout_id), actor=actor_for(request), reason=reason)
        return Response(_document(queries.rollout_by_id(rollout_id)), status=status.HTTP_202_ACCEPTED)


class RolloutRetry(APIView):
    """The same version with the same parameters once more, after a rollout that did not succeed."""

    @extend_schema(
        operation_id="rollouts_retry",
        request=serializers.ReasonIn,
        responses={201: serializers.RolloutOut},
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        require(request.user, Permission.START_ROLLOUT)
        reason = _validated(serializers.ReasonIn, request)["reason"]
        again = services.retry(
            rollout=queries.rollout_by_id(rollout_id), actor=actor_for(request), reason=reason
        )
        return Response(_document(queries.rollout_by_id(again.pk)), status=status.HTTP_201_CREATED)


class PlanPreview(APIView):
    """The plan that a rollout with these parameters would walk; nothing is started."""

    @extend_schema(operation_id="rollouts_preview", request=serializers.PreviewIn, responses={200: dict})
    def post(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        values = _validated(serializers.PreviewIn, request)
        plan = services.preview(
            endpoint=queries.endpoint_by_name(values["endpoint"]),
            strategy=values["strategy"],
            parameters=values["parameters"],
        )
        steps = [{"kind": step.kind, "description": step.describe()} for step in plan.steps]
        return Response({"plan": plan.to_dict(), "steps": steps, "least_seconds": plan.least_seconds})
