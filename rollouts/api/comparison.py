"""REST for shadow comparison."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.queries.comparison import comparison
from registry.api.base import text_of
from registry.api.serializers import Shape
from registry.domain.text import clean_line
from rollouts import reach
from rollouts.domain.asking import tolerance_of, window_of


class PairedFigures(Shape):
    pairs = serializers.IntegerField()
    agreed = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True)
    mean_absolute_difference = serializers.FloatField(allow_null=True)
    largest_difference = serializers.FloatField(allow_null=True)
    rank_correlation = serializers.FloatField(allow_null=True)
    worst = serializers.ListField(child=serializers.DictField())


class SegmentOut(PairedFigures):
    segment = serializers.CharField()


class ComparisonOut(PairedFigures):
    endpoint = serializers.CharField()
    stable = serializers.CharField()
    candidate = serializers.CharField()
    window = serializers.DictField(child=serializers.DateTimeField())
    output = serializers.CharField()
    outputs = serializers.ListField(child=serializers.CharField())
    segments = SegmentOut(many=True)


class EndpointComparison(APIView):
    """What two versions answered to the same requests; the last hour unless told otherwise."""

    @extend_schema(
        operation_id="endpoints_comparison",
        parameters=[
            OpenApiParameter("stable", str, required=True),
            OpenApiParameter("candidate", str, required=True),
            OpenApiParameter("output", str, description="The first when left out."),
            OpenApiParameter("start", str, description="A moment such as 2026-03-01T12:00:00Z."),
            OpenApiParameter("end", str),
            OpenApiParameter("tolerance", float, description="Absolute, 0."),
            OpenApiParameter("relative_tolerance", float, description="0.001."),
        ],
        responses=ComparisonOut,
    )
    def get(self, request: Request, name: str) -> Response:
        endpoint = reach.endpoint_for(request.user, name)
        query = request.query_params
        found = comparison(
            endpoint.name,
            clean_line(query.get("stable"), field="stable", maximum=64, required=True),
            clean_line(query.get("candidate"), field="candidate", maximum=64, required=True),
            window_of(query, timezone.now()),
            output=text_of(request, "output") or None,
            tolerance=tolerance_of(query),
        )
        return Response(found.to_dict())
