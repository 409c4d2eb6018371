"""Errors that a user can do something about, each with the status a door answers with.

Every app's own errors derive from these, so a door maps one base class and never guesses.
"""

from __future__ import annotations


class DomainError(Exception):
    """What went wrong, where (`field`, a dotted path) and how to mend it (`hint`)."""

    code = "error"
    status = 400

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        mend = f" {self.hint}" if self.hint else ""
        return f"{where}{self.message}{mend}"


class Invalid(DomainError):
    """The request itself is wrong: mend it and send it again."""

    code = "invalid"
    status = 400


class Forbidden(DomainError):
    """The actor may not do this."""

    code = "forbidden"
    status = 403


class NotFound(DomainError):
    """What was named does not exist."""

    code = "not_found"
    status = 404


class Conflict(DomainError):
    """The request is fine but the present state does not allow it."""

    code = "conflict"
    status = 409


class KeyBusy(Conflict):
    """The first request with this idempotency key has not been answered yet: ask again later."""

    code = "key_busy"


class KeyReused(Conflict):
    """This idempotency key stood for another request."""

    code = "key_reused"


class TooLarge(DomainError):
    """More bytes than the limit in force."""

    code = "too_large"
    status = 413


class PreconditionFailed(DomainError):
    """What was read before the change is no longer what is stored."""

    code = "precondition_failed"
    status = 412


class PreconditionRequired(DomainError):
    """The change must say which state it was meant for."""

    code = "precondition_required"
    status = 428


class RateLimited(DomainError):
    """More requests than the limit in force; `Retry-After` says when to go on."""

    code = "rate_limited"
    status = 429


class Unavailable(DomainError):
    """Something Slipway depends on did not answer; try again later."""

    code = "unavailable"
    status = 503
