"""The REST door of notices: targets, a test notice, what was sent."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring import notices, wiring
from monitoring.api.outgoing import SentOut, SwitchIn, sent
from monitoring.domain.notices import Severity
from monitoring.models import Notice, NoticeTarget
from registry.api.base import following, limit_of, listed, number_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.identity import actor_for, require


class TargetIn(serializers.Serializer[Any]):
    """A new target. `url` is an apprise URL; it is kept secret and never shown again."""

    name = serializers.CharField(max_length=63)
    url = serializers.CharField(max_length=2000, write_only=True)
    kinds = serializers.ListField(child=serializers.CharField(max_length=63), default=list)
    least = serializers.ChoiceField(choices=[severity.value for severity in Severity], default="info")
    environments = serializers.ListField(child=serializers.CharField(max_length=63), default=list)


class TargetOut(serializers.ModelSerializer[NoticeTarget]):
    """A target with how it fares; its URL is not part of it."""

    waiting = serializers.IntegerField(default=0)
    lost = serializers.IntegerField(default=0)

    class Meta:
        model = NoticeTarget
        fields = (
            "name", "service", "kinds", "least", "environments", "active", "created_by", "created_at",
            "waiting", "lost", "failures", "due_at", "last_sent_at", "last_error", "last_error_at",
        )  # fmt: skip


class NoticeOut(serializers.ModelSerializer[Notice]):
    """A notice to one target."""

    target = serializers.CharField(source="target.name")

    class Meta:
        model = Notice
        fields = (
            "id", "target", "kind", "severity", "environment", "title", "text", "path", "created_at",
            "sent_at", "attempts", "error", "ended",
        )  # fmt: skip


class Targets(APIView):
    """Who is told of what happens."""

    @extend_schema(operation_id="notice_targets_list", responses=TargetOut(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        return listed(TargetOut(notices.targets(), many=True).data)

    @extend_schema(
        operation_id="notice_targets_add",
        parameters=[IDEMPOTENCY_KEY],
        request=TargetIn,
        responses={201: TargetOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        body = TargetIn(data=request.data)
        body.is_valid(raise_exception=True)
        target = notices.add_target(
            **body.validated_data, notifier=wiring.notifier(), actor=actor_for(request)
        )
        return Response(TargetOut(target).data, status=status.HTTP_201_CREATED)


class TargetTest(APIView):
    """Sends a test notice now and says whether it arrived."""

    @extend_schema(operation_id="notice_targets_test", request=None, responses=SentOut)
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        error = notices.send_test(name=name, notifier=wiring.notifier(), actor=actor_for(request))
        return sent(error)


class TargetSwitch(APIView):
    """Switches a target off, which drops what waits for it, or on again."""

    active = False

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=SwitchIn, responses=TargetOut)
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        body = SwitchIn(data=request.data)
        body.is_valid(raise_exception=True)
        target = notices.switch(
            name=name, active=self.active, actor=actor_for(request), **body.validated_data
        )
        return Response(TargetOut(target).data)


class Notices(APIView):
    """What was sent, what waits, and what could not be sent, newest first."""

    @extend_schema(
        operation_id="notices_list",
        parameters=[
            OpenApiParameter("target", str),
            OpenApiParameter("before", int, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=NoticeOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        limit = limit_of(request)
        rows = notices.recent(
            limit, target=request.query_params.get("target", ""), before=number_of(request, "before")
        )
        return listed(NoticeOut(rows, many=True).data, following(rows, limit, lambda row: row.pk))
