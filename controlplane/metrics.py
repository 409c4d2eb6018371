"""`/metrics`: what Slipway tells Prometheus of itself."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

import monitoring.measures
import rollouts.measures
from monitoring.adapters.exposing import exposition
from registry.domain.roles import Permission
from registry.identity import require


class Metrics(APIView):
    """For a scraper with a token: the names of endpoints and targets are nobody else's business."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        require(request.user, Permission.VIEW)
        now = timezone.now()
        families = [*rollouts.measures.families(now), *monitoring.measures.families(now)]
        content_type, body = exposition(families, request.META.get("HTTP_ACCEPT", ""))
        return HttpResponse(body, content_type=content_type)
