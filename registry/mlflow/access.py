"""Who calls: a token as bearer, or as the password of basic authentication."""

from __future__ import annotations

import base64
import binascii

from django.contrib.auth.models import User
from django.http import HttpRequest

from registry import tokens
from registry.mlflow.errors import ProtocolError


def user_of(request: HttpRequest) -> User:
    """The user of the token that was sent, narrowed to its scopes; UNAUTHENTICATED for anything else."""
    found = tokens.authenticate(_secret(request.META.get("HTTP_AUTHORIZATION", "")))
    if found is None:
        raise ProtocolError(
            "UNAUTHENTICATED",
            "The token is missing, unknown, expired or revoked. Set MLFLOW_TRACKING_TOKEN to a token of "
            "Slipway's, or MLFLOW_TRACKING_PASSWORD to it with any MLFLOW_TRACKING_USERNAME.",
        )
    return found[0]


def _secret(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return ""
        return decoded.partition(":")[2]
    return ""
