"""Routes of the rollouts' REST door."""

from __future__ import annotations

from django.urls import path

from rollouts.api import views

app_name = "rollouts-api"
urlpatterns = [
    path("environments", views.Environments.as_view(), name="environments"),
    path("environments/<str:name>/policy", views.EnvironmentPolicy.as_view(), name="environment-policy"),
    path("endpoints", views.Endpoints.as_view(), name="endpoints"),
    path("endpoints/<str:name>", views.EndpointDetail.as_view(), name="endpoint"),
    path("endpoints/<str:name>/history", views.EndpointHistory.as_view(), name="endpoint-history"),
    path("endpoints/<str:name>/rollback", views.EndpointRollback.as_view(), name="endpoint-rollback"),
    path("rollouts", views.Rollouts.as_view(), name="rollouts"),
    path("rollouts/preview", views.PlanPreview.as_view(), name="rollout-preview"),
    path("rollouts/<int:rollout_id>", views.RolloutDetail.as_view(), name="rollout"),
    path("rollouts/<int:rollout_id>/transitions", views.RolloutTransitions.as_view(), name="transitions"),
    path("freezes", views.Freezes.as_view(), name="freezes"),
    path("freezes/<int:window_id>/end", views.FreezeEnd.as_view(), name="freeze-end"),
    path("rollouts/<int:rollout_id>/approvals", views.RolloutApprovals.as_view(), name="approvals"),
    *(
        path(
            f"rollouts/<int:rollout_id>/{answer}",
            views.RolloutVote.as_view(answer=answer),
            name=f"rollout-{answer}",
        )
        for answer in ("approve", "refuse")
    ),
    path("rollouts/<int:rollout_id>/retry", views.RolloutRetry.as_view(), name="rollout-retry"),
    *(
        path(
            f"rollouts/<int:rollout_id>/{verb}", views.RolloutVerb.as_view(verb=verb), name=f"rollout-{verb}"
        )
        for verb in views.VERBS
    ),
]
