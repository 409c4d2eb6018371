"""Routes of the app's web door."""

from __future__ import annotations

from django.urls import path

from rollouts.web import changes, endpoints, overview, rollouts, starting
from rollouts.web.asking import ANSWERS

app_name = "rollouts"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/live", overview.overview_live, name="overview-live"),
    path("endpoints/", endpoints.endpoints, name="endpoints"),
    path("endpoints/<slug:name>/", endpoints.endpoint, name="endpoint"),
    path("endpoints/<slug:name>/traffic", endpoints.endpoint_traffic, name="endpoint-traffic"),
    path("endpoints/<slug:name>/charts", endpoints.endpoint_charts, name="endpoint-charts"),
    path("endpoints/<slug:name>/rollback", changes.rollback, name="endpoint-rollback"),
    path("rollouts/", rollouts.rollout_list, name="rollouts"),
    path("rollouts/live", rollouts.live, name="live"),
    path("rollouts/new", starting.new, name="new"),
    path("rollouts/preview", starting.preview, name="preview"),
    path("rollouts/<int:pk>/", rollouts.rollout, name="rollout"),
    path("rollouts/<int:pk>/status", rollouts.status, name="rollout-status"),
    path("rollouts/<int:pk>/controls", rollouts.controls, name="rollout-controls"),
    path("rollouts/<int:pk>/timeline", rollouts.timeline, name="rollout-timeline"),
    path("rollouts/<int:pk>/charts", rollouts.charts, name="rollout-charts"),
    path("rollouts/<int:pk>/approval", rollouts.approval, name="rollout-approval"),
    *(
        path(f"rollouts/<int:pk>/{answer}", changes.vote, kwargs={"answer": answer}, name=f"rollout-{answer}")
        for answer in ANSWERS
    ),
    path("rollouts/<int:pk>/<slug:verb>", changes.control, name="rollout-control"),
]
