"""Files that clients send and fetch through the server."""

from __future__ import annotations

import mimetypes
from typing import Any
from urllib.parse import unquote

from django.http import FileResponse, HttpResponse, HttpResponseBase

from registry.domain import foreign
from registry.errors import Invalid
from registry.mlflow.call import Call
from registry.mlflow.calls.runs import run_named
from registry.mlflow.documents import files_document
from registry.mlflow.errors import ProtocolError
from registry.models import Experiment
from registry.services import files, sources
from registry.wiring import artifact_store


def upload(call: Call) -> HttpResponseBase:
    length = call.request.META.get("CONTENT_LENGTH") or ""
    if call.request.META.get("HTTP_CONTENT_ENCODING", "identity") not in {"", "identity"}:
        raise Invalid("Send the file without Content-Encoding.", field="path")
    files.put_file(
        path=_path(call),
        stream=call.request,  # type: ignore[arg-type]
        store=artifact_store(),
        length=int(length) if length.isdecimal() else None,
    )
    return HttpResponse(status=200)


def download(call: Call) -> HttpResponseBase:
    file = files.file_at(_path(call))
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    content: Any = artifact_store().open(file.digest)
    response = FileResponse(content, as_attachment=True, filename=file.name, content_type=kind)
    response["Content-Length"] = str(file.size)
    response["ETag"] = f'"{file.digest}"'
    return response


def listing(call: Call) -> dict[str, Any]:
    found = files.list_folder(foreign.artifact_path(_decoded(call.arguments.text("path"))))
    return {"files": files_document(found)} if found else {}


def delete(call: Call) -> dict[str, Any]:
    files.delete_path(_path(call))
    return {}


def of_run(call: Call) -> dict[str, Any]:
    """`artifacts/list` of a run, whose paths are relative to the run's root."""
    run = run_named(call)
    run.experiment = Experiment.objects.get(pk=run.experiment_id)
    root = sources.run_location(run)
    below = foreign.artifact_path(_decoded(call.arguments.text("path")))
    folder = sources.folder_of(f"{root}/{below}".rstrip("/"))
    found = [] if folder is None else files.list_folder(folder)
    return {"root_uri": root, "files": files_document(found, below=f"{below}/" if below else "")}


def elsewhere(call: Call) -> HttpResponseBase:
    """Multi-part uploads and presigned addresses: on this answer clients send and fetch files plainly."""
    raise ProtocolError(
        "NOT_IMPLEMENTED", "Send and fetch the file in one piece at mlflow-artifacts/artifacts."
    )


def _path(call: Call) -> str:
    return foreign.artifact_path(_decoded(call.path["path"]))


def _decoded(path: str) -> str:
    """The path as meant by a client that quoted it twice; a dot may hide behind any number of quotings."""
    seen = path
    while (plain := unquote(seen)) != seen:
        seen = plain
    if ".." in seen.replace("\\", "/").split("/"):
        raise Invalid(f"Invalid path: {ascii(path[:80])}.", field="path")
    return path
