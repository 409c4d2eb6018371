"""`If-Match` on changes: nothing is changed that the client has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from registry.api.rendering import etag_of
from registry.errors import NotFound, PreconditionFailed, PreconditionRequired
from registry.models import Model

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of what was read; 412 when it has changed since.",
)


@contextmanager
def unchanged(request: Request, model: Model, document: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Runs the body while `document` is what the client's `If-Match` names; under the model's lock, so that
    nobody changes it in between. Without the header it runs as it is, or is refused where
    `SLIPWAY_REQUIRE_IF_MATCH` is set.

    Raises: PreconditionFailed, PreconditionRequired.
    """
    wanted = request.META.get("HTTP_IF_MATCH")
    if wanted is None:
        if settings.SLIPWAY_REQUIRE_IF_MATCH:
            raise PreconditionRequired(
                "This change needs an If-Match header.", hint="Send the ETag of the answer you read."
            )
        yield
        return
    with transaction.atomic():
        Model.objects.select_for_update(no_key=True).filter(pk=model.pk).first()
        try:
            now = etag_of(document())
        except NotFound:
            raise PreconditionFailed("It does not exist, so it has no ETag.", field="If-Match") from None
        tags = {tag.strip() for tag in wanted.split(",")}
        if "*" not in tags and now not in tags:
            raise PreconditionFailed(
                "It has changed since you read it.", field="If-Match", hint="Read it again and decide anew."
            )
        yield
