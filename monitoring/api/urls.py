"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "monitoring-api"
urlpatterns: list[URLPattern] = []
