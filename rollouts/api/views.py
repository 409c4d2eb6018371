"""The REST door of rollouts: parse, authorise, call one service or query, render."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.domain.roles import Permission
from registry.identity import actor_for, require, role_of
from registry.queries import model_by_name, version_by_number
from rollouts import approvals, queries, services
from rollouts.api import serializers
from rollouts.errors import Invalid
from rollouts.models import Environment, Rollout

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


def _environment(row: Environment) -> dict[str, Any]:
    return {"name": row.name, "alias": row.alias, "policy": row.policy}


def _moment(request: Request, name: str) -> datetime | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        moment = parse_datetime(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(f"{value!r} is not a moment.", field=name, hint="Write 2026-03-01T12:00:00Z.")
    return moment


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
        items = [_environment(row) for row in queries.environments()]
        return Response({"items": items, "next": None})


class EnvironmentPolicy(APIView):
    """What the environment asks of rollouts that start from now on."""

    @extend_schema(
        operation_id="environments_policy",
        request=serializers.PolicyIn,
        responses=serializers.EnvironmentIn,
    )
    def put(self, request: Request, name: str) -> Response:
        require(request.user, Permission.ADMINISTER)
        values = _validated(serializers.PolicyIn, request)
        environment = services.set_policy(
            environment=queries.environment_by_name(name), **values, actor=actor_for(request)
        )
        return Response(_environment(environment))


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


class EndpointHistory(APIView):
    """What served when, newest first; with `at`, what served at that moment."""

    @extend_schema(
        operation_id="endpoints_history",
        parameters=[
            OpenApiParameter("at", str, description="A moment such as 2026-03-01T12:00:00Z."),
            OpenApiParameter("before", str, description="`next` of the page before."),
        ],
        responses=serializers.TenureOut(many=True),
    )
    def get(self, request: Request, name: str) -> Response:
        require(request.user, Permission.VIEW)
        endpoint = queries.endpoint_by_name(name)
        moment = _moment(request, "at")
        if moment is not None:
            items = [queries.tenure_at(endpoint, moment)]
            return Response({"items": serializers.TenureOut(items, many=True).data, "next": None})
        page = queries.tenures(endpoint, before=_moment(request, "before"))
        following = page[-1].start if len(page) == queries.PAGE else None
        return Response({"items": serializers.TenureOut(page, many=True).data, "next": following})


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
        if values["break_glass"]:
            require(request.user, Permission.PROMOTE)
        endpoint = queries.endpoint_by_name(values["endpoint"])
        rollout = services.start_rollout(
            endpoint=endpoint,
            version=version_by_number(endpoint.model, values["version"]),
            strategy=values["strategy"],
            parameters=values["parameters"],
            actor=actor_for(request),
            reason=values["reason"],
            supersede=values["supersede"],
            break_glass=values["break_glass"],
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
    "break-glass": (Permission.PROMOTE, services.break_glass),
}


class RolloutVerb(APIView):
    """pause, resume, promote, abort or break-glass; each needs a reason, which is kept."""

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


class RolloutApprovals(APIView):
    """Every answer to the rollout's approval steps, oldest first."""

    @extend_schema(operation_id="rollouts_approvals", responses=serializers.VoteOut(many=True))
    def get(self, request: Request, rollout_id: int) -> Response:
        require(request.user, Permission.VIEW)
        votes = approvals.votes_of(queries.rollout_by_id(rollout_id))
        return Response({"items": serializers.VoteOut(votes, many=True).data, "next": None})


class RolloutVote(APIView):
    """approve or refuse the step that asks for it; a refusal needs a comment and ends the rollout."""

    answer = "approve"

    @extend_schema(request=serializers.VoteIn, responses={201: serializers.VoteOut})
    def post(self, request: Request, rollout_id: int) -> Response:
        require(request.user, Permission.VIEW)
        comment = _validated(serializers.VoteIn, request)["comment"]
        answer = approvals.approve if self.answer == "approve" else approvals.refuse
        vote = answer(
            rollout=queries.rollout_by_id(rollout_id),
            actor=actor_for(request),
            role=role_of(request.user),
            comment=comment,
        )
        return Response(serializers.VoteOut(vote).data, status=status.HTTP_201_CREATED)


class Freezes(APIView):
    """Freeze windows: stretches of time, once or recurring, in which no share grows."""

    @extend_schema(operation_id="freezes_list", responses=serializers.FreezeOut(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        rows = queries.freezes(ended=request.query_params.get("ended") == "true")
        return Response({"items": serializers.FreezeOut(rows, many=True).data, "next": None})

    @extend_schema(
        operation_id="freezes_add", request=serializers.FreezeIn, responses={201: serializers.FreezeOut}
    )
    def post(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        values = _validated(serializers.FreezeIn, request)
        name = values.pop("environment")
        window = approvals.add_freeze(
            environment=queries.environment_by_name(name) if name else None,
            zone=values.pop("timezone"),
            actor=actor_for(request),
            **values,
        )
        return Response(serializers.FreezeOut(window).data, status=status.HTTP_201_CREATED)


class FreezeEnd(APIView):
    """Ends a freeze window for good."""

    @extend_schema(operation_id="freezes_end", request=serializers.ReasonIn, responses=serializers.FreezeOut)
    def post(self, request: Request, window_id: int) -> Response:
        require(request.user, Permission.PROMOTE)
        reason = _validated(serializers.ReasonIn, request)["reason"]
        window = approvals.end_freeze(window_id=window_id, actor=actor_for(request), reason=reason)
        return Response(serializers.FreezeOut(window).data)


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
