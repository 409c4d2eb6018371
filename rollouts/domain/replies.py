"""What a webhook's HTTP answer means."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Meaning:
    """allowed: yes, no, or not decided. reason: in words. final: whether to ask no more."""

    allowed: bool | None
    reason: str
    final: bool


def meaning(status: int, body: bytes, *, asks: bool) -> Meaning:
    """The answer to a question, or the receipt of something told.

    Only 2xx with `{"allow": true}` says yes: a proxy's or a log-in page's 200 does not. 403, or 2xx with
    `{"allow": false}`, says no. Everything else is no answer and is asked again: also 202, or
    `"allow": null`, by which a receiver says that it is not done yet.
    """
    well = 200 <= status < 300
    if not asks:
        return Meaning(None, "" if well else f"It answered {_status(status)}.", final=well)
    document = _document(body)
    reason = str(document.get("reason") or "")[:REASON_LIMIT].replace("\x00", "")
    if status == HTTPStatus.FORBIDDEN:
        return Meaning(False, reason or "It answered 403 Forbidden.", final=True)
    said = document.get("allow") if well and status != HTTPStatus.ACCEPTED else None
    if isinstance(said, bool):
        return Meaning(said, reason, final=True)
    if well:
        return Meaning(None, reason or "It has not decided yet.", final=False)
    return Meaning(None, f"It answered {_status(status)}.", final=False)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
