"""Signatures of webhooks, as the Standard Webhooks specification (1.0) has them.

The signature covers the id of the delivery, the time and the body, so none of them can be changed, and a
request that is sent again later is told by its time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

PREFIX = "whsec_"


def new_secret() -> str:
    """A fresh secret of 256 bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(secret: str, *, delivery: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a request: id, Unix time in seconds, `v1,` and the HMAC-SHA256 in base64."""
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{delivery}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
