"""What every page starts with: signed in, allowed, the right method, never cached."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from registry import queries
from registry.domain.roles import Permission
from registry.errors import DomainError
from registry.identity import require, require_anywhere
from registry.models import Model

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
_MODEL = "_slipway_model"
View = Callable[Concatenate[HttpRequest, P], R]


def page(
    *methods: str, permission: Permission = Permission.VIEW, everywhere: bool = False
) -> Callable[[View[P, R]], View[P, R]]:
    """A view for signed-in users who hold `permission`; answers GET and HEAD unless `methods` says more.

    On a route with `<name>` the permission is asked on that model, which the view finds with `model_of`;
    `everywhere` asks for it on everything; without either the page lists what its user may see.
    """

    def decorate(view: View[P, R]) -> View[P, R]:
        positions = [n for n in signature(view).parameters if n != "request"]
        at = positions.index("name") if "name" in positions else None

        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            name: Any = kwargs.get("name", args[at] if at is not None and at < len(args) else None)
            if everywhere:
                require(request.user, permission)
            elif name is not None:
                require_anywhere(request.user, Permission.VIEW)
                model = queries.model_by_name(name)
                require(request.user, permission, model)
                setattr(request, _MODEL, model)
            else:
                require_anywhere(request.user, permission)
            return view(request, *args, **kwargs)

        allowed = require_http_methods(list(methods or ("GET", "HEAD")))
        wrapped: Any = never_cache(login_required(allowed(guarded)))
        return wrapped  # type: ignore[no-any-return]

    return decorate


def model_of(request: HttpRequest) -> Model:
    """The model that the route is about, as `page` found it."""
    model: Model = getattr(request, _MODEL)
    return model


def in_dialog(request: HttpRequest) -> bool:
    """Whether htmx asks for a fragment to show in the page's dialog."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and htmx.target == "dialog"


def explain(form: Form, error: DomainError) -> None:
    """Show a domain error at the form's field it speaks of, or above the form."""
    field = (error.field or "").split(".")[0].split("[")[0]
    hint = f" {error.hint}" if error.hint else ""
    form.add_error(field if field in form.fields else None, f"{error.message}{hint}")
