"""Rollouts: start, look, steer."""

from __future__ import annotations

from collections.abc import Callable

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.base import following, listed
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere, visible
from registry.queries import version_by_number
from rollouts import queries, reach, services
from rollouts.api import serializers
from rollouts.api.reading import PAGE_LIMIT, document, integer, validated, wanted_plan
from rollouts.models import Rollout


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
        require_anywhere(request.user, Permission.VIEW)
        limit = max(1, min(integer(request, "limit", queries.PAGE) or queries.PAGE, PAGE_LIMIT))
        page = queries.recent_rollouts(
            limit,
            before=integer(request, "before", None),
            endpoint=request.query_params.get("endpoint"),
            model=request.query_params.get("model"),
            phase=request.query_params.get("phase"),
            within=visible(request.user, reach.TO_MODEL_OF_ENDPOINT),
        )
        verdicts = queries.verdicts(page)
        items = [
            serializers.rollout_document(
                rollout, weight=queries.intended_weight(rollout), verdict=verdicts.get(rollout.pk)
            )
            for rollout in page
        ]
        return listed(items, following(page, limit, lambda row: row.pk))

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="rollouts_start",
        request=serializers.RolloutIn,
        responses={201: serializers.RolloutOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.START_ROLLOUT)
        values = validated(serializers.RolloutIn, request)
        endpoint = reach.endpoint_for(request.user, values["endpoint"], Permission.START_ROLLOUT)
        if values["break_glass"]:
            require(request.user, Permission.PROMOTE, endpoint.model)
        plan = wanted_plan(values, endpoint)
        rollout = services.start_rollout(
            endpoint=endpoint,
            version=version_by_number(endpoint.model, values["version"]),
            strategy=plan.strategy,
            parameters=plan.parameters,
            template=plan.template,
            actor=actor_for(request),
            reason=values["reason"],
            supersede=values["supersede"],
            break_glass=values["break_glass"],
        )
        return Response(document(queries.rollout_by_id(rollout.pk)), status=status.HTTP_201_CREATED)


class RolloutDetail(APIView):
    """One rollout: phase, step, shares intended and observed, verdict."""

    @extend_schema(operation_id="rollouts_retrieve", responses=serializers.RolloutOut)
    def get(self, request: Request, rollout_id: int) -> Response:
        return Response(document(reach.rollout_for(request.user, rollout_id)))


class RolloutTransitions(APIView):
    """Everything that happened to a rollout, oldest first, with the evidence."""

    @extend_schema(operation_id="rollouts_transitions", responses=serializers.TransitionOut(many=True))
    def get(self, request: Request, rollout_id: int) -> Response:
        rollout = reach.rollout_for(request.user, rollout_id)
        limit = max(1, min(integer(request, "limit", PAGE_LIMIT) or PAGE_LIMIT, PAGE_LIMIT))
        after = integer(request, "after", 0) or 0
        rows = list(queries.timeline(rollout).filter(number__gt=after)[:limit])
        items = serializers.TransitionOut(rows, many=True).data
        return listed(items, following(rows, limit, lambda row: row.number))


class RolloutLooks(APIView):
    """Every look at the gates of a rollout, newest first, with the sentence and the numbers of each gate."""

    @extend_schema(
        operation_id="rollouts_looks",
        parameters=[
            OpenApiParameter("before", int, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.LookOut(many=True),
    )
    def get(self, request: Request, rollout_id: int) -> Response:
        rollout = reach.rollout_for(request.user, rollout_id)
        limit = max(1, min(integer(request, "limit", queries.PAGE) or queries.PAGE, PAGE_LIMIT))
        page = queries.looks_page(rollout, limit, before=integer(request, "before", None))
        items = [serializers.look_document(look) for look in page]
        return listed(items, following(page, limit, lambda row: row.number))


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

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=serializers.ReasonIn, responses={202: serializers.RolloutOut}
    )
    @idempotent
    def post(self, request: Request, rollout_id: int) -> Response:
        permission, service = VERBS[self.verb]
        rollout = reach.rollout_for(request.user, rollout_id, permission)
        reason = validated(serializers.ReasonIn, request)["reason"]
        service(rollout=rollout, actor=actor_for(request), reason=reason)
        return Response(document(queries.rollout_by_id(rollout_id)), status=status.HTTP_202_ACCEPTED)


class RolloutRetry(APIView):
    """The same version with the same parameters once more, after a rollout that did not succeed."""

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="rollouts_retry",
        request=serializers.ReasonIn,
        responses={201: serializers.RolloutOut},
    )
    @idempotent
    def post(self, request: Request, rollout_id: int) -> Response:
        rollout = reach.rollout_for(request.user, rollout_id, Permission.START_ROLLOUT)
        reason = validated(serializers.ReasonIn, request)["reason"]
        again = services.retry(rollout=rollout, actor=actor_for(request), reason=reason)
        return Response(document(queries.rollout_by_id(again.pk)), status=status.HTTP_201_CREATED)
