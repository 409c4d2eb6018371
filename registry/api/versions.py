"""Versions, their artifacts and metrics over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from registry import queries, services, transfer, wiring
from registry.api import serializers
from registry.api.base import RegistryView, body_of, limit_of, number_of, paged, reason_of, text_of
from registry.api.history import history_page
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.listing import SUMMARY, find_version, version_document
from registry.api.parsing import JSONParser
from registry.api.preconditions import IF_MATCH, unchanged
from registry.api.search import FILTER
from registry.domain.draft import VersionDraft, parse_points
from registry.domain.roles import Permission
from registry.domain.text import clean_line
from registry.errors import Invalid
from registry.filtering import version_filter
from registry.models import Model, Version
from registry.services.arrivals import arrived
from registry.services.content import entries_of, store_path
from registry.services.uploads import upload_of

_PAGE = [
    OpenApiParameter("after", str, description="`next` of the page before."),
    OpenApiParameter("limit", int),
]


_LARGEST = 2**63 - 1


class Versions(RegistryView):
    """The versions of a model, newest first."""

    permissions = {"POST": Permission.REGISTER}
    parser_classes = (MultiPartParser, JSONParser)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        transfer.limit_uploads(request)
        return super().initialize_request(request, *args, **kwargs)

    @extend_schema(
        operation_id="versions_list", parameters=[FILTER, *_PAGE], responses=serializers.VersionList
    )
    def get(self, request: Request, name: str) -> Response:
        text, after = text_of(request, "filter"), number_of(request, "after")
        page = SUMMARY.page(
            lambda: queries.versions_of(self.model, after, version_filter(text)),
            limit_of(request),
            "number",
            asked=None if after else ("versions", self.model.pk, text),
        )
        return paged(page, page.items)

    @extend_schema(
        operation_id="versions_register",
        parameters=[IDEMPOTENCY_KEY],
        request={
            "multipart/form-data": serializers.VersionIn,
            "application/json": serializers.VersionOfUploads,
        },
        responses={
            201: serializers.VersionOut,
            400: OpenApiResponse(
                description="The file cannot be served, or a field is wrong; nothing is stored."
            ),
            413: OpenApiResponse(description="The file is over the size limit."),
        },
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        version = self._of_uploads(request) if _is_json(request) else self._of_files(request)
        return Response(version_document(self.model, version.number), status=status.HTTP_201_CREATED)

    def _of_uploads(self, request: Request) -> Version:
        """Completed uploads as a version that is verified and inspected in the background."""
        body = body_of(request, "upload", "files", "reference", "filename", "metadata", "reason")
        reference = body.get("reference")
        return services.submit_version(
            model=self.model,
            artifact=arrived(self.model, body.get("upload"), body.get("files")),
            reference=upload_of(self.model, reference, field="reference") if reference else None,
            filename=clean_line(body.get("filename"), field="filename", maximum=255),
            draft=VersionDraft.parse(body.get("metadata")),
            store=wiring.artifact_store(),
            actor=self.actor,
            reason=reason_of(body),
        )

    def _of_files(self, request: Request) -> Version:
        """Files in the request itself, inspected before the answer unless `wait` is false."""
        model = self.model
        data: Any = request.data
        draft = VersionDraft.parse(transfer.json_of(data.get("metadata"), field="metadata"))
        artifact, reference = data.get("artifact"), data.get("reference")
        place = transfer.path_of(artifact, field="artifact")
        rows = transfer.path_of(reference, field="reference") if reference else None
        store = wiring.artifact_store()
        said: dict[str, Any] = {"draft": draft, "reason": reason_of(data)}
        filename = getattr(artifact, "name", "") or ""
        if str(data.get("wait", "")).lower() not in {"false", "0"}:
            return services.register_version(
                model=model,
                artifact=place,
                filename=filename,
                reference=rows,
                store=store,
                actor=self.actor,
                **said,
            )
        return services.submit_version(
            model=model,
            artifact=store_path(place, store),
            filename=filename,
            reference=store_path(rows, store) if rows else None,
            store=store,
            actor=self.actor,
            **said,
        )


class OneVersion(RegistryView):
    """One version; only its notes and tags can change."""

    tagged = True
    of_version = True
    at_once = staticmethod(find_version)
    permissions = {"PATCH": Permission.REGISTER, "DELETE": Permission.ADMINISTER}

    @extend_schema(operation_id="versions_get", responses=serializers.VersionOut)
    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(version_document(self.model, number) if self.document is None else self.document)

    @extend_schema(
        parameters=[IF_MATCH],
        operation_id="versions_annotate",
        request=serializers.VersionChange,
        responses=serializers.VersionOut,
    )
    def patch(self, request: Request, name: str, number: int) -> Response:
        body = body_of(request, "notes", "tags", "reason")
        version = self.version(number)
        with unchanged(request, self.model, lambda: version_document(self.model, number)):
            services.annotate_version(
                version=version,
                notes=body.get("notes"),
                tags=body.get("tags"),
                reason=reason_of(body),
                actor=self.actor,
            )
        return Response(version_document(self.model, number))

    @extend_schema(operation_id="versions_delete", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: Request, name: str, number: int) -> Response:
        reason = text_of(request, "reason")
        version = self.version(number)
        with unchanged(request, self.model, lambda: version_document(self.model, number)):
            services.delete_version(version=version, actor=self.actor, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)


_DOWNLOAD = {
    (200, "application/octet-stream"): OpenApiTypes.BINARY,
    (206, "application/octet-stream"): OpenApiTypes.BINARY,
    304: None,
    416: None,
}


class Artifact(RegistryView):
    """The file itself, its ETag is its digest; of a folder an archive. `Range: bytes=N-` gives the rest."""

    @extend_schema(
        operation_id="versions_artifact",
        parameters=[OpenApiParameter("archive", str, enum=("tar", "zip"), description="For folders.")],
        responses=_DOWNLOAD,
    )
    def get(self, request: Request, name: str, number: int) -> HttpResponseBase:
        return transfer.artifact_response(
            request._request,
            _version(self.model, number),
            wiring.artifact_store(),
            text_of(request, "archive"),
        )


class Files(RegistryView):
    """The files of a version that is a folder; none for a single file."""

    @extend_schema(operation_id="versions_files", responses=serializers.FileList)
    def get(self, request: Request, name: str, number: int) -> Response:
        entries = entries_of(_version(self.model, number))
        return Response({"items": [asdict(entry) for entry in entries], "next": None})


class OneFile(RegistryView):
    """One file of a folder; its ETag is its digest."""

    @extend_schema(
        operation_id="versions_file",
        responses=_DOWNLOAD,
    )
    def get(self, request: Request, name: str, number: int, path: str) -> HttpResponseBase:
        version = _version(self.model, number)
        return transfer.file_of_version(request._request, version, path, wiring.artifact_store())


class Metrics(RegistryView):
    """Measured points of a version: `?name=` reads one metric's history, POST appends."""

    of_version = True
    permissions = {"POST": Permission.REGISTER}

    @extend_schema(
        operation_id="metrics_history",
        parameters=[OpenApiParameter("name", str, required=True), *_PAGE],
        responses=serializers.PointList,
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        metric = text_of(request, "name")
        if not metric:
            raise Invalid("Say which metric.", field="name", hint="The version document lists their names.")
        limit = limit_of(request, default=1000, maximum=10_000)
        items, following = history_page(
            queries.plain_version(self.model, number),
            metric,
            limit=limit,
            after=_cursor(request.query_params.get("after")),
        )
        return Response({"items": items, "next": following})

    @extend_schema(
        operation_id="metrics_append",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.PointsIn,
        responses={201: serializers.PointList},
    )
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        body = body_of(request, "points", "reason")
        points = services.add_metrics(
            version=self.version(number),
            points=parse_points(body.get("points")),
            reason=reason_of(body),
            actor=self.actor,
        )
        items = [{"name": p.name, "value": p.value, "step": p.step, "at": p.at} for p in points]
        return Response({"items": items, "next": None}, status=status.HTTP_201_CREATED)


def _is_json(request: Request) -> bool:
    return (request.content_type or "").partition(";")[0].strip() == "application/json"


def _version(model: Model, number: int) -> Version:
    return queries.version_by_number(model, number)


def _cursor(value: str | None) -> tuple[int, int] | None:
    if not value:
        return None
    step, dot, key = value.partition(".")
    if not (dot and all(part.isascii() and part.isdecimal() and len(part) <= 19 for part in (step, key))):
        raise Invalid(f"{ascii(value[:40])} is not a place in this list.", field="after", hint="Use `next`.")
    return min(int(step), _LARGEST), min(int(key), _LARGEST)
