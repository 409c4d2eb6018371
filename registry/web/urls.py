"""Routes of the app's web door."""

from __future__ import annotations

from django.urls import path

from registry.web import (
    access,
    changes,
    figures,
    models,
    openid,
    people,
    retention,
    tokens,
    trail,
    versions,
)

app_name = "registry"
# Model names never begin with "-", so "/models/-/new" is no model's page.
urlpatterns = [
    path("login", openid.SignIn.as_view(), name="login"),
    path("logout", openid.SignOut.as_view(), name="logout"),
    path("openid/begin", openid.begin, name="openid-begin"),
    path("openid/callback", openid.callback, name="openid-callback"),
    path("models/", models.models, name="models"),
    path("models/-/new", models.new_model, name="new-model"),
    path("models/<str:name>/", models.model, name="model"),
    path("models/<str:name>/change", changes.change_model, name="change-model"),
    path("models/<str:name>/delete", changes.delete_model, name="delete-model"),
    path("models/<str:name>/aliases/<str:alias>/delete", changes.delete_alias, name="delete-alias"),
    path("models/<str:name>/compare", figures.compare, name="compare"),
    path("models/<str:name>/retention", retention.retention, name="retention"),
    path("models/<str:name>/retention/set", retention.set_retention, name="set-retention"),
    path("models/<str:name>/retention/apply", retention.apply_retention, name="apply-retention"),
    path("models/<str:name>/versions/new", versions.new_version, name="new-version"),
    path("models/<str:name>/versions/<int:number>/", versions.version, name="version"),
    path("models/<str:name>/versions/<int:number>/metrics", figures.metrics, name="metrics"),
    path("models/<str:name>/versions/<int:number>/notes", changes.annotate, name="annotate"),
    path("models/<str:name>/versions/<int:number>/alias", changes.set_alias, name="set-alias"),
    path("models/<str:name>/versions/<int:number>/delete", changes.delete_version, name="delete-version"),
    path("models/<str:name>/versions/<int:number>/files/<path:path>", versions.file, name="file"),
    path("models/<str:name>/versions/<int:number>/progress", versions.progress, name="progress"),
    path("models/<str:name>/versions/<int:number>/artifact", versions.download, name="artifact"),
    path("models/<str:name>/versions/<int:number>/profile", versions.attach_profile, name="profile"),
    path("versions/", versions.search, name="search"),
    path("audit/", trail.trail, name="audit"),
    path("audit/check", trail.check, name="audit-check"),
    path("access/", access.access, name="access"),
    path("access/grants/<int:pk>/revoke", access.revoke, name="revoke-grant"),
    path("access/people/new", people.new_person, name="new-person"),
    path("access/service-accounts/", access.accounts, name="accounts"),
    path("access/service-accounts/<str:account>/", access.account, name="account"),
    path("access/service-accounts/<str:account>/disable", access.disable_account, name="disable-account"),
    path(
        "access/service-accounts/<str:account>/tokens/<int:pk>/revoke",
        access.revoke_account_token,
        name="revoke-account-token",
    ),
    path("password", people.password, name="password"),
    path("tokens/", tokens.own_tokens, name="tokens"),
    path("tokens/<int:pk>/revoke", tokens.revoke, name="revoke-token"),
]
