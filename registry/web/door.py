"""What every page starts with: signed in, allowed, the right method, never cached."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import require

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
View = Callable[Concatenate[HttpRequest, P], R]


def page(*methods: str, permission: Permission = Permission.VIEW) -> Callable[[View[P, R]], View[P, R]]:
    """A view for signed-in users who hold `permission`; answers GET and HEAD unless `methods` says more."""

    def decorate(view: View[P, R]) -> View[P, R]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            require(request.user, permission)
            return view(request, *args, **kwargs)

        allowed = require_http_methods(list(methods or ("GET", "HEAD")))
        wrapped: Any = never_cache(login_required(allowed(guarded)))
        return wrapped  # type: ignore[no-any-return]

    return decorate


def explain(form: Form, error: DomainError) -> None:
    """Show a domain error at the form's field it speaks of, or above the form."""
    field = (error.field or "").split(".")[0].split("[")[0]
    hint = f" {error.hint}" if error.hint else ""
    form.add_error(field if field in form.fields else None, f"{error.message}{hint}")
