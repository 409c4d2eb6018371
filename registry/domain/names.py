"""Names and numbers people choose: models, aliases, semantic-version labels, digests, metrics."""

from __future__ import annotations

import re
from typing import Any

from registry.domain.text import clean_line
from registry.errors import Invalid

# The alias that marks the version a model's other versions are compared with.
CHAMPION = "champion"

_MODEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_RESERVED_ALIAS = re.compile(r"latest|v?[0-9]+", re.IGNORECASE)
_METRIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ -]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GIT_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
# Grammar of https://semver.org/spec/v2.0.0.html, with an optional leading "v".
_CORE = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_LABEL = re.compile(rf"v?{_CORE}(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")


def team_name(value: Any, default: str = "", *, field: str = "owner_team") -> str:
    """A team's name, `default` when none was given."""
    return default if value is None else clean_line(value, field=field, maximum=128)


def model_name(value: Any, *, field: str = "name") -> str:
    """A model's name: 1 to 128 ASCII letters, digits, `.`, `_`, `-`.

    It begins and ends with a letter or digit. Such a name is safe in URLs, file names and metric labels
    without quoting.
    """
    return _named(value, field, "a model")


def account_name(value: Any, *, field: str = "name") -> str:
    """A service account's name, by the rules of a model's."""
    return _named(value, field, "an account")


def _named(value: Any, field: str, what: str) -> str:
    name = _required(value, field, what)
    if _MODEL.fullmatch(name):
        return name
    hint = "Use 1 to 128 letters, digits, '.', '_' or '-'; begin and end with a letter or digit."
    raise Invalid(f"{_shown(name)} cannot name {what}{_offence(name)}.", field=field, hint=hint)


def alias_name(value: Any, *, field: str = "alias") -> str:
    """An alias: 1 to 128 ASCII letters, digits, `.`, `_`, `-`; `latest` and bare numbers are reserved."""
    name = _required(value, field, "an alias")
    if _RESERVED_ALIAS.fullmatch(name):
        raise Invalid(
            f"{_shown(name)} is reserved.", field=field, hint="Numbers and 'latest' already mean a version."
        )
    if _ALIAS.fullmatch(name):
        return name
    hint = "Use 1 to 128 letters, digits, '.', '_' or '-'."
    raise Invalid(f"{_shown(name)} cannot be an alias{_offence(name)}.", field=field, hint=hint)


def metric_name(value: Any, *, field: str = "metrics") -> str:
    """A metric's name, such as `rmse` or `val/auc`."""
    name = _required(value, field, "a metric")
    if _METRIC.fullmatch(name):
        return name
    hint = "Use 1 to 128 letters, digits, '_', '.', '/', '-' or spaces; begin with a letter, digit or '_'."
    raise Invalid(f"{_shown(name)} cannot name a metric{_offence(name)}.", field=field, hint=hint)


def version_label(value: Any, *, field: str = "label") -> str:
    """A semantic version such as `1.4.0` or `2.0.0-rc.1`, or nothing."""
    label = clean_line(value, field=field, maximum=64)
    if not label or _LABEL.fullmatch(label):
        return label
    raise Invalid(
        f"{_shown(label)} is not a semantic version.", field=field, hint="Write it as 1.4.0 or 2.0.0-rc.1."
    )


def digest(value: Any, *, field: str = "digest") -> str:
    """A content digest, `sha256:` and 64 lower-case hexadecimal digits."""
    text = clean_line(value, field=field, maximum=71, required=True)
    if _DIGEST.fullmatch(text):
        return text
    raise Invalid(
        f"{_shown(text)} is not a SHA-256 digest.", field=field, hint="Write sha256:<64 hex digits>."
    )


def git_sha(value: Any, *, field: str = "git_sha") -> str:
    """A commit's full or short hash in lower case, or nothing."""
    text = clean_line(value, field=field, maximum=64)
    if not text or _GIT_SHA.fullmatch(text):
        return text.lower()
    raise Invalid(
        f"{_shown(text)} is not a commit hash.", field=field, hint="Write 7 to 64 hexadecimal digits."
    )


def version_number(value: Any, *, field: str = "version") -> int:
    """A version's number: a whole number from 1, also when written as text."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if text.isascii() and text.isdigit() and 1 <= len(text) <= 9 and int(text) >= 1:
        return int(text)
    raise Invalid(f"{_shown(str(value))} is not a version number.", field=field, hint="Write 1, 2, 3…")


def _required(value: Any, field: str, what: str) -> str:
    if isinstance(value, str) and value:
        return value
    if value is None or value == "":
        raise Invalid(f"The name of {what} is missing.", field=field)
    raise Invalid(f"The name of {what} must be text, not {type(value).__name__}.", field=field)


def _offence(name: str) -> str:
    if len(name) > 128:
        return f": it has {len(name)} characters"
    odd = [c for c in name if not (c.isascii() and (c.isalnum() or c in "._-"))]
    return f": it holds {ascii(odd[0])}" if odd else ""


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 40 else f"{name[:40]}…")
