"""Which version a request goes to: hashes, buckets and cumulative shares. Pure functions."""

import random
from collections.abc import Iterable
from hashlib import blake2b

BUCKETS = 10_000
"""Shares are counted in hundredths of a per cent."""


def bucket_of(*parts: str) -> int:
    """A bucket in [0, 10000) that depends on `parts` only: the same on every machine, in every release."""
    digest = blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def random_bucket() -> int:
    """A uniformly random bucket in [0, 10000), for requests that carry no key."""
    return int(random.random() * BUCKETS)


def bounds(weights: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """(version, upper bound) in the order given; a version owns the buckets below its bound.

    Versions of weight 0 are left out. Because the first version always owns [0, weight), a key that
    reached it stays with it for as long as its weight grows.
    """
    found, total = [], 0
    for version, weight in weights:
        if weight:
            total += weight * BUCKETS // 100
            found.append((version, total))
    return tuple(found)


def owner(shares: tuple[tuple[str, int], ...], bucket: int) -> str:
    """The version that owns `bucket` among `bounds(...)` that reach up to 10000."""
    for version, upper in shares:
        if bucket < upper:
            return version
    raise ValueError(f"bucket {bucket} lies beyond the shares {shares}")
