"""What every view of the API does before its own work: who may, and how the body and the page are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry import lookups, transfer
from registry.api.rendering import etag_of_bytes
from registry.domain.actor import Actor
from registry.domain.roles import Permission
from registry.domain.text import clean_line, clean_text, whole_number
from registry.errors import Invalid
from registry.identity import actor_for, require, require_anywhere
from registry.models import Model, Version
from registry.queries import MAX_PAGE, PAGE, Page, model_named, no_version

T = TypeVar("T")
V = TypeVar("V")


class RegistryView(APIView):
    """Asks for the permission that `permissions` names for the method, VIEW when it names none.

    A route with `<name>` is about that model: the permission is asked on it, and the view finds it in
    `self.model`. A view without one whose deeds are on everything says `everywhere = True`; any other is a
    list that shows what the caller may see.
    """

    permissions: ClassVar[Mapping[str, Permission]] = {}
    everywhere: ClassVar[bool] = False
    # Whether it is one resource, whose answers carry an ETag.
    tagged: ClassVar[bool] = False
    # For GET: finds the route's model and the document of the answer in one query, or None; the permission
    # is asked all the same before anything is answered.
    at_once: ClassVar[Callable[..., tuple[Model, Any] | None] | None] = None
    # Whether it is about a version, so that a change finds it together with its model.
    of_version: ClassVar[bool] = False
    model: Model
    document: Any = None
    _version: Version | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = request.method or ""
        if method not in {"GET", "HEAD", "OPTIONS"} and method not in self.permissions:
            return
        needed = self.permissions.get(method, Permission.VIEW)
        if self.everywhere:
            require(request.user, needed)
        elif "name" not in kwargs:
            require_anywhere(request.user, needed)
        else:
            require_anywhere(request.user, Permission.VIEW)
            find = type(self).at_once if method == "GET" else None
            found = find(**kwargs) if find else None
            if self.of_version and method != "GET":
                self._version = lookups.version_named(kwargs["name"], kwargs["number"])
            if found:
                self.model, self.document = found
            else:
                self.model = self._version.model if self._version else model_named(kwargs["name"])
            require(request.user, needed, self.model)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.tagged and isinstance(response, Response) and response.status_code == 200:
            response.render()
            tag = response["ETag"] = etag_of_bytes(response.content)
            if request.method == "GET" and transfer.has_current(request._request, tag):
                response.status_code, response.content = 304, b""
        return response

    def version(self, number: int) -> Version:
        """The live version that a change of an `of_version` route is about, or `NotFound`."""
        if self._version is None:
            raise no_version(self.model, number)
        return self._version

    @property
    def actor(self) -> Actor:
        """The author of what this request changes."""
        return actor_for(self.request)


def body_of(request: Request, *known: str) -> dict[str, Any]:
    """The JSON object of the request; `Invalid` for anything else and for fields that are not known."""
    data = request.data
    if not isinstance(data, Mapping):
        raise Invalid("The body must be a JSON object.")
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise Invalid(
            "This field is not known.", field=str(unknown[0])[:80], hint=f"Known: {', '.join(known)}."
        )
    return dict(data)


def reason_of(body: Mapping[str, Any]) -> str:
    """`reason`: why, for the audit trail."""
    return clean_text(body.get("reason"), field="reason", maximum=2000)


def limit_of(request: Request, default: int = PAGE, maximum: int = MAX_PAGE) -> int:
    """`?limit=`, between 1 and `maximum`."""
    return max(1, min(number_of(request, "limit") or default, maximum))


def number_of(request: Request, name: str) -> int | None:
    """A whole number from the query string, None when absent."""
    return whole_number(request.query_params.get(name), field=name)


def text_of(request: Request, name: str, default: str = "") -> str:
    """A line of text from the query string; `Invalid` when it holds control characters."""
    return clean_line(request.query_params.get(name, default), field=name, maximum=2000)


def listed(items: Any, following: Any = None) -> Response:
    """A list as the API answers it: whole, or with where to go on."""
    return Response({"items": items, "next": following})


def following(rows: Sequence[T], limit: int, key: Callable[[T], V]) -> V | None:
    """Where to go on after a page that is full; None after one that is not."""
    return key(rows[-1]) if rows and len(rows) == limit else None


def paged(page: Page[Any], items: Sequence[dict[str, Any]]) -> Response:
    """A list as the API answers it: pass `next` as `after` to go on."""
    return listed(items, page.next)
