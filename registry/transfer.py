"""Files over HTTP: in, to disk and cut off at the limit; out, as a stream. None is held in memory."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    StreamingHttpResponse,
)

from registry.bundles import KINDS, bundle
from registry.domain.manifest import FileEntry
from registry.domain.plain import read_json
from registry.errors import Conflict, Invalid, NotFound, TooLarge
from registry.models import Version
from registry.ports import ArtifactStore
from registry.services.content import entries_of
from registry.services.versions import check_size

# Room for the form's other fields and for the reference set beside an artifact of the largest size.
_METADATA_BYTES = 1 << 20
_FROM = re.compile(r"bytes=([0-9]{1,18})-")


class LimitedUpload(TemporaryFileUploadHandler):
    """Spools every file of a request to the temporary folder and raises `TooLarge` at the artifact limit."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._received = 0
        self._begun: list[TemporaryUploadedFile] = []

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        check_size(content_length - _METADATA_BYTES)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._begun.append(self.file)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self._received += len(raw_data)
        try:
            check_size(self._received)
        except TooLarge:
            # The parser gives up at once, so nobody else would close, and thereby remove, what was spooled.
            for file in self._begun:
                file.close()
            raise
        return super().receive_data_chunk(raw_data, start)


def limit_uploads(request: HttpRequest) -> None:
    """Make the request's files go to disk under the limit; call before its body is touched."""
    request.upload_handlers = [LimitedUpload(request)]


def path_of(file: Any, *, field: str) -> Path:
    """Where an uploaded file lies on disk; `Invalid` when the field holds no file."""
    if isinstance(file, TemporaryUploadedFile):
        return Path(file.temporary_file_path())
    if file is None or file == "":
        raise Invalid("The file is missing.", field=field, hint=f"Send it as the multipart field {field!r}.")
    raise Invalid("It must be a file.", field=field, hint=f"Send {field!r} as a file part, not as text.")


def json_of(value: Any, *, field: str) -> Any:
    """The JSON in a form field, given as text or as a file part; None when absent or empty."""
    if isinstance(value, UploadedFile):
        if (value.size or 0) > _METADATA_BYTES:
            raise Invalid("It has more than 1 MiB.", field=field)
        value = value.read()
    if value is None or not value.strip():
        return None
    return read_json(value, field=field)


def has_current(request: HttpRequest, etag: str) -> bool:
    """Whether the client's `If-None-Match` names this tag. Proxies that compress make tags weak, which are as
    good here (RFC 9110, 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in request.META.get("HTTP_IF_NONE_MATCH", "").split(",")}
    return etag in known or "*" in known


def artifact_response(
    request: HttpRequest, version: Version, store: ArtifactStore, archive: str = ""
) -> HttpResponseBase:
    """The artifact as a download whose ETag is its digest, or 304 when the client has it.

    A folder comes as an archive, `tar` unless `archive` says `zip`.
    """
    _check_arrived(version)
    name = f"{version.model.name}-{version.number}"
    if not version.is_folder:
        entry = FileEntry(f"{name}.{version.format}", version.digest, version.size)
        return file_response(request, entry, store)
    kind = archive or "tar"
    content = bundle(kind, entries_of(version), store)
    headers = {
        "ETag": f'"{version.digest}.{kind}"',
        "X-Slipway-Digest": version.digest,
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
    }
    if has_current(request, headers["ETag"]):
        return HttpResponseNotModified(headers={"ETag": headers["ETag"]})
    return StreamingHttpResponse(content, content_type=KINDS[kind], headers=headers)


def file_of_version(
    request: HttpRequest, version: Version, path: str, store: ArtifactStore
) -> HttpResponseBase:
    """One file of a folder, by its path; `NotFound` when it has none of that path."""
    _check_arrived(version)
    found = None if "\x00" in path else version.files.filter(path=path).first()
    if found is None:
        raise NotFound(f"{version} has no file {ascii(path[:80])}.", field="path")
    return file_response(request, FileEntry(found.path, found.digest, found.size), store)


def file_response(request: HttpRequest, file: FileEntry, store: ArtifactStore) -> HttpResponseBase:
    """A stored file as a download whose ETag is its digest; 304 when the client has it.

    206 with the rest for `Range: bytes=N-`, so that a download that was cut off goes on; other ranges are
    answered with the whole, as RFC 9110 allows. 416 when there is nothing from there.
    """
    etag = f'"{file.digest}"'
    if has_current(request, etag):
        return HttpResponseNotModified(headers={"ETag": etag})
    start = _start_of(request, etag)
    if start and start >= file.size:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.size}", "ETag": etag})
    response = FileResponse(
        store.open(file.digest, start),
        as_attachment=True,
        filename=file.path.rpartition("/")[2],
        content_type="application/octet-stream",
    )
    if start:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
    response["Content-Length"] = str(file.size - start)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["X-Slipway-Digest"] = file.digest
    # Of the whole file (RFC 9530), also when only its rest is sent.
    plain = bytes.fromhex(file.digest.removeprefix("sha256:"))
    response["Repr-Digest"] = f"sha-256=:{b64encode(plain).decode()}:"
    return response


def _start_of(request: HttpRequest, etag: str) -> int:
    """The first byte that is asked for; 0 when the client's part is of another file."""
    found = _FROM.fullmatch(request.headers.get("Range", ""))
    return int(found[1]) if found and request.headers.get("If-Range", etag) == etag else 0


def _check_arrived(version: Version) -> None:
    """What is being verified, or was refused, is nobody's to download."""
    if not version.is_ready:
        raise Conflict(
            f"{version} is {version.state}; only what is ready can be downloaded.", hint="Ask again later."
        )
