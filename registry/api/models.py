"""Models and their aliases over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from registry import queries, services
from registry.api import serializers
from registry.api.base import RegistryView, body_of, limit_of, paged, text_of
from registry.api.documents import alias_document, model_document
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.names import alias_name, version_number
from registry.domain.roles import Permission, alias_permission
from registry.errors import NotFound
from registry.identity import require
from registry.models import Alias

_DETAILS = ("owner_team", "description", "tags", "reason")
_REASON = OpenApiParameter("reason", str, description="Why, for the audit trail.")


class Models(RegistryView):
    """Every model."""

    permissions = {"POST": Permission.REGISTER}

    @extend_schema(
        operation_id="models_list",
        parameters=[
            OpenApiParameter("search", str, description="Part of the name, team or description."),
            OpenApiParameter("after", str, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.ModelList,
    )
    def get(self, request: Request) -> Response:
        page = queries.models_page(
            limit=limit_of(request),
            after=text_of(request, "after"),
            search=text_of(request, "search"),
        )
        return paged(page, [model_document(model) for model in page.items])

    @extend_schema(
        operation_id="models_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ModelIn,
        responses={201: serializers.ModelOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = body_of(request, "name", *_DETAILS)
        model = services.create_model(**({"name": ""} | _given(body)), actor=self.actor)
        return Response(model_document(queries.with_aliases(model)), status=status.HTTP_201_CREATED)


class OneModel(RegistryView):
    """One model."""

    permissions = {"PATCH": Permission.REGISTER, "DELETE": Permission.ADMINISTER}

    @extend_schema(operation_id="models_get", responses=serializers.ModelOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(model_document(queries.with_aliases(queries.model_by_name(name))))

    @extend_schema(
        operation_id="models_update", request=serializers.ModelChange, responses=serializers.ModelOut
    )
    def patch(self, request: Request, name: str) -> Response:
        body = body_of(request, *_DETAILS)
        model = services.update_model(model=queries.model_by_name(name), **_given(body), actor=self.actor)
        return Response(model_document(queries.with_aliases(model)))

    @extend_schema(operation_id="models_delete", parameters=[_REASON], responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        services.delete_model(
            model=queries.model_by_name(name), actor=self.actor, reason=text_of(request, "reason")
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class Aliases(RegistryView):
    """The aliases of a model."""

    @extend_schema(operation_id="aliases_list", responses=serializers.AliasList)
    def get(self, request: Request, name: str) -> Response:
        aliases = queries.aliases_of(queries.model_by_name(name))
        return Response({"items": [alias_document(alias) for alias in aliases], "next": None})


class OneAlias(RegistryView):
    """One alias; `champion` may be moved only by those who may promote."""

    permissions = {"PUT": Permission.REGISTER, "DELETE": Permission.REGISTER}

    @extend_schema(operation_id="aliases_get", responses=serializers.AliasOut)
    def get(self, request: Request, name: str, alias: str) -> Response:
        return Response(alias_document(_alias(name, alias)))

    @extend_schema(operation_id="aliases_set", request=serializers.AliasIn, responses=serializers.AliasOut)
    def put(self, request: Request, name: str, alias: str) -> Response:
        require(request.user, alias_permission(alias))
        body = body_of(request, "version", "reason")
        model = queries.model_by_name(name)
        version = queries.version_by_number(model, version_number(body.get("version")))
        reason = body.get("reason", "")
        moved = services.set_alias(model=model, name=alias, version=version, actor=self.actor, reason=reason)
        return Response(alias_document(moved))

    @extend_schema(operation_id="aliases_delete", parameters=[_REASON], responses={204: None})
    def delete(self, request: Request, name: str, alias: str) -> Response:
        require(request.user, alias_permission(alias))
        services.delete_alias(
            model=queries.model_by_name(name),
            name=alias,
            actor=self.actor,
            reason=text_of(request, "reason"),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def _alias(model: str, name: str) -> Alias:
    found = queries.aliases_of(queries.model_by_name(model), name=alias_name(name))
    if not found:
        raise NotFound(f"{model} has no alias {name!r}.")
    return found[0]


def _given(body: dict[str, Any]) -> dict[str, Any]:
    """Only what was sent with a value: null means the same as absent."""
    return {name: value for name, value in body.items() if value is not None}
