"""REST for drift: of the columns, and of how right a version is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring import drifting
from monitoring.models import DriftReading
from monitoring.samples import concept
from registry.api.base import text_of
from registry.api.serializers import Shape
from rollouts import reach
from rollouts.domain.asking import window_of

WEEK = timedelta(days=7)


class ReadingOut(Shape):
    version = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    state = serializers.CharField()
    drifted = serializers.IntegerField()
    columns = serializers.ListField(child=serializers.DictField(), help_text="The farthest first.")


class ReadingsOut(Shape):
    items = ReadingOut(many=True)


class EndpointDrift(APIView):
    """The newest reading of each version; with `version`, its history of the last week, oldest first."""

    @extend_schema(
        operation_id="endpoints_drift",
        parameters=[
            OpenApiParameter("version", str),
            OpenApiParameter("start", str, description="A moment such as 2026-03-01T12:00:00Z."),
            OpenApiParameter("end", str),
        ],
        responses=ReadingsOut,
    )
    def get(self, request: Request, name: str) -> Response:
        endpoint = reach.endpoint_for(request.user, name)
        version = text_of(request, "version")
        if version:
            window = window_of(request.query_params, timezone.now(), default=WEEK)
            rows = drifting.history(endpoint.name, version, window)
        else:
            rows = drifting.latest(endpoint.name)
        return Response({"items": [_document(row) for row in rows]})


class QualityOut(Shape):
    version = serializers.CharField()
    name = serializers.CharField(help_text="Of the label.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=["binary", "classes", "numbers"])
    n = serializers.IntegerField(help_text="Labelled predictions.")
    metrics = serializers.DictField(child=serializers.FloatField())


class QualitiesOut(Shape):
    items = QualityOut(many=True)


class EndpointQuality(APIView):
    """How right each version was, hour by hour of its predictions; the last week unless told otherwise."""

    @extend_schema(
        operation_id="endpoints_quality",
        parameters=[
            OpenApiParameter("name", str, description="Only labels of this name."),
            OpenApiParameter("start", str, description="A moment such as 2026-03-01T12:00:00Z."),
            OpenApiParameter("end", str),
        ],
        responses=QualitiesOut,
    )
    def get(self, request: Request, name: str) -> Response:
        endpoint = reach.endpoint_for(request.user, name)
        window = window_of(request.query_params, timezone.now() + timedelta(hours=1), default=WEEK)
        rows = concept.readings(endpoint.name, window, name=text_of(request, "name") or None)
        items = [
            {
                "version": row.version,
                "name": row.name,
                "start": datetime.fromtimestamp(row.start, UTC),
                "end": datetime.fromtimestamp(row.at, UTC),
                "kind": row.kind,
                "n": row.n,
                "metrics": row.metrics,
            }
            for row in rows
        ]
        return Response({"items": items})


def _document(row: DriftReading) -> dict[str, Any]:
    return {
        "version": row.version,
        "start": datetime.fromtimestamp(row.start, UTC),
        "end": datetime.fromtimestamp(row.at, UTC),
        "state": row.state,
        "drifted": row.drifted,
        "columns": row.columns,
    }
