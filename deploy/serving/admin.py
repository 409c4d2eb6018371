"""`/v2/repository`: what is loaded, and loading and unloading while the server runs (as in Triton)."""

from __future__ import annotations

import re

from .admission import Admission
from .errors import MethodNotAllowed, NotFound
from .messages import Request, Response, json_response

PATHS = (
    "/v2/repository/index",
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
)
_CHANGE = re.compile(r"/v2/repository/models/(.+)/(load|unload)")


async def handle(admission: Admission, request: Request) -> Response:
    """Answer one request below /v2/repository. Raises ServingError."""
    if request.method != "POST":
        raise MethodNotAllowed(f"{request.path} answers to POST, not to {request.method}", allowed="POST")
    admission.admit_admin(request)
    if request.path == PATHS[0]:
        return json_response(admission.repository.index())
    match = _CHANGE.fullmatch(request.path)
    if match is None:
        raise NotFound(f"there are {', '.join(PATHS)}")
    if match[2] == "load":
        await admission.repository.load(match[1])
    else:
        admission.repository.unload(match[1])
    return json_response({})
