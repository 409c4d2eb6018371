"""The short way to the API: for requests that bring a token.

Sessions, CSRF tokens, messages and htmx are the business of browsers. Who sends `Authorization: Bearer` is
known by nothing else, so such a request goes from the rate limits straight to its view.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.urls.exceptions import Resolver404
from django.urls.resolvers import RegexPattern, URLResolver

PREFIX = "/api/v1/"
# An answer of the API is no page: nothing in it is to be run, shown or framed.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


class TokenDoor:
    """Stands behind the rate limits and before everything that is for browsers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.routes = URLResolver(
            RegexPattern(r"^/"),
            [path("api/v1/", include(f"{app}.api.urls")) for app in ("registry", "monitoring", "rollouts")],
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = request.META.get("HTTP_AUTHORIZATION", "")
        if not request.path_info.startswith(PREFIX) or sent[:7].lower() != "bearer ":
            return self.get_response(request)
        try:
            match = self.routes.resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        # Refuses a host that is not ours, as CommonMiddleware does.
        request.get_host()
        request.resolver_match = match
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        if not getattr(response, "is_rendered", True):
            response.render()  # type: ignore[attr-defined]
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if not response.streaming and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response
