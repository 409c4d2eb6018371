"""A model's retention over REST: the policy, what it would remove, and removing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import serializers
from registry.api.base import RegistryView, body_of, reason_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.roles import Permission
from registry.models import Model
from registry.services import retention


class Retention(RegistryView):
    """GET is the dry run; PUT sets the policy; POST applies it."""

    permissions = {"PUT": Permission.ADMINISTER, "POST": Permission.ADMINISTER}

    @extend_schema(operation_id="retention_get", responses=serializers.RetentionOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(_document(self.model, retention.removals(self.model)))

    @extend_schema(
        operation_id="retention_set", request=serializers.RetentionIn, responses=serializers.RetentionOut
    )
    def put(self, request: Request, name: str) -> Response:
        body = body_of(request, "keep", "reason")
        reason = reason_of(body)
        model = retention.set_retention(
            model=self.model, keep=body.get("keep"), actor=self.actor, reason=reason
        )
        return Response(_document(model, retention.removals(model)))

    @extend_schema(
        operation_id="retention_apply",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses=serializers.RetentionOut,
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        return Response(_document(self.model, retention.apply_retention(model=self.model, actor=self.actor)))


def _document(model: Model, removals: Sequence[retention.Removal]) -> dict[str, object]:
    return {"keep": model.keep_served, "removals": [asdict(removal) for removal in removals]}
