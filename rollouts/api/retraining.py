"""REST for the closed loop: an endpoint's retraining policy, and what it asked for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.serializers import Shape
from registry.domain.roles import Permission
from registry.identity import actor_for
from rollouts import reach, retraining
from rollouts.api.reading import validated
from rollouts.domain.retraining import RetrainingPolicy
from rollouts.models import RetrainingRun


class RetrainingPolicyIn(Shape):
    policy = serializers.JSONField(help_text="As docs/retraining.md has it.")
    reason = serializers.CharField(required=False, default="", max_length=1000)


class RetrainingPolicyOut(Shape):
    policy = serializers.DictField()


class RetrainingRunOut(Shape):
    run = serializers.CharField(source="key")
    state = serializers.CharField()
    cause = serializers.CharField()
    evidence = serializers.DictField()
    outcome = serializers.CharField()
    attempts = serializers.IntegerField()
    version = serializers.IntegerField(source="version.number", default=None)
    rollout = serializers.IntegerField(source="rollout_id")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField()


class RetrainingRunsOut(Shape):
    items = RetrainingRunOut(many=True)


class Retraining(APIView):
    """The policy of one endpoint; off until somebody sets one that is on."""

    @extend_schema(operation_id="endpoints_retraining", responses=RetrainingPolicyOut)
    def get(self, request: Request, name: str) -> Response:
        policy = retraining.policy_of(reach.endpoint_for(request.user, name))
        return Response({"policy": policy.to_dict()})

    @extend_schema(
        operation_id="endpoints_retraining_set", request=RetrainingPolicyIn, responses=RetrainingPolicyOut
    )
    def put(self, request: Request, name: str) -> Response:
        endpoint = reach.endpoint_for(request.user, name, Permission.PROMOTE)
        values = validated(RetrainingPolicyIn, request)
        rule = retraining.set_policy(
            endpoint=endpoint, document=values["policy"], actor=actor_for(request), reason=values["reason"]
        )
        return Response({"policy": RetrainingPolicy.parse(rule.document).to_dict()})


class RetrainingRuns(APIView):
    """What was asked for and what came of it, newest first."""

    @extend_schema(operation_id="endpoints_retraining_runs", responses=RetrainingRunsOut)
    def get(self, request: Request, name: str) -> Response:
        found: list[RetrainingRun] = retraining.runs(reach.endpoint_for(request.user, name))
        items: Any = RetrainingRunOut(found, many=True).data
        return Response({"items": items})
