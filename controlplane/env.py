"""Typed readers for settings that come from the environment.

Every reader accepts `NAME` or `NAME_FILE` (a path whose content is the value, for secrets mounted
as files) and fails with one sentence that names the variable, what it holds and what it should hold.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

# Every name that was asked for: what else begins with SLIPWAY_ may be a slip of the pen.
names: set[str] = set()
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable's value; `NAME_FILE` wins and its trailing newline is dropped."""
    names.add(name)
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name, default)
    try:
        return Path(path).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE points at {path}, which cannot be read: {error}") from error


def integer(name: str, default: int, *, least: int = 0) -> int:
    """A whole number of at least `least`."""
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number.") from None
    if number < least:
        raise ImproperlyConfigured(f"{name} is {number}; it must be at least {least}.")
    return number


def url(name: str, schemes: tuple[str, ...], default: str = "", *, local: bool = False) -> str:
    """An address with one of the schemes and a host, or empty; the message never shows the value.

    With `local` the host may be left out: a socket of this machine.
    """
    value = text(name, default)
    try:
        parts = urlsplit(value)
        whole = parts.scheme in schemes and bool(parts.hostname or local) and parts.port != 0
    except ValueError:
        whole = False
    if value and not whole:
        raise ImproperlyConfigured(f"{name} must be an address such as {schemes[0]}://host:port.")
    return value


def seconds(name: str, default: float) -> float:
    """A positive number of seconds."""
    value = text(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if number <= 0:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a number of seconds above zero.")
    return number


def flag(name: str, default: bool) -> bool:
    """A yes/no switch."""
    value = text(name, "1" if default else "0").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words; the first is the default."""
    value = text(name, allowed[0]).strip().lower()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; write {' or '.join(allowed)}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty items."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def pairs(name: str) -> dict[str, str]:
    """`key: value` pairs, one a line or separated by semicolons."""
    found: dict[str, str] = {}
    for item in text(name).replace("\n", ";").split(";"):
        if not item.strip():
            continue
        key, colon, value = item.partition(":")
        if not colon or not key.strip() or not value.strip():
            raise ImproperlyConfigured(f"{name} holds a part that is not `key: value`.")
        found[key.strip()] = value.strip()
    return found


def user_and_password(name: str) -> tuple[str, str] | None:
    """`user:password`, or None when unset; the message of an error never shows the value."""
    value = text(name)
    if not value:
        return None
    user, colon, password = value.partition(":")
    if not colon:
        raise ImproperlyConfigured(f"{name} must be user:password.")
    return user, password
