"""REST for alerts: rules, what fires, acknowledgements, silences, and the rules for a Prometheus."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.alerting import people
from monitoring.alerting.export import rules_yaml
from monitoring.models import Alert, AlertEvent, AlertRule, AlertSilence
from registry.api.base import body_of, following, limit_of, listed, number_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.serializers import Shape
from registry.domain.roles import Permission
from registry.errors import Invalid
from registry.identity import actor_for, require, require_anywhere

SAID = ("reason", "enabled")


class RuleOut(serializers.ModelSerializer[AlertRule]):
    class Meta:
        model = AlertRule
        fields = (
            "name", "document", "enabled", "health", "note", "watched", "readings", "evaluated_at",
            "created_by", "changed_at",
        )  # fmt: skip


class RuleIn(Shape):
    """The fields of a rule, as docs/alerts.md lists them, beside `reason`."""

    name = serializers.CharField(max_length=63)
    series = serializers.CharField()
    threshold = serializers.FloatField()
    reason = serializers.CharField(required=False)


class RuleChange(Shape):
    """Any field of a rule, and `enabled`."""

    reason = serializers.CharField()
    enabled = serializers.BooleanField(required=False)
    threshold = serializers.FloatField(required=False)


class EventOut(serializers.ModelSerializer[AlertEvent]):
    class Meta:
        model = AlertEvent
        fields = ("at", "kind", "text", "actor")


class AlertOut(serializers.ModelSerializer[Alert]):
    rule = serializers.CharField(source="rule.name")

    class Meta:
        model = Alert
        fields = (
            "id", "rule", "severity", "state", "endpoint", "model", "version", "column", "value", "worst",
            "since", "pending_since", "fired_at", "ended_at", "acknowledged_by", "acknowledged_at", "comment",
            "told_at",
        )  # fmt: skip


class AlertFull(AlertOut):
    events = EventOut(many=True)

    class Meta:
        model = Alert
        fields = (*AlertOut.Meta.fields, "events")


class CommentIn(Shape):
    comment = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class SilenceIn(Shape):
    matchers = serializers.DictField(child=serializers.CharField(), help_text='{"endpoint": "churn-*"}')
    starts_at = serializers.DateTimeField(required=False)
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=1000)


class SilenceOut(serializers.ModelSerializer[AlertSilence]):
    class Meta:
        model = AlertSilence
        fields = ("id", "matchers", "starts_at", "ends_at", "reason", "created_by", "ended_by")


class Rules(APIView):
    """Every alert rule."""

    @extend_schema(operation_id="alert_rules_list", responses=RuleOut(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        return listed(RuleOut(people.rules(), many=True).data)

    @extend_schema(
        operation_id="alert_rules_add",
        parameters=[IDEMPOTENCY_KEY],
        request=RuleIn,
        responses={201: RuleOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(request.user, Permission.PROMOTE)
        document = dict(_mapping(request))
        reason = str(document.pop("reason", ""))
        row = people.add_rule(document, actor=actor_for(request), reason=reason)
        return Response(RuleOut(row).data, status=status.HTTP_201_CREATED)


class OneRule(APIView):
    """One alert rule with its newest readings."""

    @extend_schema(operation_id="alert_rules_get", responses=RuleOut)
    def get(self, request: Request, name: str) -> Response:
        require(request.user, Permission.VIEW)
        return Response(RuleOut(people.rule_by_name(name)).data)

    @extend_schema(operation_id="alert_rules_change", request=RuleChange, responses=RuleOut)
    def patch(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        document = dict(_mapping(request))
        said = {key: document.pop(key) for key in SAID if key in document}
        enabled = said.get("enabled")
        if enabled is not None and not isinstance(enabled, bool):
            raise Invalid("Expected true or false.", field="enabled")
        row = people.change_rule(
            name, document, actor=actor_for(request), reason=str(said.get("reason", "")), enabled=enabled
        )
        return Response(RuleOut(row).data)

    @extend_schema(
        operation_id="alert_rules_remove",
        parameters=[OpenApiParameter("reason", str, required=True)],
        responses={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        require(request.user, Permission.PROMOTE)
        people.remove_rule(name, actor=actor_for(request), reason=request.query_params.get("reason", ""))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Exported(APIView):
    """The rules that are switched on as a rules file of Prometheus, for those who have an Alertmanager."""

    @extend_schema(operation_id="alert_rules_export", responses={(200, "application/yaml"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        require(request.user, Permission.VIEW)
        text = rules_yaml(row.rule for row in people.rules() if row.enabled)
        return HttpResponse(text, content_type="application/yaml")


class Alerts(APIView):
    """Alerts that are not over; with `all=1` also those that were, newest first."""

    @extend_schema(
        operation_id="alerts_list",
        parameters=[
            OpenApiParameter("all", bool),
            OpenApiParameter("before", int, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=AlertOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        every = request.query_params.get("all", "") in {"1", "true"}
        rows = people.alerts(request.user, open_only=not every)
        before, limit = number_of(request, "before"), limit_of(request)
        found = list((rows.filter(pk__lt=before) if before else rows)[:limit])
        return listed(AlertOut(found, many=True).data, following(found, limit, lambda row: row.pk))


class OneAlert(APIView):
    """One alert with its history."""

    @extend_schema(operation_id="alerts_get", responses=AlertFull)
    def get(self, request: Request, pk: int) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        return Response(AlertFull(people.alert_by_id(request.user, pk)).data)


class Acknowledge(APIView):
    """Somebody has it in hand: it is not told again."""

    @extend_schema(
        operation_id="alerts_acknowledge", parameters=[IDEMPOTENCY_KEY], request=CommentIn, responses=AlertOut
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        require_anywhere(request.user, Permission.CONTROL_ROLLOUT)
        alert = people.alert_by_id(request.user, pk)
        require(request.user, Permission.CONTROL_ROLLOUT, people.model_of_alert(alert))
        body = body_of(request, "comment")
        row = people.acknowledge(alert, actor=actor_for(request), comment=body.get("comment") or "")
        return Response(AlertOut(row).data)


class Silences(APIView):
    """Silences in force, coming and past."""

    @extend_schema(operation_id="silences_list", responses=SilenceOut(many=True))
    def get(self, request: Request) -> Response:
        require(request.user, Permission.VIEW)
        rows = AlertSilence.objects.all()[: limit_of(request)]
        return listed(SilenceOut(rows, many=True).data)

    @extend_schema(
        operation_id="silences_add",
        parameters=[IDEMPOTENCY_KEY],
        request=SilenceIn,
        responses={201: SilenceOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(request.user, Permission.CONTROL_ROLLOUT)
        body = SilenceIn(data=request.data)
        body.is_valid(raise_exception=True)
        row = people.add_silence(**body.validated_data, actor=actor_for(request))
        return Response(SilenceOut(row).data, status=status.HTTP_201_CREATED)


class EndSilence(APIView):
    """Ends a silence now."""

    @extend_schema(
        operation_id="silences_end", parameters=[IDEMPOTENCY_KEY], request=None, responses=SilenceOut
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        require(request.user, Permission.CONTROL_ROLLOUT)
        return Response(SilenceOut(people.end_silence(pk, actor=actor_for(request))).data)


def _mapping(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Invalid("The body must be a JSON object.")
    return request.data
