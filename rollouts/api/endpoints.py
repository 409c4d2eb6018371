"""Environments and the endpoints that live in them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.base import following, listed
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere, visible
from registry.queries import model_by_name, version_by_number
from rollouts import abilities, queries, reach, services, targets
from rollouts.api import serializers
from rollouts.api.reading import PAGE_LIMIT, document, integer, moment, validated
from rollouts.models import Environment


def _environment(row: Environment) -> dict[str, Any]:
    target, serves = targets.find(row.target), abilities.serves(row)
    return {
        "name": row.name,
        "alias": row.alias,
        "target": row.target,
        "cluster": target.cluster_name if target else None,
        "router": target.router_name if target else None,
        "url": target.url if target else "",
        "files": list(serves.files),
        "folders": list(serves.folders),
        "policy": row.policy,
    }


class Environments(APIView):
    """Staging, production, and whatever else endpoints live in."""

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="environments_create",
        request=serializers.EnvironmentIn,
        responses={201: serializers.EnvironmentOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(request.user, Permission.ADMINISTER)
        values = validated(serializers.EnvironmentIn, request)
        environment = services.create_environment(**values, actor=actor_for(request))
        return Response(_environment(environment), status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="environments_list", responses=serializers.EnvironmentOut(many=True))
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        items = [_environment(row) for row in queries.environments()]
        return listed(items)


class EnvironmentPolicy(APIView):
    """What the environment asks of rollouts that start from now on."""

    @extend_schema(
        operation_id="environments_policy",
        request=serializers.PolicyIn,
        responses=serializers.EnvironmentOut,
    )
    def put(self, request: Request, name: str) -> Response:
        require(request.user, Permission.ADMINISTER)
        values = validated(serializers.PolicyIn, request)
        environment = services.set_policy(
            environment=queries.environment_by_name(name), **values, actor=actor_for(request)
        )
        return Response(_environment(environment))


class EnvironmentTarget(APIView):
    """Where the environment's endpoints will live; refused once it has some."""

    @extend_schema(
        operation_id="environments_target",
        request=serializers.EnvironmentTargetIn,
        responses=serializers.EnvironmentOut,
    )
    def put(self, request: Request, name: str) -> Response:
        require(request.user, Permission.ADMINISTER)
        values = validated(serializers.EnvironmentTargetIn, request)
        environment = services.set_target(
            environment=queries.environment_by_name(name), **values, actor=actor_for(request)
        )
        return Response(_environment(environment))


class Targets(APIView):
    """The clusters and routers that environments may live on, as the settings name them."""

    @extend_schema(operation_id="targets_list", responses=serializers.EnvironmentTargetOut(many=True))
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        items = [
            {
                "name": target.name,
                "cluster": target.cluster_name,
                "router": target.router_name,
                "url": target.url,
                "place": target.place,
            }
            for target in targets.targets().values()
        ]
        return Response({"items": items, "next": None})


class Endpoints(APIView):
    """Models served in an environment."""

    @extend_schema(operation_id="endpoints_list", responses=serializers.EndpointOut(many=True))
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        limit = min(integer(request, "limit", queries.PAGE) or queries.PAGE, PAGE_LIMIT)
        after, seen = request.query_params.get("after", ""), visible(request.user, reach.TO_MODEL)
        page = queries.endpoints_page(limit, after=after, within=seen)
        items = [serializers.endpoint_document(endpoint) for endpoint in page]
        return listed(items, following(page, limit, lambda row: row.name))

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="endpoints_create",
        request=serializers.EndpointIn,
        responses={201: serializers.EndpointOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.PROMOTE)
        values = validated(serializers.EndpointIn, request)
        model = model_by_name(values["model"])
        require(request.user, Permission.PROMOTE, model)
        endpoint = services.create_endpoint(
            name=values["name"],
            environment=queries.environment_by_name(values["environment"]),
            version=version_by_number(model, values["version"]),
            replicas=values["replicas"],
            actor=actor_for(request),
            reason=values["reason"],
        )
        return Response(serializers.endpoint_document(endpoint), status=status.HTTP_201_CREATED)


class EndpointDetail(APIView):
    """One endpoint: what serves, what was observed."""

    @extend_schema(operation_id="endpoints_retrieve", responses=serializers.EndpointOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(serializers.endpoint_document(reach.endpoint_for(request.user, name)))


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
        endpoint = reach.endpoint_for(request.user, name)
        at = moment(request, "at")
        if at is not None:
            items = [queries.tenure_at(endpoint, at)]
            return listed(serializers.TenureOut(items, many=True).data)
        page = queries.tenures(endpoint, before=moment(request, "before"))
        return listed(
            serializers.TenureOut(page, many=True).data, following(page, queries.PAGE, lambda row: row.start)
        )


class EndpointRollback(APIView):
    """Back at once: aborts the active rollout, or moves all traffic to an earlier version."""

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        operation_id="endpoints_rollback",
        request=serializers.RollbackIn,
        responses={202: serializers.RolloutOut},
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        endpoint = reach.endpoint_for(request.user, name, Permission.CONTROL_ROLLOUT)
        values = validated(serializers.RollbackIn, request)
        number = values.get("version")
        rollout = services.rollback_endpoint(
            endpoint=endpoint,
            version=version_by_number(endpoint.model, number) if number else None,
            actor=actor_for(request),
            reason=values["reason"],
        )
        return Response(document(queries.rollout_by_id(rollout.pk)), status=status.HTTP_202_ACCEPTED)
