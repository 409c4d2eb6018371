"""Liveness and readiness of the web process, and the same in words for people."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from controlplane import status


@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 when no request can be served: no database, or another schema.

    Late ticks and a queue that is away are `degraded` and still 200, since pages must stay reachable to show
    them; with `?strict` they are 503 as well, for monitors.
    """
    document = status.document(status.look())
    serves = document["status"] == "ok" or (document["status"] == "degraded" and "strict" not in request.GET)
    return JsonResponse(document, status=200 if serves else 503)


@never_cache
def trouble(request: HttpRequest) -> HttpResponse:
    """The fragment atop every page: what is wrong with Slipway itself; empty when all is well."""
    if not request.user.is_authenticated:
        return HttpResponse(status=204)
    return render(request, "_trouble.html", {"parts": [part for part in status.look() if not part.ok]})
