"""API keys from a mounted file, each with its own rate limit.

The file is JSON: `{"keys": [{"name": "shop", "sha256": "<hex of the key>", "rate": 100, "burst": 200}]}`.
`rate` is requests per second (absent: unlimited), `burst` how many may come at once (absent: one second's
worth); `"admin": true` lets a key load and unload models. It is read again when it changes; a broken new
file leaves the old keys in force.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from .errors import LoadError, RateLimited, Unauthorized

CHECK_SECONDS = 1.0

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Key:
    """One client and its token bucket: `burst` tokens at most, `rate` new ones per second."""

    __slots__ = ("name", "rate", "burst", "admin", "_tokens", "_at")

    def __init__(self, name: str, rate: float, burst: float, admin: bool = False) -> None:
        self.name = name
        self.rate = rate
        self.burst = burst
        self.admin = admin
        self._tokens = burst
        self._at = 0.0

    def spend(self, now: float) -> None:
        """Take one token at `now` (seconds, any steady clock); raise RateLimited if there is none."""
        if self.rate == math.inf:
            return
        tokens = min(self.burst, self._tokens + (now - self._at) * self.rate) if self._at else self.burst
        self._at = now
        if tokens < 1:
            self._tokens = tokens
            wait = max(1, math.ceil((1 - tokens) / self.rate))
            raise RateLimited(f"more than {self.rate:g} requests per second for this key", retry_after=wait)
        self._tokens = tokens - 1


class ApiKeys:
    """Who may ask for predictions."""

    def __init__(self, path: Path) -> None:
        """Raises LoadError when the file cannot be read or is not what it should be."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = read_keys(path)
        self._checked = monotonic()

    def admit(self, headers: Mapping[bytes, bytes]) -> Key:
        """The key that is in `Authorization: Bearer …` or `X-API-Key`.

        Raises:
            Unauthorized: no key, or an unknown one; RateLimited: too many requests with it.
        """
        now = monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            self._reload()
        secret = _secret(headers)
        if secret is None:
            raise Unauthorized("an API key is needed: send it as Authorization: Bearer <key>, or X-API-Key")
        # Keys are found by their hash: comparing takes the same time however much of a guess is right.
        key = self._keys.get(hashlib.sha256(secret).hexdigest())
        if key is None:
            raise Unauthorized("this API key is not known")
        key.spend(now)
        return key

    def _reload(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            fresh = read_keys(self._path)
        except LoadError as error:
            print(f"slipway-serving: the old API keys stay: {error}", file=sys.stderr, flush=True)
            return
        for digest, key in fresh.items():
            old = self._keys.get(digest)
            if old is not None and (old.rate, old.burst) == (key.rate, key.burst):
                old.admin = key.admin
                fresh[digest] = old
        self._keys = fresh


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)


def _secret(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token:
        return token.strip()
    return headers.get(b"x-api-key")


def read_keys(path: Path) -> dict[str, Key]:
    """Keys by the SHA-256 of their secret.

    Raises:
        LoadError: with the path of the first entry that is wrong.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise LoadError(f"cannot read the API keys {path}: {error.strerror}") from error
    except ValueError as error:
        raise LoadError(f"the API keys {path} are not JSON: {error}") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise LoadError(f"the API keys {path} must be an object with a list of keys")
    return dict(_entry(entry, f"keys[{index}]") for index, entry in enumerate(entries))


def _entry(entry: Any, path: str) -> tuple[str, Key]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise LoadError(f"API keys: {path} needs a name")
    digest = entry.get("sha256")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise LoadError(f"API keys: {path}.sha256 must be 64 lower-case hex digits, the hash of the key")
    rate = _number(entry, "rate", math.inf, path)
    burst = _number(entry, "burst", max(1.0, rate), path)
    admin = entry.get("admin", False)
    if type(admin) is not bool:
        raise LoadError(f"API keys: {path}.admin must be true or false")
    return digest, Key(entry["name"], rate, max(1.0, burst), admin)


def _number(entry: Mapping[str, Any], name: str, default: float, path: str) -> float:
    value = entry.get(name)
    if value is None:
        return default
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise LoadError(f"API keys: {path}.{name} must be a number above 0")
    return float(value)
