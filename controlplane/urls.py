"""Every route of Slipway; each app's doors are included whole."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from controlplane import health
from controlplane.metrics import Metrics

handler400 = "controlplane.errors.bad_request"
handler404 = "controlplane.errors.not_found"
handler500 = "controlplane.errors.fault"
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("trouble", health.trouble, name="trouble"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("", include("rollouts.web.urls")),
    path("", include("monitoring.web.urls")),
    path("", include("registry.web.urls")),
    path("api/v1/", include("registry.api.urls")),
    path("api/v1/", include("monitoring.api.urls")),
    path("api/v1/", include("rollouts.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html"),
        name="api-docs",
    ),
    path("admin/", admin.site.urls),
]
