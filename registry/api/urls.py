"""Routes of the app's api door."""

from __future__ import annotations

from django.urls import path

from registry.api import access, models, profiles, retention, search, trail, uploads, versions

app_name = "registry-api"
_VERSION = "models/<str:name>/versions/<int:number>"
_UPLOADS = "models/<str:name>/uploads"
urlpatterns = [
    path("me", trail.Me.as_view(), name="me"),
    path("models", models.Models.as_view(), name="models"),
    path("models/<str:name>", models.OneModel.as_view(), name="model"),
    path("models/<str:name>/aliases", models.Aliases.as_view(), name="aliases"),
    path("models/<str:name>/aliases/<str:alias>", models.OneAlias.as_view(), name="alias"),
    path("models/<str:name>/versions", versions.Versions.as_view(), name="versions"),
    path(_VERSION, versions.OneVersion.as_view(), name="version"),
    path("models/<str:name>/retention", retention.Retention.as_view(), name="retention"),
    path(_UPLOADS, uploads.Uploads.as_view(), name="uploads"),
    path(f"{_UPLOADS}/<uuid:upload>", uploads.OneUpload.as_view(), name="upload"),
    path(f"{_UPLOADS}/<uuid:upload>/parts/<int:number>", uploads.UploadPart.as_view(), name="upload-part"),
    path(f"{_UPLOADS}/<uuid:upload>/complete", uploads.CompleteUpload.as_view(), name="upload-complete"),
    path(f"{_VERSION}/files", versions.Files.as_view(), name="files"),
    path(f"{_VERSION}/files/<path:path>", versions.OneFile.as_view(), name="file"),
    path(f"{_VERSION}/artifact", versions.Artifact.as_view(), name="artifact"),
    path(f"{_VERSION}/profile", profiles.Profile.as_view(), name="profile"),
    path(f"{_VERSION}/lineage", search.Lineage.as_view(), name="lineage"),
    path("versions", search.Search.as_view(), name="search"),
    path(f"{_VERSION}/metrics", versions.Metrics.as_view(), name="metrics"),
    path("grants", access.Grants.as_view(), name="grants"),
    path("grants/<int:pk>", access.OneGrant.as_view(), name="grant"),
    path("service-accounts", access.Accounts.as_view(), name="accounts"),
    path("service-accounts/<str:account>", access.OneAccount.as_view(), name="account"),
    path("service-accounts/<str:account>/tokens", access.AccountTokens.as_view(), name="account-tokens"),
    path("tokens", access.Tokens.as_view(), name="tokens"),
    path("tokens/<int:pk>", access.OneToken.as_view(), name="token"),
    path("audit", trail.Audit.as_view(), name="audit"),
    path("audit/export", trail.AuditExport.as_view(), name="audit-export"),
    path("audit/verify", trail.AuditCheck.as_view(), name="audit-verify"),
]
