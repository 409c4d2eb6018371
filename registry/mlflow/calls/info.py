"""What the server says of itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase

from registry.mlflow.call import Call

# The protocol that is spoken, as clients compare it.
VERSION = "3.17.2"


def server_info(call: Call) -> dict[str, Any]:
    return {
        "store_type": None,
        "workspaces_enabled": False,
        "multipart_uploads_enabled": False,
        "trace_archival_enabled": False,
    }


def version(call: Call) -> HttpResponseBase:
    return HttpResponse(VERSION, content_type="text/plain")


def health(call: Call) -> HttpResponseBase:
    return HttpResponse("OK", content_type="text/plain")
