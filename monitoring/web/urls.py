"""Routes of the app's web door."""

from __future__ import annotations

from django.urls import path, re_path

from monitoring.web import alert_rules, alerts, notices, scorings

app_name = "monitoring"
urlpatterns = [
    path("notices/", notices.targets, name="notices"),
    path("notices/<slug:name>/test", notices.test, name="notice-test"),
    re_path(r"^notices/(?P<name>[-a-z0-9]+)/(?P<to>on|off)$", notices.switch, name="notice-switch"),
    path("models/<str:name>/versions/<int:number>/scorings/", scorings.of_version, name="scorings-of"),
    path("models/<str:name>/versions/<int:number>/scorings/recent", scorings.recent, name="scorings-recent"),
    path("scorings/", scorings.scorings, name="scorings"),
    path("scorings/<int:pk>/", scorings.scoring, name="scoring"),
    path("scorings/<int:pk>/cancel", scorings.cancel, name="scoring-cancel"),
    path("scorings/<int:pk>/resume", scorings.resume, name="scoring-resume"),
    path("alerts/", alerts.alerts, name="alerts"),
    path("alerts/rules/new", alert_rules.new_rule, name="alert-rule-new"),
    re_path(
        r"^alerts/rules/(?P<rule>[a-z0-9_]+)/(?P<to>on|off)$",
        alert_rules.switch_rule,
        name="alert-rule-switch",
    ),
    re_path(r"^alerts/rules/(?P<rule>[a-z0-9_]+)/$", alert_rules.rule, name="alert-rule"),
    re_path(r"^alerts/rules/(?P<rule>[a-z0-9_]+)/remove$", alert_rules.remove_rule, name="alert-rule-remove"),
    path("alerts/silences/", alerts.silences, name="silences"),
    path("alerts/silences/<int:pk>/end", alerts.end_silence, name="silence-end"),
    path("alerts/<int:pk>/", alerts.alert, name="alert"),
]
