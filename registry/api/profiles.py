"""The baseline profile of a version over REST."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from registry import queries, services, transfer, wiring
from registry.api import serializers
from registry.api.base import RegistryView, reason_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.listing import version_document
from registry.domain.roles import Permission
from registry.errors import NotFound


class Profile(RegistryView):
    """The baseline profile: GET reads it, POST computes it for a version that was registered without."""

    permissions = {"POST": Permission.REGISTER}
    parser_classes = (MultiPartParser,)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        transfer.limit_uploads(request)
        return super().initialize_request(request, *args, **kwargs)

    @extend_schema(operation_id="versions_profile", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, name: str, number: int) -> Response:
        version = queries.version_by_number(self.model, number)
        if version.profile is None:
            raise NotFound(f"{version} has no baseline profile.", hint="POST a reference set here.")
        return Response(version.profile)

    @extend_schema(
        operation_id="versions_profile_attach",
        parameters=[IDEMPOTENCY_KEY],
        request={"multipart/form-data": serializers.ReferenceIn},
        responses={201: serializers.VersionOut},
    )
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        data: Any = request.data
        services.attach_profile(
            version=queries.version_by_number(self.model, number),
            reference=transfer.path_of(data.get("reference"), field="reference"),
            store=wiring.artifact_store(),
            actor=self.actor,
            reason=reason_of(data),
        )
        return Response(version_document(self.model, number), status=status.HTTP_201_CREATED)
