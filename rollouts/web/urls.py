"""Routes of the app's web door."""

from __future__ import annotations

from django.urls import path

from rollouts.web import (
    changes,
    comparison,
    drift,
    endpoints,
    environments,
    freezes,
    gate_pages,
    hook_pages,
    new_endpoint,
    overview,
    quality,
    retraining,
    rollouts,
    saved_plans,
    starting,
)
from rollouts.web.asking import ANSWERS

app_name = "rollouts"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/live", overview.overview_live, name="overview-live"),
    path("endpoints/", endpoints.endpoints, name="endpoints"),
    path("endpoints/-/new", new_endpoint.new_endpoint, name="endpoint-new"),
    path("endpoints/<slug:name>/", endpoints.endpoint, name="endpoint"),
    path("endpoints/<slug:name>/traffic", endpoints.endpoint_traffic, name="endpoint-traffic"),
    path("endpoints/<slug:name>/charts", endpoints.endpoint_charts, name="endpoint-charts"),
    path("endpoints/<slug:name>/comparison", comparison.compared, name="comparison"),
    path("endpoints/<slug:name>/drift", drift.drift, name="drift"),
    path("endpoints/<slug:name>/quality", quality.quality, name="quality"),
    path("endpoints/<slug:name>/retraining", retraining.loop, name="retraining"),
    path("endpoints/<slug:name>/requests/<path:request_id>", comparison.sampled_request, name="request"),
    path("endpoints/<slug:name>/history", endpoints.endpoint_history, name="endpoint-history"),
    path("endpoints/<slug:name>/rollback", changes.rollback, name="endpoint-rollback"),
    path("environments/", environments.environments, name="environments"),
    path("environments/-/new", environments.new, name="environment-new"),
    path("environments/<slug:name>/target", environments.target, name="environment-target"),
    path("environments/<slug:name>/policy", environments.policy, name="environment-policy"),
    path("freezes/", freezes.freezes, name="freezes"),
    path("freezes/new", freezes.add, name="freeze-new"),
    path("freezes/<int:pk>/end", freezes.end, name="freeze-end"),
    path("hooks/", hook_pages.hook_list, name="hooks"),
    path("hooks/<slug:name>/ping", hook_pages.ping, name="hook-ping"),
    path("hooks/<slug:name>/secret", hook_pages.secret, name="hook-secret"),
    *(
        path(f"hooks/<slug:name>/{to}", hook_pages.switch, kwargs={"to": to}, name=f"hook-{to}")
        for to in ("on", "off")
    ),
    path("gates/", gate_pages.gate_list, name="gate-templates"),
    path("gates/-/new", gate_pages.new_gates, name="gate-template-new"),
    path("gates/<slug:name>/", gate_pages.gates, name="gate-template"),
    path("gates/<slug:name>/archive", gate_pages.archive, name="gate-template-archive"),
    path("plans/", saved_plans.plan_list, name="saved-plans"),
    path("plans/<slug:name>/", saved_plans.plan, name="saved-plan"),
    path("plans/<slug:name>/archive", saved_plans.archive, name="saved-plan-archive"),
    path("rollouts/", rollouts.rollout_list, name="rollouts"),
    path("rollouts/live", rollouts.live, name="live"),
    path("rollouts/new", starting.new, name="new"),
    path("rollouts/fields", starting.fields, name="fields"),
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
