"""Errors as the protocol says them: a code that clients know, a status, a message."""

from __future__ import annotations

import logging

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, DataError, OperationalError
from django.http.request import UnreadablePostError

from registry import errors

log = logging.getLogger("registry.mlflow")

STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "BAD_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
_CODES: dict[type[errors.DomainError], str] = {
    errors.Invalid: "INVALID_PARAMETER_VALUE",
    errors.Forbidden: "PERMISSION_DENIED",
    errors.NotFound: "RESOURCE_DOES_NOT_EXIST",
    errors.Conflict: "RESOURCE_CONFLICT",
    errors.TooLarge: "INVALID_PARAMETER_VALUE",
    errors.Unavailable: "TEMPORARILY_UNAVAILABLE",
}


class ProtocolError(Exception):
    """An error with one of the protocol's codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def already_exists(message: str) -> ProtocolError:
    """What makes `register_model` go on with a model that is there."""
    return ProtocolError("RESOURCE_ALREADY_EXISTS", message)


def described(error: Exception) -> tuple[int, dict[str, str]]:
    """Status and body for whatever a call raised. Only a fault of Slipway's own is a 500, and is logged."""
    code, message = _said(error)
    return STATUS[code], {"error_code": code, "message": message}


def _said(error: Exception) -> tuple[str, str]:
    if isinstance(error, ProtocolError):
        return error.code, error.message
    if isinstance(error, errors.DomainError):
        hint = f" {error.hint}" if error.hint else ""
        return _CODES.get(type(error), "INVALID_PARAMETER_VALUE"), f"{error.message}{hint}"
    if isinstance(error, RequestDataTooBig):
        return "INVALID_PARAMETER_VALUE", "The request's body is too large."
    if isinstance(error, UnreadablePostError):
        return "BAD_REQUEST", "The request's body ended too early."
    if isinstance(error, DataError):
        # Values are checked before; this is what a check overlooked, and a retry would not mend it.
        log.error("the database refused a value: %s", error)
        return "INVALID_PARAMETER_VALUE", "A value cannot be stored."
    if isinstance(error, OperationalError):
        log.error("the database did not answer: %s", error)
        return "TEMPORARILY_UNAVAILABLE", "The database did not answer; try again."
    log.error("a call of the MLflow protocol failed", exc_info=error)
    text = "the database refused a change" if isinstance(error, DatabaseError) else "see the server's log"
    return "INTERNAL_ERROR", f"Slipway failed: {text}."
