"""A route: how the requests of one endpoint are divided. Parsed from `gateway/routes/<endpoint>.json`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.files import BadFile, parse_object, text_of
from deploy.gateway.buckets import BUCKETS, bounds, bucket_of, owner, random_bucket

ENDPOINT = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# RFC 9110 token: the name of a header, and of a cookie (RFC 6265).
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")


@dataclass(frozen=True)
class Split:
    """`weight` per cent of the requests go to `version`."""

    version: str
    weight: int


@dataclass(frozen=True)
class Mirror:
    """`percent` of the requests are copied to `version`, whose answers are thrown away."""

    version: str
    percent: float


@dataclass(frozen=True)
class Key:
    """A value that requests carry: in the header `name` (lower case), or in the cookie `name`."""

    by: str
    name: str

    def value(self, headers: Mapping[str, str]) -> str | None:
        """What this request carries; `headers` has its names in lower case."""
        if self.by == "header":
            return headers.get(self.name)
        return cookie(headers.get("cookie", ""), self.name)


@dataclass(frozen=True)
class Match:
    """Requests whose `key` equals `value` go to `version`, whatever the weights say."""

    key: Key
    value: str
    version: str

    def to_dict(self) -> dict[str, str]:
        """In the shape of the file."""
        return {self.key.by: self.key.name, "value": self.value, "version": self.version}


@dataclass(frozen=True)
class Route:
    """One endpoint's route, validated. `shares` is derived from `split`, once, at load."""

    endpoint: str
    model: str
    split: tuple[Split, ...]
    mirror: tuple[Mirror, ...]
    matches: tuple[Match, ...]
    sticky: Key | None
    shares: tuple[tuple[str, int], ...]

    @property
    def versions(self) -> frozenset[str]:
        """Every version that this route may send a request to."""
        named: tuple[Split | Mirror | Match, ...] = (*self.split, *self.mirror, *self.matches)
        return frozenset(item.version for item in named)

    def choose(self, headers: Mapping[str, str]) -> str:
        """The version that answers a request with these headers (names in lower case)."""
        for match in self.matches:
            if match.key.value(headers) == match.value:
                return match.version
        user = self.sticky.value(headers) if self.sticky else None
        bucket = bucket_of(self.endpoint, user) if user else random_bucket()
        return owner(self.shares, bucket)

    def mirrors(self, request_id: str, chosen: str) -> list[str]:
        """The versions that also get a copy of the request.

        Drawn by a hash of the request id, so that every mirror of one percentage sees the same requests;
        the version that answers the request needs no copy of it.
        """
        if not self.mirror:
            return []
        drawn = bucket_of("mirror", request_id)
        return [
            mirror.version
            for mirror in self.mirror
            if mirror.version != chosen and drawn < mirror.percent * BUCKETS / 100
        ]

    def to_dict(self) -> dict[str, Any]:
        """The route as `/-/routes` reports it, in the shape of the file."""
        return {
            "split": [{"version": item.version, "weight": item.weight} for item in self.split],
            "mirror": [{"version": item.version, "percent": item.percent} for item in self.mirror],
            "matches": [item.to_dict() for item in self.matches],
            "sticky": {self.sticky.by: self.sticky.name} if self.sticky else None,
        }


def parse_route(data: bytes, endpoint: str) -> Route:
    """The route in the file of `endpoint`. Raises BadFile with the path of the bad field."""
    document = parse_object(data)
    if not ENDPOINT.fullmatch(endpoint):
        raise BadFile(f"the file's name: {endpoint!r} is no endpoint name (a-z, 0-9 and - only)")
    if document.get("endpoint") != endpoint:
        raise BadFile(f"endpoint: must equal the file's name {endpoint!r}, not {document.get('endpoint')!r}")
    split = _parse_split(document)
    return Route(
        endpoint=endpoint,
        model=text_of(document, "model", "model"),
        split=split,
        mirror=tuple(_mirror(item, path) for item, path in _items(document, "mirror")),
        matches=tuple(_match(item, path) for item, path in _items(document, "matches")),
        sticky=_sticky(document.get("sticky")),
        shares=bounds((item.version, item.weight) for item in split),
    )


def _parse_split(document: dict[str, Any]) -> tuple[Split, ...]:
    split = tuple(_split(item, path) for item, path in _items(document, "split"))
    versions = [item.version for item in split]
    if len(set(versions)) != len(versions):
        raise BadFile("split: names a version twice")
    total = sum(item.weight for item in split)
    if total != 100:
        raise BadFile(f"split: weights sum to {total}, must be 100")
    return split


def _items(document: dict[str, Any], key: str) -> list[tuple[dict[str, Any], str]]:
    items = document.get(key) or []
    if not isinstance(items, list):
        raise BadFile(f"{key}: must be a list")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadFile(f"{key}[{index}]: must be an object")
    return [(item, f"{key}[{index}]") for index, item in enumerate(items)]


def _split(item: dict[str, Any], path: str) -> Split:
    weight = item.get("weight")
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= 100:
        raise BadFile(f"{path}.weight: must be a whole number from 0 to 100, not {weight!r}")
    return Split(_version(item, path), weight)


def _mirror(item: dict[str, Any], path: str) -> Mirror:
    percent = item.get("percent")
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
        raise BadFile(f"{path}.percent: must be a number from 0 to 100, not {percent!r}")
    return Mirror(_version(item, path), percent)


def _match(item: dict[str, Any], path: str) -> Match:
    return Match(_key(item, path), text_of(item, "value", f"{path}.value"), _version(item, path))


def _sticky(item: object) -> Key | None:
    if item is None:
        return None
    if not isinstance(item, dict):
        raise BadFile('sticky: must be null or an object such as {"header": "x-slipway-key"}')
    return _key(item, "sticky")


def _key(item: dict[str, Any], path: str) -> Key:
    if "cookie" in item and "header" in item:
        raise BadFile(f"{path}: names both a header and a cookie")
    by = "cookie" if "cookie" in item else "header"
    name = text_of(item, by, f"{path}.{by}")
    if not TOKEN.fullmatch(name):
        raise BadFile(f"{path}.{by}: {name!r} is no name of a {by}")
    # Header names have no case, names of cookies do.
    return Key(by, name.lower() if by == "header" else name)


def cookie(header: str, name: str) -> str | None:
    """The value of the cookie `name` in a Cookie header (RFC 6265 section 4.2.1); of two, the first."""
    for pair in header.split(";"):
        found, equals, value = pair.strip().partition("=")
        if equals and found == name:
            return value.strip('"')
    return None


def _version(item: dict[str, Any], path: str) -> str:
    version = text_of(item, "version", f"{path}.version")
    if not VERSION.fullmatch(version):
        raise BadFile(f'{path}.version: {version!r} is no version, such as "3"')
    return version
