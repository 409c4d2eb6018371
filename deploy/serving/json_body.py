"""JSON request bodies."""

from __future__ import annotations

import json
from typing import Any

import orjson

from .errors import Malformed, Unprocessable

_DIGITS = 20  # of the largest UINT64; the least INT64 has as many characters


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in `body`; NaN and Infinity, which JSON does not have, come through as floats.

    Python clients write them by default, and the check of values then names the feature. An integer that no
    type could hold is a float, whichever parser meets it.

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
            document = json.loads(body.decode(), parse_int=_integer)
            if b"\\ud" in body.lower():
                json.dumps(document, ensure_ascii=False).encode()
            return document
        except UnicodeEncodeError:
            raise Malformed("the body is not JSON: it has half of a surrogate pair in a string") from None
        except (ValueError, RecursionError):
            pass
    raise Malformed(f"the body is not JSON: {reason.msg} (line {reason.lineno}, column {reason.colno})")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float(text)
