"""`Idempotency-Key` on POST: the first answer is given again instead of acting twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.rendering import to_json
from registry.services import idempotency

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text of up to 255 characters, new for every request; kept for a day.",
)
Post = Callable[..., Response]


def idempotent(post: Post) -> Post:
    """A POST handler that acts once per user and key; a request that failed may be sent again."""

    @wraps(post)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return post(view, request, *args, **kwargs)
        user: Any = request.user
        record = idempotency.claim(user=user, key=key, fingerprint=_fingerprint(request))
        if record.status is not None:
            return Response(record.answer, record.status, headers={"Idempotent-Replayed": "true"})
        try:
            response = post(view, request, *args, **kwargs)
        except BaseException:
            idempotency.failed(record)
            raise
        answer = json.loads(to_json(response.data))
        idempotency.answered(record, status=response.status_code, answer=answer)
        return response

    return once


def _fingerprint(request: Request) -> str:
    """SHA-256 over path and body, the files in it included."""
    data: Any = request.data
    body = (
        sorted((name, str([_plain(v) for v in values])) for name, values in data.lists())
        if (isinstance(data, QueryDict))
        else data
    )
    text = json.dumps([request.path, body], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    content = hashlib.sha256()
    for chunk in value.chunks():
        content.update(chunk)
    value.seek(0)
    return [value.name, content.hexdigest()]
