"""What the schema of the API says that no view says itself."""

from __future__ import annotations

from typing import Any

from controlplane.errors import PROBLEM

_TEXT = {"type": "string"}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457; the codes are in docs/api.md.",
    "properties": {
        "type": {**_TEXT, "description": "`urn:slipway:` and the code."},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What is wrong."},
        "code": {**_TEXT, "description": "Stable, for programs."},
        "field": {
            **_TEXT,
            "description": "Where it is wrong: the path in the body, a parameter or a header.",
        },
        "hint": {**_TEXT, "description": "How to mend it."},
        "errors": {"description": "Of several fields at once: the sentences by field."},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def with_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The schema with the one shape of every error, on every operation."""
    result["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    told = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            for status, response in responses.items():
                # 416 is of downloads, and has no body.
                if status >= "400" and status != "416":
                    response["content"] = told
            responses["default"] = {"description": "A problem.", "content": told}
    return result
