"""Answers to approval steps, and freeze windows."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.base import listed
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere, role_of
from rollouts import approvals, queries, reach
from rollouts.api import serializers
from rollouts.api.reading import validated


class RolloutApprovals(APIView):
    """Every answer to the rollout's approval steps, oldest first."""

    @extend_schema(operation_id="rollouts_approvals", responses=serializers.VoteOut(many=True))
    def get(self, request: Request, rollout_id: int) -> Response:
        votes = approvals.votes_of(reach.rollout_for(request.user, rollout_id))
        return listed(serializers.VoteOut(votes, many=True).data)


class RolloutVote(APIView):
    """approve or refuse the step that asks for it; a refusal needs a comment and ends the rollout."""

    answer = "approve"

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=serializers.VoteIn, responses={201: serializers.VoteOut}
    )
    @idempotent
    def post(self, request: Request, rollout_id: int) -> Response:
        rollout = reach.rollout_for(request.user, rollout_id)
        comment = validated(serializers.VoteIn, request)["comment"]
        answer = approvals.approve if self.answer == "approve" else approvals.refuse
        vote = answer(
            rollout=rollout,
            actor=actor_for(request),
            role=role_of(request.user, rollout.endpoint.model),
            comment=comment,
        )
        return Response(serializers.VoteOut(vote).data, status=status.HTTP_201_CREATED)


class Freezes(APIView):
    """Freeze windows: stretches of time, once or recurring, in which no share grows."""

    @extend_schema(operation_id="freezes_list", responses=serializers.FreezeOut(many=True))
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        rows = queries.freezes(ended=request.query_params.get("ended") == "true")
        return listed(serializers.FreezeOut(rows, many=True).data)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="freezes_add",
        request=serializers.FreezeIn,
        responses={201: serializers.FreezeOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        values = validated(serializers.FreezeIn, request)
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

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="freezes_end",
        request=serializers.ReasonIn,
        responses=serializers.FreezeOut,
    )
    @idempotent
    def post(self, request: Request, window_id: int) -> Response:
        require(request.user, Permission.PROMOTE)
        reason = validated(serializers.ReasonIn, request)["reason"]
        window = approvals.end_freeze(window_id=window_id, actor=actor_for(request), reason=reason)
        return Response(serializers.FreezeOut(window).data)
