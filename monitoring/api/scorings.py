"""REST for batch inference: scoring jobs of a version, their progress, and what became of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.models import ScoringJob
from monitoring.models.scoring import STATES
from monitoring.scoring import engine, jobs
from registry.api.base import RegistryView, body_of, following, limit_of, listed, number_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.serializers import Shape
from registry.domain.roles import Permission
from registry.identity import actor_for, require, require_anywhere
from registry.queries import version_by_number

_PAGE = [
    OpenApiParameter("before", int, description="`next` of the page before."),
    OpenApiParameter("limit", int),
]


class ScoringIn(Shape):
    """Places below those of SLIPWAY_TABLES: a folder, one file, or s3://bucket/prefix."""

    source = serializers.CharField(  # type: ignore[assignment]
        max_length=500, help_text="The tables: CSV, Parquet, NPZ."
    )
    target = serializers.CharField(max_length=500, help_text="A folder for the answers.")
    chunk_rows = serializers.IntegerField(
        required=False, min_value=1, max_value=engine.MAX_CHUNK_ROWS, default=engine.CHUNK_ROWS
    )
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class ScoringOut(Shape):
    id = serializers.IntegerField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField(help_text="Of the version's content.")
    source = serializers.CharField()  # type: ignore[assignment]
    target = serializers.CharField()
    chunk_rows = serializers.IntegerField()
    state = serializers.CharField(help_text=", ".join(state for state, _ in STATES))
    file = serializers.IntegerField(help_text="The file at hand, from 1.")
    files = serializers.IntegerField()
    parts = serializers.IntegerField()
    rows = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of the bytes of all files, 0 to 1.")
    result = serializers.DictField(
        allow_null=True, help_text="Rows, and each output's distribution against the baseline."
    )
    result_digest = serializers.CharField(help_text="Of `_result.json` in the target.")
    error = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class ScoringReason(Shape):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class OfVersion(RegistryView):
    """The scoring jobs of one version."""

    permissions = {"POST": Permission.REGISTER}

    @extend_schema(operation_id="version_scorings_list", parameters=_PAGE, responses=ScoringOut(many=True))
    def get(self, request: Request, name: str, number: int) -> Response:
        version = version_by_number(self.model, number)
        return _page(request, jobs.visible_to(request.user).filter(version=version))

    @extend_schema(
        operation_id="version_scorings_start",
        parameters=[IDEMPOTENCY_KEY],
        request=ScoringIn,
        responses={201: ScoringOut},
    )
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        version = version_by_number(self.model, number)
        body = ScoringIn(data=body_of(request, "source", "target", "chunk_rows", "reason"))
        body.is_valid(raise_exception=True)
        job = jobs.start(version=version, actor=self.actor, **body.validated_data)
        return Response(jobs.document(job), status=status.HTTP_201_CREATED)


class Scorings(APIView):
    """The scoring jobs of every model that the caller may view, newest first."""

    @extend_schema(
        operation_id="scorings_list",
        parameters=[*_PAGE, OpenApiParameter("state", str)],
        responses=ScoringOut(many=True),
    )
    def get(self, request: Request) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        rows = jobs.visible_to(request.user)
        state = request.query_params.get("state")
        return _page(request, rows.filter(state=state) if state else rows)


class OneScoring(APIView):
    """One job as it is now."""

    @extend_schema(operation_id="scorings_get", responses=ScoringOut)
    def get(self, request: Request, pk: int) -> Response:
        require_anywhere(request.user, Permission.VIEW)
        return Response(jobs.document(jobs.by_id(request.user, pk)))


class Cancel(APIView):
    """Stops a job after its chunk at hand; what is done stays."""

    @extend_schema(
        operation_id="scorings_cancel",
        parameters=[IDEMPOTENCY_KEY],
        request=ScoringReason,
        responses=ScoringOut,
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        return Response(jobs.document(jobs.cancel(_mine(request, pk), **_said(request))))


class Resume(APIView):
    """Goes on with a failed or cancelled job after its last part."""

    @extend_schema(
        operation_id="scorings_resume",
        parameters=[IDEMPOTENCY_KEY],
        request=ScoringReason,
        responses=ScoringOut,
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        return Response(jobs.document(jobs.resume(_mine(request, pk), **_said(request))))


def _mine(request: Request, pk: int) -> ScoringJob:
    require_anywhere(request.user, Permission.REGISTER)
    job = jobs.by_id(request.user, pk)
    require(request.user, Permission.REGISTER, job.version.model)
    return job


def _said(request: Request) -> dict[str, Any]:
    body = ScoringReason(data=body_of(request, "reason"))
    body.is_valid(raise_exception=True)
    return {"reason": body.validated_data.get("reason", ""), "actor": actor_for(request)}


def _page(request: Request, rows: Any) -> Response:
    before, limit = number_of(request, "before"), limit_of(request)
    found = list((rows.filter(pk__lt=before) if before else rows)[:limit])
    return listed([jobs.document(job) for job in found], following(found, limit, lambda job: job.pk))
