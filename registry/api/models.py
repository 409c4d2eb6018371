"""Models and their aliases over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from registry import queries, services
from registry.api import serializers
from registry.api.base import RegistryView, body_of, limit_of, paged, reason_of, text_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.listing import (
    MODEL,
    alias_document,
    alias_documents,
    alias_of,
    find_alias,
    find_model,
    model_document,
)
from registry.api.preconditions import IF_MATCH, unchanged
from registry.api.search import FILTER
from registry.domain.access import Scope
from registry.domain.names import team_name, version_number
from registry.domain.roles import Permission, alias_permission
from registry.filtering import model_filter
from registry.identity import require, require_move, seen_by, visible

_DETAILS = ("owner_team", "description", "tags", "reason")
_REASON = OpenApiParameter("reason", str, description="Why, for the audit trail.")


class Models(RegistryView):
    """Every model."""

    permissions = {"POST": Permission.REGISTER}

    @extend_schema(
        operation_id="models_list",
        parameters=[
            FILTER,
            OpenApiParameter("search", str, description="Part of the name, team or description."),
            OpenApiParameter("after", str, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.ModelList,
    )
    def get(self, request: Request) -> Response:
        text, after, search = (text_of(request, name) for name in ("filter", "after", "search"))
        page = MODEL.page(
            lambda: queries.models_of(
                within=visible(request.user), after=after, search=search, where=model_filter(text)
            ),
            limit_of(request),
            "name",
            asked=None if after or search else ("models", text, seen_by(request.user)),
        )
        return paged(page, page.items)

    @extend_schema(
        operation_id="models_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ModelIn,
        responses={201: serializers.ModelOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = body_of(request, "name", *_DETAILS)
        require(request.user, Permission.REGISTER, Scope(team=team_name(body.get("owner_team"))))
        model = services.create_model(**({"name": ""} | _given(body)), actor=self.actor)
        return Response(model_document(model), status=status.HTTP_201_CREATED)


class OneModel(RegistryView):
    """One model."""

    tagged = True
    at_once = staticmethod(find_model)
    permissions = {"PATCH": Permission.REGISTER, "DELETE": Permission.ADMINISTER}

    @extend_schema(operation_id="models_get", responses=serializers.ModelOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(model_document(self.model) if self.document is None else self.document)

    @extend_schema(
        parameters=[IF_MATCH],
        operation_id="models_update",
        request=serializers.ModelChange,
        responses=serializers.ModelOut,
    )
    def patch(self, request: Request, name: str) -> Response:
        body = body_of(request, *_DETAILS)
        require_move(request.user, self.model, team_name(body.get("owner_team"), self.model.owner_team))
        with unchanged(request, self.model, lambda: model_document(self.model)):
            services.update_model(model=self.model, **_given(body), actor=self.actor)
        return Response(model_document(self.model))

    @extend_schema(operation_id="models_delete", parameters=[_REASON, IF_MATCH], responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        reason = text_of(request, "reason")
        with unchanged(request, self.model, lambda: model_document(self.model)):
            services.delete_model(model=self.model, actor=self.actor, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Aliases(RegistryView):
    """The aliases of a model."""

    @extend_schema(operation_id="aliases_list", responses=serializers.AliasList)
    def get(self, request: Request, name: str) -> Response:
        return Response({"items": alias_documents(self.model), "next": None})


class OneAlias(RegistryView):
    """One alias; `champion` may be moved only by those who may promote."""

    tagged = True
    at_once = staticmethod(find_alias)
    permissions = {"PUT": Permission.REGISTER, "DELETE": Permission.REGISTER}

    @extend_schema(operation_id="aliases_get", responses=serializers.AliasOut)
    def get(self, request: Request, name: str, alias: str) -> Response:
        return Response(alias_document(self.model, alias) if self.document is None else self.document)

    @extend_schema(
        parameters=[IF_MATCH],
        operation_id="aliases_set",
        request=serializers.AliasIn,
        responses=serializers.AliasOut,
    )
    def put(self, request: Request, name: str, alias: str) -> Response:
        require(request.user, alias_permission(alias), self.model)
        body = body_of(request, "version", "reason")
        number = version_number(body.get("version"))
        reason = reason_of(body)
        with unchanged(request, self.model, lambda: alias_document(self.model, alias)):
            set_ = services.set_alias(
                model=self.model, name=alias, version=number, actor=self.actor, reason=reason
            )
        return Response(alias_of(set_.name, number, set_.updated_at))

    @extend_schema(operation_id="aliases_delete", parameters=[_REASON, IF_MATCH], responses={204: None})
    def delete(self, request: Request, name: str, alias: str) -> Response:
        require(request.user, alias_permission(alias), self.model)
        reason = text_of(request, "reason")
        with unchanged(request, self.model, lambda: alias_document(self.model, alias)):
            services.delete_alias(model=self.model, name=alias, actor=self.actor, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _given(body: dict[str, Any]) -> dict[str, Any]:
    """Only what was sent with a value: null means the same as absent."""
    given = {name: value for name, value in body.items() if value is not None}
    return given | ({"reason": reason_of(body)} if "reason" in given else {})
