"""An id for every request, in its answer, in its log lines and in its trace."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from monitoring.adapters import process_metrics
from registry import telemetry

log = logging.getLogger("controlplane.requests")
_SENT = re.compile(r"[\x21-\x7e]{1,128}")
# What a route is about, by the noun before its parameter: rollouts/<int:pk>/abort.
_NOUN = re.compile(r"(endpoint|rollout|model)s/<(?:\w+:)?(\w+)>")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_BODY = (None, "", "0")
# What is left of a longer body is more than gunicorn reads before it closes the connection.
_REST, _PIECE = 1 << 20, 1 << 16
_PROBES = ("/healthz", "/readyz", "/metrics")


class RequestMiddleware:
    """Outermost: what it logs is what the client got.

    A client may send its own `X-Request-ID`, of up to 128 printable characters; else one is made. Paths may
    hold what only their reader should know, so lines show the route.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _SENT.fullmatch(sent) else uuid.uuid4().hex
        parent = request.META.get("HTTP_TRACEPARENT", "")
        began = time.perf_counter()
        with telemetry.step(f"{request.method} request", parent=parent, request_id=request_id):
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            _read_rest(request)
            if request.path not in _PROBES:
                seconds = time.perf_counter() - began
                process_metrics.request_answered(
                    _method(request), _route(request), response.status_code, seconds
                )
                if settings.SLIPWAY_LOG_REQUESTS:
                    _tell(request, response, seconds)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """What the request is about, once its route is known."""
        match = request.resolver_match
        for noun, name in _NOUN.findall(match.route if match else ""):
            telemetry.bind(**{noun: kwargs.get(name)})


def _read_rest(request: HttpRequest) -> None:
    """Read what the view left of a short body, before the answer is sent.

    Once it has the answer a client sends its next request on the same connection. gunicorn, which then throws
    away the rest of the body, can take the beginning of that request along, wait for it in vain and hang up.
    """
    if request.META.get("CONTENT_LENGTH") in _NO_BODY or hasattr(request, "_body"):
        return  # none, or read to its end
    stream: Any = getattr(request, "_stream", None)
    try:
        for _ in range(_REST // _PIECE if stream else 0):
            if not stream.read(_PIECE):
                return
    except (OSError, ValueError):
        # The client is gone, or the view closed the stream.
        return


def _route(request: HttpRequest) -> str:
    return f"/{request.resolver_match.route}" if request.resolver_match else "/"


def _method(request: HttpRequest) -> str:
    """Of the methods that there are, so that nobody makes series up."""
    return request.method if request.method in _METHODS else "other"


def _tell(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    route = _route(request)
    # Only if somebody asked already: a line of the log must not ask the database.
    user = getattr(request, "_cached_user", None)
    log.info(
        "%s %s %s", request.method, route, response.status_code,
        extra={
            "method": request.method, "route": route, "status": response.status_code,
            "milliseconds": round(seconds * 1000, 1), "user": user.get_username() if user else None,
        },
    )  # fmt: skip
