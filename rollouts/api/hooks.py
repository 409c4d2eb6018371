"""The REST door of hooks: who may be asked, and what was asked and answered."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.outgoing import SentOut, SwitchIn, sent
from registry.api.base import listed
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere
from rollouts import hooks, reach
from rollouts.api.reading import validated
from rollouts.models import HookCall, Webhook


class HookIn(serializers.Serializer[Any]):
    """A new hook. `url` may hold a token, so it is kept secret."""

    name = serializers.CharField(max_length=63)
    url = serializers.CharField(max_length=2000, write_only=True)


class HookOut(serializers.ModelSerializer[Webhook]):
    """A hook without its address and its secret."""

    class Meta:
        model = Webhook
        fields = ("name", "host", "active", "created_by", "created_at")


class HookMade(HookOut):
    """A new hook with its secret, which is never shown again."""

    secret = serializers.CharField()

    class Meta(HookOut.Meta):
        fields = (*HookOut.Meta.fields, "secret")  # type: ignore[assignment]


class SecretOut(serializers.Serializer[Any]):
    """A new secret, which is never shown again."""

    secret = serializers.CharField()


class CallOut(serializers.ModelSerializer[HookCall]):
    """A question to a hook, or something it was told, with the answer and the next attempt."""

    hook = serializers.CharField(source="webhook.name")

    class Meta:
        model = HookCall
        fields = (
            "hook", "moment", "step", "asked_at", "delivery", "attempts", "allowed", "reason", "status",
            "due_at", "deadline", "ended_at",
        )  # fmt: skip


class Hooks(APIView):
    """Webhooks that plans and policies may name."""

    @extend_schema(operation_id="hooks_list", responses=HookOut(many=True))
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        return listed(HookOut(hooks.webhooks(), many=True).data)

    @extend_schema(operation_id="hooks_add", request=HookIn, responses={201: HookMade})
    def post(self, request: Request) -> Response:
        # Not repeatable by key: the answer holds the secret, and answers under a key are kept.
        require(request.user, Permission.PROMOTE)
        row, secret = hooks.add_webhook(**validated(HookIn, request), actor=actor_for(request))
        return Response({**HookOut(row).data, "secret": secret}, status=status.HTTP_201_CREATED)


class HookSecret(APIView):
    """Replaces the secret; calls from now on are signed with the new one."""

    @extend_schema(operation_id="hooks_secret", request=None, responses=SecretOut)
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        return Response({"secret": hooks.new_secret_of(name=name, actor=actor_for(request))})


class HookPing(APIView):
    """Sends a signed `ping` now and says whether it arrived."""

    @extend_schema(operation_id="hooks_ping", request=None, responses=SentOut)
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        return sent(hooks.ping(name=name))


class HookSwitch(APIView):
    """Switches a hook off or on; one that is off gives no answer."""

    active = False

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=SwitchIn, responses=HookOut)
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        values = validated(SwitchIn, request)
        row = hooks.switch(name=name, active=self.active, actor=actor_for(request), **values)
        return Response(HookOut(row).data)


class RolloutHooks(APIView):
    """What was asked and told on behalf of a rollout, newest first."""

    @extend_schema(operation_id="rollouts_hooks", responses=CallOut(many=True))
    def get(self, request: Request, rollout_id: int) -> Response:
        calls = hooks.calls_of(reach.rollout_for(request.user, rollout_id))
        return listed(CallOut(calls, many=True).data)
