"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import path

from monitoring.api import notices

app_name = "monitoring-api"
urlpatterns = [
    path("notices", notices.Notices.as_view(), name="notices"),
    path("notice-targets", notices.Targets.as_view(), name="notice-targets"),
    path("notice-targets/<str:name>/test", notices.TargetTest.as_view(), name="notice-target-test"),
    path("notice-targets/<str:name>/on", notices.TargetSwitch.as_view(active=True), name="notice-target-on"),
    path("notice-targets/<str:name>/off", notices.TargetSwitch.as_view(), name="notice-target-off"),
]
