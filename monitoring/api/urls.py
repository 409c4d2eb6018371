"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import path

from monitoring.api import notices, samples

app_name = "monitoring-api"
urlpatterns = [
    path("predictions", samples.Predictions.as_view(), name="predictions"),
    path("labels", samples.Labels.as_view(), name="labels"),
    path("notices", notices.Notices.as_view(), name="notices"),
    path("notice-targets", notices.Targets.as_view(), name="notice-targets"),
    path("notice-targets/<str:name>/test", notices.TargetTest.as_view(), name="notice-target-test"),
    path("notice-targets/<str:name>/on", notices.TargetSwitch.as_view(active=True), name="notice-target-on"),
    path("notice-targets/<str:name>/off", notices.TargetSwitch.as_view(), name="notice-target-off"),
]
