"""What a DomainError looks like from outside: RFC 9457 problem JSON for the API, a page for people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from registry.errors import DomainError, Invalid, NotFound, TooLarge, Unavailable

PROBLEM = "application/problem+json"


def problem(error: DomainError) -> dict[str, Any]:
    """The error as an RFC 9457 document; `type` is a stable code, not a link."""
    body: dict[str, Any] = {
        "type": f"urn:slipway:{error.code}",
        "title": type(error).__name__,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.field:
        body["field"] = error.field
    if error.hint:
        body["hint"] = error.hint
    return body


def problem_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: domain errors and framework errors in one shape."""
    if isinstance(exc, DomainError):
        return Response(problem(exc), status=exc.status, headers=_headers(exc), content_type=PROBLEM)
    response = exception_handler(exc, context)
    if response is None:
        return None
    response.data = _framework_problem(exc, response)
    response.content_type = PROBLEM
    return response


def _headers(error: DomainError) -> dict[str, str]:
    """What an error tells a client beside its document: when to come again."""
    wait = getattr(error, "retry_after", None)
    return {} if wait is None else {"Retry-After": str(wait)}


def _framework_problem(exc: Exception, response: Response) -> dict[str, Any]:
    code = exc.get_codes() if isinstance(exc, APIException) else "error"
    body: dict[str, Any] = {
        "type": f"urn:slipway:{code if isinstance(code, str) else 'invalid'}",
        "title": response.status_text,
        "status": response.status_code,
        "code": code if isinstance(code, str) else "invalid",
    }
    if isinstance(exc, ValidationError):
        body["detail"] = "Some fields are wrong; see `errors`."
        body["errors"] = response.data
    else:
        data = response.data
        body["detail"] = str(data.get("detail", exc)) if isinstance(data, dict) else str(exc)
    return body


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`: a problem under /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        error = NotFound(f"There is no route {request.path[:200]!r}.", hint="The routes are at /api/docs/.")
        return JsonResponse(problem(error), status=404, content_type=PROBLEM)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`: what Django refuses before or while a view reads the request."""
    if not request.path.startswith("/api/"):
        return defaults.bad_request(request, exception)
    error: DomainError = Invalid("The request is not one that this server answers.")
    if isinstance(exception, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
        error = TooLarge(f"The body, without files, has more than {most} MiB.", hint="Send less at a time.")
    return JsonResponse(problem(error), status=error.status, content_type=PROBLEM)


def fault(request: HttpRequest) -> HttpResponse:
    """`handler500`: a problem under /api/, a page elsewhere; neither says what broke.

    But a database that is away is nobody's mistake, and passes: 503.
    """
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        return _without_database(request)
    if request.path.startswith("/api/"):
        error = Fault("Slipway made a mistake; its log says which.")
        return JsonResponse(problem(error), status=error.status, content_type=PROBLEM)
    return defaults.server_error(request)


def _without_database(request: HttpRequest) -> HttpResponse:
    """Said without asking the database for anything, such as who asks."""
    error = Unavailable(
        "The database does not answer.",
        hint="Nothing was changed; what is served goes on. Try again soon.",
    )
    if request.path.startswith(("/api/", "/ajax-api/")):
        answer: HttpResponse = JsonResponse(problem(error), status=503, content_type=PROBLEM)
    else:
        answer = HttpResponse(render_to_string("no_database.html", {"error": error}), status=503)
    answer["Retry-After"] = "5"
    return answer


class Fault(DomainError):
    """A mistake of Slipway's own."""

    code = "internal_error"
    status = 500


class DomainErrorMiddleware:
    """Turns a DomainError that a page's view raised into a page (or an htmx fragment) that says it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError):
            return None
        if request.path.startswith("/api/"):
            return JsonResponse(problem(exception), status=exception.status, content_type=PROBLEM)
        if getattr(request, "htmx", False):
            return render(request, "_error.html", {"error": exception}, status=exception.status)
        return render(request, "error.html", {"error": exception}, status=exception.status)
