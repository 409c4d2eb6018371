"""One signed POST to a webhook, within the guard of outgoing connections."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from monitoring.adapters.outbound import guarded
from monitoring.errors import Unreachable

CONNECT_S, READ_S = 4.0, 8.0
# Reading an answer takes so long and so many bytes at most, however slowly they come.
TOTAL_S = 15.0
LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: status, the beginning of the body, `Retry-After` in seconds if it was given."""

    status: int
    body: bytes
    retry_after: float | None


def post(url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Sends it once; Unreachable says why nothing came back, without the address."""
    with guarded() as guard, requests.Session() as session:
        try:
            with session.post(
                url,
                data=body,
                headers={"content-type": "application/json", "user-agent": "slipway", **headers},
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return Reply(answer.status_code, _body(answer), _retry_after(answer))
        except (requests.RequestException, OSError, ValueError) as error:
            why = f"refused, {guard.refusals[-1]}" if guard.refusals else type(error).__name__
            raise Unreachable(f"It could not be reached: {why}.") from None


def _body(answer: requests.Response) -> bytes:
    stop, content = time.monotonic() + TOTAL_S, b""
    for part in answer.iter_content(4096):
        content += part
        if len(content) > LIMIT or time.monotonic() > stop:
            raise ValueError("too much or too slow")
    return content


def _retry_after(answer: requests.Response) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 7 else None
