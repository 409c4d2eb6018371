"""Versions of all models by a filter, and where one comes from."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry import queries
from registry.api import serializers
from registry.api.base import RegistryView, limit_of, number_of, paged, text_of
from registry.api.listing import SUMMARY
from registry.filtering import version_filter
from registry.identity import seen_by, visible
from registry.lineage import lineage_of
from registry.models import Version

FILTER = OpenApiParameter(
    "filter", str, description='Such as `metrics.auc > 0.9 and tags.team = "growth"`; see docs/api.md.'
)


class Search(RegistryView):
    """Versions of every model the caller may view, newest first."""

    @extend_schema(
        operation_id="versions_search",
        parameters=[
            FILTER,
            OpenApiParameter("after", str, description="`next` of the page before."),
            OpenApiParameter("limit", int),
        ],
        responses=serializers.VersionList,
    )
    def get(self, request: Request) -> Response:
        text, after = text_of(request, "filter"), number_of(request, "after")
        page = SUMMARY.page(
            lambda: queries.search(version_filter(text), visible(request.user, "model__"), after),
            limit_of(request),
            "id",
            asked=None if after else ("search", text, seen_by(request.user)),
        )
        return paged(page, page.items)


class Lineage(RegistryView):
    """Training run, data set, parents and children of a version."""

    @extend_schema(operation_id="versions_lineage", responses=serializers.LineageOut)
    def get(self, request: Request, name: str, number: int) -> Response:
        found = lineage_of(queries.plain_version(self.model, number))
        version = found.version
        return Response(
            {
                **_ref(version),
                "git_sha": version.git_sha,
                "training_run": version.training_run,
                "dataset": {"ref": version.dataset_ref, "digest": version.dataset_digest},
                "ancestors": [_ref(item) for item in found.ancestors],
                "children": [_ref(item) for item in found.children],
                "same_dataset": [_ref(item) for item in found.siblings],
            }
        )


def _ref(version: Version) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "number": version.number,
        "label": version.label,
        "digest": version.digest,
        "created_at": version.created_at,
        "deleted": version.deleted_at is not None,
    }
