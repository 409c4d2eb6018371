"""What the server answers when it cannot predict, each with its HTTP status and metric label."""

from __future__ import annotations

MOST_CHARACTERS = 1000
"""Of a message: clients of gRPC lose a status whose text is longer than what headers may be."""


class ServingError(Exception):
    """A failure with a message for the caller; `field` is the path of the offending value."""

    status = 500
    outcome = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        text = f"{self.field}: {self.message}" if self.field else self.message
        return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


class Malformed(ServingError):
    """The request cannot be parsed: not JSON, lengths that disagree, unknown encoding."""

    status = 400
    outcome = "rejected"


class HeadTooLate(ServingError):
    """The headers did not arrive in time."""

    status = 408
    outcome = "rejected"


class HeadTooLarge(ServingError):
    """More bytes of headers than a request may have."""

    status = 431
    outcome = "rejected"


class Unauthorized(ServingError):
    """No API key, or one that is not known."""

    status = 401
    outcome = "rejected"


class NotFound(ServingError):
    """No such path, model or version."""

    status = 404
    outcome = "rejected"


class MethodNotAllowed(ServingError):
    """The path exists, but only for the method `allowed`."""

    status = 405
    outcome = "rejected"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class Forbidden(ServingError):
    """Known, but not allowed to do this."""

    status = 403
    outcome = "rejected"


class Conflict(ServingError):
    """It cannot be done as things are: a model that does not load."""

    status = 409
    outcome = "rejected"


class TooLarge(ServingError):
    """More bytes or rows than the limits in force."""

    status = 413
    outcome = "rejected"


class UnsupportedEncoding(ServingError):
    """A content encoding this server cannot decode."""

    status = 415
    outcome = "rejected"


class Unprocessable(ServingError):
    """Well-formed, but it does not fit the model's signature."""

    status = 422
    outcome = "rejected"


class RateLimited(ServingError):
    """This key has used its share; `retry_after` is in seconds."""

    status = 429
    outcome = "rejected"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelFailed(ServingError):
    """The runtime raised while computing this request."""

    status = 500
    outcome = "error"


class Overloaded(ServingError):
    """The queue is full, or the model is not ready; try again after `retry_after` seconds."""

    status = 503
    outcome = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(Overloaded):
    """More requests wait than may."""


class DeadlineExceeded(ServingError):
    """The request's deadline passed before the model answered."""

    status = 504
    outcome = "timeout"


class LoadError(Exception):
    """The model can never load as it is: a wrong digest, a broken file, a bad histogram document."""


class DigestMismatch(LoadError):
    """The bytes are not those the digest names."""
