"""A column for secrets that Slipway itself must use: encrypted in the database, hidden in memory.

The key is derived from SECRET_KEY (and SECRET_KEY_FALLBACKS, so that it can be changed), so a copy of the
database alone reveals nothing.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from registry.errors import Conflict

if TYPE_CHECKING:
    _TextField = models.TextField["Sealed | str", "Sealed"]
else:
    _TextField = models.TextField


class Sealed:
    """An encrypted text. Printing it shows nothing; `open` gives the text."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, text: str) -> Sealed:
        """The text, encrypted."""
        return cls(_cipher().encrypt(text.encode()).decode())

    def open(self) -> str:
        """The text; Conflict when it was encrypted under a key that is gone."""
        try:
            return _cipher().decrypt(self.token.encode()).decode()
        except InvalidToken:
            raise Conflict(
                "A stored secret cannot be read any more: SLIPWAY_SECRET_KEY has changed.",
                hint="Enter the secret again.",
            ) from None

    def __repr__(self) -> str:
        return "(secret)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)


class SealedField(_TextField):
    """Holds a `Sealed`; a text that is assigned is encrypted when it is saved."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return value.token if isinstance(value, Sealed) else Sealed.of(str(value)).token


def _cipher() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_key(key)) for key in keys])


def _key(secret: str | bytes) -> bytes:
    raw = secret.encode() if isinstance(secret, str) else secret
    digest = hashlib.sha256(b"slipway sealed column\x00" + raw).digest()
    return base64.urlsafe_b64encode(digest)
