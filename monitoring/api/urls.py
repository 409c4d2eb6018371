"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import path

from monitoring.api import alerts, notices, scorings

app_name = "monitoring-api"
urlpatterns = [
    path("notices", notices.Notices.as_view(), name="notices"),
    path("notice-targets", notices.Targets.as_view(), name="notice-targets"),
    path("notice-targets/<str:name>/test", notices.TargetTest.as_view(), name="notice-target-test"),
    path("notice-targets/<str:name>/on", notices.TargetSwitch.as_view(active=True), name="notice-target-on"),
    path("notice-targets/<str:name>/off", notices.TargetSwitch.as_view(), name="notice-target-off"),
    path("alerts", alerts.Alerts.as_view(), name="alerts"),
    path("alerts/<int:pk>", alerts.OneAlert.as_view(), name="alert"),
    path("alerts/<int:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("alert-rules", alerts.Rules.as_view(), name="alert-rules"),
    # No rule has a dot in its name.
    path("alert-rules/prometheus.yml", alerts.Exported.as_view(), name="alert-rules-export"),
    path("alert-rules/<str:name>", alerts.OneRule.as_view(), name="alert-rule"),
    path(
        "models/<str:name>/versions/<int:number>/scorings", scorings.OfVersion.as_view(), name="scorings-of"
    ),
    path("scorings", scorings.Scorings.as_view(), name="scorings"),
    path("scorings/<int:pk>", scorings.OneScoring.as_view(), name="scoring"),
    path("scorings/<int:pk>/cancel", scorings.Cancel.as_view(), name="scoring-cancel"),
    path("scorings/<int:pk>/resume", scorings.Resume.as_view(), name="scoring-resume"),
    path("silences", alerts.Silences.as_view(), name="silences"),
    path("silences/<int:pk>/end", alerts.EndSilence.as_view(), name="silence-end"),
]
