"""The audit trail over REST, and who the caller is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import queries
from registry.api import serializers
from registry.api.base import RegistryView, limit_of, number_of, paged, text_of
from registry.api.documents import audit_document
from registry.api.rendering import to_json
from registry.directory import model_names
from registry.domain.access import Grant
from registry.domain.roles import Permission
from registry.identity import grants_of, may, permissions_of, role_of, token_of
from registry.models import AuditEntry
from registry.walking import PIECE, WalkState


class Audit(RegistryView):
    """Who changed what, newest first; for roles on everything."""

    everywhere = True

    @extend_schema(
        operation_id="audit_list",
        parameters=[
            OpenApiParameter("target", str, description="For example models/churn; includes what is below."),
            OpenApiParameter("actor", str),
            OpenApiParameter("action", str),
            OpenApiParameter("after", str),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.AuditList,
    )
    def get(self, request: Request) -> Response:
        wanted = {name: text_of(request, name) for name in ("target", "actor", "action")}
        page = queries.audit_page(limit=limit_of(request), after=number_of(request, "after"), **wanted)
        private = may(request.user, Permission.ADMINISTER)
        return paged(page, [audit_document(entry, private=private) for entry in page.items])


class AuditExport(RegistryView):
    """The whole trail as JSON Lines, oldest first."""

    permissions = {"GET": Permission.ADMINISTER}
    everywhere = True

    @extend_schema(operation_id="audit_export", responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        response = StreamingHttpResponse(_lines(), content_type="application/x-ndjson")
        response["Content-Disposition"] = 'attachment; filename="slipway-audit.jsonl"'
        return response


class AuditCheck(RegistryView):
    """Whether the hash chain is whole. A long trail is walked in pieces: while `next` is not null, ask again
    with it."""

    permissions = {"GET": Permission.PROMOTE}
    everywhere = True

    @extend_schema(
        operation_id="audit_verify",
        parameters=[OpenApiParameter("after", str, description="`next` of the answer before.")],
        responses=serializers.ChainOut,
    )
    def get(self, request: Request) -> Response:
        state = WalkState.read(text_of(request, "after")).walked(PIECE)
        verdict = state.verdict
        return Response(
            {
                "whole": None if verdict is None else verdict.whole,
                "checked": state.place.sequence if verdict is None else verdict.checked,
                "of": state.head.place.sequence,
                "fault": verdict.fault if verdict else None,
                "at": verdict.at if verdict else None,
                "next": state.text() if verdict is None else None,
            }
        )


class Me(APIView):
    """Who the caller is and what the caller may do; open to users without a role."""

    @extend_schema(operation_id="me", responses=serializers.MeOut)
    def get(self, request: Request) -> Response:
        user: Any = request.user
        role, token, grants = role_of(user), token_of(user), grants_of(user)
        names = model_names(grant.scope.model for grant in grants if grant.scope.model is not None)
        return Response(
            {
                "user": user.get_username(),
                "role": role.value if role else None,
                "grants": [_held(grant, names) for grant in grants],
                "permissions": sorted(permission.value for permission in permissions_of(user)),
                "token": token.prefix if token else None,
            }
        )


def _held(grant: Grant, names: Mapping[int, str]) -> dict[str, Any]:
    model = grant.scope.model
    return {
        "role": grant.role.value,
        "team": grant.scope.team or None,
        "model": None if model is None else names.get(model),
    }


def _lines() -> Iterator[bytes]:
    for entry in AuditEntry.objects.order_by("sequence").iterator(chunk_size=500):
        yield to_json(audit_document(entry, private=True)) + b"\n"
