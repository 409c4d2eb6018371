"""`/v2/repository`: what is loaded, and loading and unloading while the server runs (as in Triton)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .api_keys import ApiKeys
from .errors import Forbidden, MethodNotAllowed, NotFound
from .messages import Request, Response, json_response

if TYPE_CHECKING:
    from .service import Service

PATHS = (
    "/v2/repository/index",
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
)
_CHANGE = re.compile(r"/v2/repository/models/(.+)/(load|unload)")


def check(enabled: bool, keys: ApiKeys | None, headers: Mapping[bytes, bytes]) -> None:
    """Whether this client may see and change what is loaded.

    Raises:
        Forbidden: it is switched off, or the key is not an admin's; Unauthorized, RateLimited: as ever.
    """
    if not enabled:
        raise Forbidden("models cannot be loaded or unloaded here; start the server with --repository on")
    if keys is not None and not keys.admit(headers).admin:
        raise Forbidden('this needs an API key with "admin": true')


async def handle(service: Service, request: Request) -> Response:
    """Answer one request below /v2/repository. Raises ServingError."""
    if request.method != "POST":
        raise MethodNotAllowed(f"{request.path} answers to POST, not to {request.method}", allowed="POST")
    service.admit_admin(request)
    if request.path == PATHS[0]:
        return json_response(service.repository.index())
    match = _CHANGE.fullmatch(request.path)
    if match is None:
        raise NotFound(f"there are {', '.join(PATHS)}")
    if match[2] == "load":
        await service.repository.load(match[1])
    else:
        service.repository.unload(match[1])
    return json_response({})
