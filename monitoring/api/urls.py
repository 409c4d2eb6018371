"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import path

from monitoring.api import samples

app_name = "monitoring-api"
urlpatterns = [
    path("predictions", samples.Predictions.as_view(), name="predictions"),
    path("labels", samples.Labels.as_view(), name="labels"),
]
