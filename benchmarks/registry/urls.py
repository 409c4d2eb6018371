"""Slipway's routes, and the bare view that its own are compared with."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from controlplane.urls import urlpatterns as own


def bare(request: HttpRequest) -> JsonResponse:
    """A small document, without authentication and without a database."""
    return JsonResponse({"name": "churn", "versions": 3, "tags": {"tier": "1"}, "description": "A model."})


urlpatterns = [path("bare", bare), path("api/bare", bare), *own]
