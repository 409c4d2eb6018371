"""The way in: a middleware, so that clients do not pay for sessions, cookies and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from registry.identity import require_anywhere
from registry.mlflow.access import user_of
from registry.mlflow.arguments import Arguments, arguments_of
from registry.mlflow.call import Call
from registry.mlflow.errors import ProtocolError, described
from registry.mlflow.table import Match, concerns, find

JSON = "application/json"


class MlflowDoor:
    """Answers what belongs to the MLflow protocol and passes everything else on.

    It stands behind the middleware of transport security and before that of sessions. It needs no CSRF
    token, because a browser's cookie is no credential here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not concerns(request.path_info):
            return self.get_response(request)
        try:
            answer = _answer(request)
        except Exception as error:
            return _failure(error)
        return answer if isinstance(answer, HttpResponseBase) else HttpResponse(_text(answer), JSON)


def _answer(request: HttpRequest) -> dict[str, Any] | HttpResponseBase:
    request.get_host()
    match = find(request.path_info)
    route = match.methods.get(request.method or "") if match else None
    if match is None or route is None:
        raise _unknown(request, match)
    if route.permission is None:
        return route.handler(Call(request, None, Arguments({}), match.parts))  # type: ignore[arg-type]
    user = user_of(request)
    request.user = user
    require_anywhere(user, route.permission)
    arguments = Arguments({}) if route.raw else arguments_of(request)
    return route.handler(Call(request, user, arguments, match.parts, route.permission))


def _unknown(request: HttpRequest, match: Match | None) -> ProtocolError:
    path = ascii(request.path_info[:200])[1:-1]
    if match is not None:
        known = ", ".join(sorted(match.methods))
        return ProtocolError("ENDPOINT_NOT_FOUND", f"{path} takes {known}, not {request.method}.")
    return ProtocolError(
        "ENDPOINT_NOT_FOUND",
        f"Slipway does not offer {request.method} {path}: it keeps the model registry, runs and artifacts of "
        "MLflow's protocol, but no traces, prompts, evaluations, webhooks or gateway. See docs/mlflow.md.",
    )


def _failure(error: Exception) -> HttpResponse:
    if isinstance(error, SuspiciousOperation) and not isinstance(error, RequestDataTooBig):
        error = ProtocolError("BAD_REQUEST", "The request was refused: check SLIPWAY_ALLOWED_HOSTS.")
    status, body = described(error)
    response = HttpResponse(_text(body), JSON, status)
    if status == 401:
        response["WWW-Authenticate"] = 'Basic realm="slipway"'
    return response


def _text(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:
        # Half a surrogate pair in a message that repeats what was sent.
        return json.dumps(document).encode()
