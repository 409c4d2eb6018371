"""Names by MLflow's rules: wider than Slipway's own, so that a registry moves here unchanged."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from registry.errors import Invalid

MODEL_TAG_MAX = 5_000
VERSION_TAG_MAX = 100_000
# All tags of one record together, as JSON.
TAGS_MAX = 2_000_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ALIAS = re.compile(r"[\w\-]+")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)
_KEY = re.compile(r"[/\w.\- :]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def plain(value: Any, *, field: str, maximum: int) -> str:
    """Text that a database can keep, untrimmed: without NUL and lone surrogates, of bounded length."""
    if not isinstance(value, str):
        raise Invalid(f"It must be text, not {type(value).__name__}.", field=field)
    if "\x00" in value or _SURROGATE.search(value):
        raise Invalid("It holds NUL or half a surrogate pair, which cannot be stored.", field=field)
    if len(value) > maximum:
        raise Invalid(f"It has {len(value)} characters; at most {maximum} are kept.", field=field)
    return value


def model_name(value: Any, *, field: str = "name") -> str:
    """A model's name by MLflow's rule: up to 256 characters without `/`, `:` and control characters."""
    name = plain(value, field=field, maximum=256)
    if not name.strip():
        raise Invalid("Registered model name cannot be empty.", field=field)
    if "/" in name or ":" in name or name in {".", ".."} or _CONTROL.search(name):
        raise Invalid(
            f"Invalid name: {ascii(name[:80])}. Registered model name cannot contain '/', ':' or control "
            "characters, nor be '.' or '..'.",
            field=field,
        )
    return name


def alias_name(value: Any, *, field: str = "alias") -> str:
    """An alias by MLflow's rule: up to 255 word characters and `-`; not `latest` or `v<digits>`."""
    name = plain(value, field=field, maximum=255)
    if not _ALIAS.fullmatch(name):
        raise Invalid(
            f"Invalid alias name: {ascii(name[:80])}. Names may only contain letters, digits, "
            "underscores (_) and dashes (-).",
            field=field,
        )
    if _RESERVED_ALIAS.fullmatch(name):
        raise Invalid(f"{name!r} alias name is reserved.", field=field)
    return name


def key_name(value: Any, *, field: str = "key", what: str = "tag") -> str:
    """The name of a tag, parameter or metric: word characters, `/ _ - . :` and spaces, up to 250."""
    name = plain(value, field=field, maximum=250)
    if not _KEY.fullmatch(name):
        raise Invalid(
            f"Invalid value {ascii(name[:80])} for parameter {field!r} supplied: Names may only contain "
            "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
            field=field,
        )
    if posixpath.normpath(name) != name or name in {".", ".."} or name.startswith(("../", "/")):
        raise Invalid(
            f"Invalid value {ascii(name[:80])} for parameter {field!r} supplied: Names may be treated as "
            "files in certain cases, and must not resolve to other names when treated as such.",
            field=field,
        )
    return name


def tags_of(items: Iterable[tuple[Any, Any]], *, maximum: int, field: str = "tags") -> dict[str, str]:
    """Pairs as a dictionary, keys checked; the last of equal keys wins."""
    return {
        key_name(key, field=f"{field}[{i}].key"): plain(value, field=f"{field}[{i}].value", maximum=maximum)
        for i, (key, value) in enumerate(items)
    }


def check_total(tags: Mapping[str, str], *, field: str = "tags") -> None:
    """`Invalid` when a record's tags together are more than is kept."""
    if len(json.dumps(tags)) > TAGS_MAX:
        raise Invalid(f"All tags together may take {TAGS_MAX} bytes as JSON.", field=field)


def artifact_path(value: Any, *, field: str = "path") -> str:
    """A relative path below the artifact root in its normal form; "" is the root itself.

    Refuses `..`, absolute paths, backslashes and control characters, also when they were encoded twice.
    """
    path = plain(value, field=field, maximum=1000)
    shown = ascii(path[:80])
    if path.startswith("/") or "\\" in path or _CONTROL.search(path) or "%2e" in path.lower():
        raise Invalid(f"Invalid path: {shown}.", field=field)
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise Invalid(f"Invalid path: {shown}.", field=field)
    if any(len(part) > 255 for part in parts):
        raise Invalid("A part of the path has more than 255 characters.", field=field)
    normal = "/".join(parts)
    if len(normal.encode()) > 1000:
        raise Invalid("The path has more than 1000 bytes.", field=field)
    return normal
