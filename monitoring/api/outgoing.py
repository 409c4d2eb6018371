"""What the REST doors of notices and of hooks have in common: switching a receiver, and trying it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response


class SwitchIn(serializers.Serializer[Any]):
    """Why a receiver is switched."""

    reason = serializers.CharField(max_length=1000, default="", allow_blank=True)


class SentOut(serializers.Serializer[Any]):
    """Whether it arrived, and if not, why."""

    sent = serializers.BooleanField()
    error = serializers.CharField()


def sent(error: str) -> Response:
    """The answer to a trial; `error` is empty when it arrived."""
    return Response({"sent": not error, "error": error})
