"""What every view of this app starts with: signed in, allowed, the right method, never cached."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from registry.domain.roles import Permission
from registry.identity import require, require_anywhere
from registry.web.door import in_dialog

__all__ = ["in_dialog", "page"]

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(
    *methods: str, permission: Permission = Permission.VIEW, everywhere: bool = False
) -> Callable[[View[P]], View[P]]:
    """A view for signed-in users who hold `permission`; answers GET and HEAD unless `methods` says more.

    Held on anything, that is: the view asks `rollouts.reach` for what it is about.
    `everywhere` asks for it on everything.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            (require if everywhere else require_anywhere)(request.user, permission)
            return view(request, *args, **kwargs)

        allowed = require_http_methods(list(methods or ("GET", "HEAD")))
        wrapped: View[P] = never_cache(login_required(allowed(guarded)))
        return wrapped

    return decorate
