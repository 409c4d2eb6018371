"""Routes of the rollouts' REST door."""

from __future__ import annotations

from django.urls import path

from rollouts.api import (
    approving,
    comparison,
    drift,
    endpoints,
    gates,
    hooks,
    plans,
    retraining,
    rollouts,
    samples,
)

app_name = "rollouts-api"
urlpatterns = [
    path("environments", endpoints.Environments.as_view(), name="environments"),
    path("environments/<str:name>/policy", endpoints.EnvironmentPolicy.as_view(), name="environment-policy"),
    path("environments/<str:name>/target", endpoints.EnvironmentTarget.as_view(), name="environment-target"),
    path("targets", endpoints.Targets.as_view(), name="targets"),
    path("endpoints", endpoints.Endpoints.as_view(), name="endpoints"),
    path("endpoints/<str:name>", endpoints.EndpointDetail.as_view(), name="endpoint"),
    path("endpoints/<str:name>/history", endpoints.EndpointHistory.as_view(), name="endpoint-history"),
    path("endpoints/<str:name>/rollback", endpoints.EndpointRollback.as_view(), name="endpoint-rollback"),
    path("endpoints/<str:name>/comparison", comparison.EndpointComparison.as_view(), name="comparison"),
    path("endpoints/<str:name>/drift", drift.EndpointDrift.as_view(), name="drift"),
    path("endpoints/<str:name>/quality", drift.EndpointQuality.as_view(), name="quality"),
    path("endpoints/<str:name>/retraining", retraining.Retraining.as_view(), name="retraining"),
    path("endpoints/<str:name>/retraining/runs", retraining.RetrainingRuns.as_view(), name="retraining-runs"),
    path("predictions", samples.Predictions.as_view(), name="predictions"),
    path("labels", samples.Labels.as_view(), name="labels"),
    path("hooks", hooks.Hooks.as_view(), name="hooks"),
    path("hooks/<str:name>/ping", hooks.HookPing.as_view(), name="hook-ping"),
    path("hooks/<str:name>/secret", hooks.HookSecret.as_view(), name="hook-secret"),
    path("hooks/<str:name>/on", hooks.HookSwitch.as_view(active=True), name="hook-on"),
    path("hooks/<str:name>/off", hooks.HookSwitch.as_view(), name="hook-off"),
    path("rollouts/<int:rollout_id>/hooks", hooks.RolloutHooks.as_view(), name="rollout-hooks"),
    path("rollouts", rollouts.Rollouts.as_view(), name="rollouts"),
    path("rollouts/preview", plans.PlanPreview.as_view(), name="rollout-preview"),
    path("rollouts/<int:rollout_id>", rollouts.RolloutDetail.as_view(), name="rollout"),
    path("rollouts/<int:rollout_id>/transitions", rollouts.RolloutTransitions.as_view(), name="transitions"),
    path("rollouts/<int:rollout_id>/looks", rollouts.RolloutLooks.as_view(), name="looks"),
    path("templates", plans.Templates.as_view(), name="templates"),
    path("templates/<str:name>", plans.TemplateDetail.as_view(), name="template"),
    path("gates", gates.GateTemplates.as_view(), name="gates"),
    path("gates/<str:name>", gates.GateTemplateDetail.as_view(), name="gate-template"),
    path("dry-runs", gates.DryRun.as_view(), name="dry-run"),
    path("freezes", approving.Freezes.as_view(), name="freezes"),
    path("freezes/<int:window_id>/end", approving.FreezeEnd.as_view(), name="freeze-end"),
    path("rollouts/<int:rollout_id>/approvals", approving.RolloutApprovals.as_view(), name="approvals"),
    *(
        path(
            f"rollouts/<int:rollout_id>/{answer}",
            approving.RolloutVote.as_view(answer=answer),
            name=f"rollout-{answer}",
        )
        for answer in ("approve", "refuse")
    ),
    path("rollouts/<int:rollout_id>/retry", rollouts.RolloutRetry.as_view(), name="rollout-retry"),
    *(
        path(
            f"rollouts/<int:rollout_id>/{verb}",
            rollouts.RolloutVerb.as_view(verb=verb),
            name=f"rollout-{verb}",
        )
        for verb in rollouts.VERBS
    ),
]
