"""Uploads in parts over REST: begin, send parts in any order, complete; look and go on after any break."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from registry import wiring
from registry.api import serializers
from registry.api.base import RegistryView, body_of
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.api.parsing import JSONParser
from registry.domain.roles import Permission
from registry.errors import Invalid
from registry.models import Upload
from registry.services import uploads


class _AnyBody(BaseParser):
    """Leaves the body alone: a part is read piece by piece on its way into the store."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


def upload_document(upload: Upload, received: list[int]) -> dict[str, Any]:
    """An upload with the parts that have arrived."""
    return {
        "id": str(upload.pk),
        "size": upload.size,
        "digest": upload.digest,
        "filename": upload.filename,
        "part_size": upload.part_size,
        "parts": upload.parts,
        "received": received,
        "complete": upload.completed_at is not None,
        "created_by": upload.created_by,
        "created_at": upload.created_at,
    }


class Uploads(RegistryView):
    """Begin an upload."""

    permissions = {"POST": Permission.REGISTER}

    @extend_schema(
        operation_id="uploads_begin",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.UploadIn,
        responses={201: serializers.UploadOut},
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        body = body_of(request, "size", "digest", "filename")
        upload = uploads.begin_upload(
            model=self.model,
            size=body.get("size"),
            digest=body.get("digest"),
            filename=body.get("filename"),
            store=wiring.artifact_store(),
            actor=self.actor,
        )
        return Response(upload_document(upload, []), status=status.HTTP_201_CREATED)


class OneUpload(RegistryView):
    """One upload: which of its parts are there."""

    permissions = {"GET": Permission.REGISTER, "DELETE": Permission.REGISTER}

    @extend_schema(operation_id="uploads_get", responses=serializers.UploadOut)
    def get(self, request: Request, name: str, upload: str) -> Response:
        found = uploads.upload_of(self.model, upload)
        return Response(upload_document(found, uploads.received(found, wiring.artifact_store())))

    @extend_schema(operation_id="uploads_abort", responses={204: None})
    def delete(self, request: Request, name: str, upload: str) -> Response:
        found = uploads.upload_of(self.model, upload)
        uploads.abort_upload(upload=found, store=wiring.artifact_store())
        return Response(status=status.HTTP_204_NO_CONTENT)


class UploadPart(RegistryView):
    """One part: GET says where to send it, PUT sends it through the server."""

    permissions = {"GET": Permission.REGISTER, "PUT": Permission.REGISTER}
    parser_classes = (_AnyBody,)

    @extend_schema(operation_id="uploads_part_address", responses=serializers.PartOut)
    def get(self, request: Request, name: str, upload: str, number: int) -> Response:
        found = uploads.upload_of(self.model, upload)
        part = uploads.part_of(found, number)
        signed = uploads.part_address(found, number, wiring.artifact_store())
        here = {"name": name, "upload": upload, "number": number}
        own = reverse("registry-api:upload-part", kwargs=here, request=request)
        return Response(
            {"url": signed or own, "direct": signed is not None, "offset": part.offset, "size": part.size}
        )

    @extend_schema(
        operation_id="uploads_part_send",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={204: None},
    )
    def put(self, request: Request, name: str, upload: str, number: int) -> Response:
        found = uploads.upload_of(self.model, upload)
        expected = uploads.part_of(found, number).size
        sent = request.META.get("CONTENT_LENGTH") or "0"
        if sent != str(expected):
            raise Invalid(f"Part {number} has {expected} bytes; {sent} were sent.", field="part")
        # Django's own request reads its stream; DRF's would hand it to a parser first.
        stream = cast(Any, request._request)
        uploads.take_part(found, number, stream, wiring.artifact_store())
        return Response(status=status.HTTP_204_NO_CONTENT)


class CompleteUpload(RegistryView):
    """Declare an upload whole."""

    permissions = {"POST": Permission.REGISTER}
    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="uploads_complete",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: serializers.UploadOut, 409: OpenApiResponse(description="Parts are missing.")},
    )
    @idempotent
    def post(self, request: Request, name: str, upload: str) -> Response:
        found = uploads.upload_of(self.model, upload)
        done = uploads.complete_upload(upload=found, store=wiring.artifact_store())
        return Response(upload_document(done, list(range(1, done.parts + 1))))
