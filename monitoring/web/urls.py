"""Routes of the app's web door."""

from __future__ import annotations

from django.urls import path, re_path

from monitoring.web import notices

app_name = "monitoring"
urlpatterns = [
    path("notices/", notices.targets, name="notices"),
    path("notices/<slug:name>/test", notices.test, name="notice-test"),
    re_path(r"^notices/(?P<name>[-a-z0-9]+)/(?P<to>on|off)$", notices.switch, name="notice-switch"),
]
