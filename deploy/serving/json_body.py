"""JSON request bodies."""

from __future__ import annotations

import json
from typing import Any

import orjson

from .errors import Malformed, Unprocessable


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in `body`; NaN and Infinity, which JSON does not have, come through as floats.

    Python clients write them by default, and the check of values then names the feature.

    Raises:
        Malformed: not JSON; Unprocessable: JSON, but not an object.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body:
            raise Malformed("the body is empty, expected JSON") from None
        document = _parse_with_nan(body, error)
    if type(document) is not dict:
        raise Unprocessable("the body must be a JSON object")
    return document


def _parse_with_nan(body: bytes, reason: orjson.JSONDecodeError) -> Any:
    if b"NaN" in body or b"Infinity" in body or "infinity" in reason.msg:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass
    raise Malformed(f"the body is not JSON: {reason.msg} (line {reason.lineno}, column {reason.colno})")
