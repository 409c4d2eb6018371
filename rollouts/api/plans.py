"""Plans before they run: a preview, and the templates that people keep."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.base import listed
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere
from registry.queries import model_by_name, version_by_number
from rollouts import abilities, plan_templates, queries, reach, services
from rollouts.api import serializers
from rollouts.api.reading import validated, wanted_plan


class PlanPreview(APIView):
    """The plan that a rollout with these parameters would walk; nothing is started."""

    @extend_schema(operation_id="rollouts_preview", request=serializers.PreviewIn, responses={200: dict})
    def post(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        values = validated(serializers.PreviewIn, request)
        endpoint = reach.endpoint_for(request.user, values["endpoint"])
        wanted = wanted_plan(values, endpoint)
        plan = services.preview(endpoint=endpoint, strategy=wanted.strategy, parameters=wanted.parameters)
        number = values.get("version")
        version = version_by_number(endpoint.model, number) if number else None
        steps = [{"kind": step.kind, "description": step.describe()} for step in plan.steps]
        return Response(
            {
                "plan": plan.to_dict(),
                "steps": steps,
                "least_seconds": plan.least_seconds,
                "room": endpoint.observed.get("room", ""),
                "unkept": abilities.unkept(endpoint.environment, plan),
                "warnings": services.warnings(plan, version),
            }
        )


class Templates(APIView):
    """Plans that people keep under a name, with their versions, newest first."""

    @extend_schema(
        operation_id="templates_list",
        parameters=[
            OpenApiParameter("endpoint", str, description="Only those that fit it."),
            OpenApiParameter("archived", bool, description="Also those that were put away."),
        ],
        responses=serializers.TemplateOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        name = request.query_params.get("endpoint")
        archived = request.query_params.get("archived") == "true"
        rows = (
            plan_templates.templates_for(reach.endpoint_for(request.user, name))
            if name
            else plan_templates.templates(archived=archived).filter(reach.shown_templates(request.user))
        )
        return listed(serializers.TemplateOut(rows, many=True).data)


class TemplateDetail(APIView):
    """One plan template. PUT keeps what it says as the next version; DELETE puts it away."""

    @extend_schema(operation_id="templates_retrieve", responses=serializers.TemplateOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(serializers.TemplateOut(reach.template_for(request.user, name)).data)

    @extend_schema(
        operation_id="templates_save", request=serializers.TemplateIn, responses=serializers.TemplateOut
    )
    def put(self, request: Request, name: str) -> Response:
        require_anywhere(request.user, Permission.START_ROLLOUT)
        values = validated(serializers.TemplateIn, request)
        environment, named = values.pop("environment"), values.pop("model")
        model = model_by_name(named) if named else None
        require(request.user, Permission.START_ROLLOUT, model)
        plan_templates.save_template(
            name=name,
            model=model,
            environment=queries.environment_by_name(environment) if environment else None,
            actor=actor_for(request),
            **values,
        )
        return Response(_document(name))

    @extend_schema(
        operation_id="templates_archive", request=serializers.ReasonIn, responses=serializers.TemplateOut
    )
    def delete(self, request: Request, name: str) -> Response:
        reach.template_for(request.user, name, Permission.START_ROLLOUT)
        reason = validated(serializers.ReasonIn, request)["reason"]
        plan_templates.archive_template(name=name, actor=actor_for(request), reason=reason)
        return Response(_document(name))


def _document(name: str) -> Any:
    return serializers.TemplateOut(plan_templates.template_by_name(name)).data
