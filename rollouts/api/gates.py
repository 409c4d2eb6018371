"""REST for gates that are kept under a name, and for trying gates on what was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as fields
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.domain.judge import parse_gates
from monitoring.wiring import metrics_source
from registry.api.base import listed
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere
from registry.queries import model_by_name
from rollouts import dry_run, gate_templates, queries, reach
from rollouts.api import serializers
from rollouts.api.reading import validated
from rollouts.errors import Invalid
from rollouts.models import GateTemplate, GateTemplateVersion


class GateVersionOut(fields.ModelSerializer[GateTemplateVersion]):
    class Meta:
        model = GateTemplateVersion
        fields = ("number", "gates", "reason", "created_by", "created_at")


class GateTemplateOut(fields.ModelSerializer[GateTemplate]):
    model = fields.CharField(source="model.name", default=None)
    environment = fields.CharField(source="environment.name", default=None)
    versions = GateVersionOut(many=True)

    class Meta:
        model = GateTemplate
        fields = ("name", "model", "environment", "created_at", "archived_at", "versions")


class GateTemplateIn(fields.Serializer[Any]):
    gates = fields.ListField(child=fields.DictField())
    model = fields.CharField(required=False, default="", allow_blank=True, max_length=128)
    environment = fields.CharField(required=False, default="", allow_blank=True, max_length=63)
    reason = fields.CharField(max_length=2000)


class DryRunIn(fields.Serializer[Any]):
    """`gates` is a list of gates, or the name of a template (`strict`, `strict@3`)."""

    endpoint = fields.CharField(max_length=63)
    gates = fields.JSONField()
    days = fields.IntegerField(default=30, min_value=1, max_value=366)


class GateTemplates(APIView):
    """Gates that people keep under a name, with their versions, newest first."""

    @extend_schema(
        operation_id="gates_list",
        parameters=[OpenApiParameter("archived", bool, description="Also those that were put away.")],
        responses=GateTemplateOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        archived = request.query_params.get("archived") == "true"
        rows = gate_templates.templates(archived=archived).filter(reach.shown_templates(request.user))
        return listed(GateTemplateOut(rows, many=True).data)


class GateTemplateDetail(APIView):
    """Gates under a name. PUT keeps what it says as the next version; DELETE puts them away."""

    @extend_schema(operation_id="gates_retrieve", responses=GateTemplateOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(GateTemplateOut(reach.gates_for(request.user, name)).data)

    @extend_schema(operation_id="gates_save", request=GateTemplateIn, responses=GateTemplateOut)
    def put(self, request: Request, name: str) -> Response:
        require_anywhere(request.user, Permission.START_ROLLOUT)
        values = validated(GateTemplateIn, request)
        model = model_by_name(values["model"]) if values["model"] else None
        require(request.user, Permission.START_ROLLOUT, model)
        environment = values["environment"]
        gate_templates.save_gates(
            name=name,
            gates=values["gates"],
            model=model,
            environment=queries.environment_by_name(environment) if environment else None,
            actor=actor_for(request),
            reason=values["reason"],
        )
        return Response(GateTemplateOut(gate_templates.template_by_name(name)).data)

    @extend_schema(operation_id="gates_archive", request=serializers.ReasonIn, responses=GateTemplateOut)
    def delete(self, request: Request, name: str) -> Response:
        reach.gates_for(request.user, name, Permission.START_ROLLOUT)
        reason = validated(serializers.ReasonIn, request)["reason"]
        gate_templates.archive_gates(name=name, actor=actor_for(request), reason=reason)
        return Response(GateTemplateOut(gate_templates.template_by_name(name)).data)


class DryRun(APIView):
    """What these gates would have said of the endpoint's rollouts of the last days; nothing is moved."""

    @extend_schema(operation_id="gates_dry_run", request=DryRunIn, responses={200: dict})
    def post(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        values = validated(DryRunIn, request)
        endpoint = reach.endpoint_for(request.user, values["endpoint"])
        given = values["gates"]
        if isinstance(given, str):
            given = gate_templates.chosen(given, endpoint).gates
        if not isinstance(given, list):
            raise Invalid("Expected a list of gates, or the name of some.", field="gates")
        since = timezone.now() - timedelta(days=values["days"])
        found = dry_run.replay_endpoint(endpoint, parse_gates(given), metrics_source(), since)
        return Response({"gates": given, "rollouts": [item.to_dict() for item in found]})
