"""What a namespace holds of ours: one list per kind, shared by all endpoints for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.adapters.kubernetes.api import Api, Kind, Manifest
from rollouts.adapters.kubernetes.manifests import ENDPOINT, GENERATION, SELECTOR
from rollouts.adapters.kubernetes.target import Target
from rollouts.errors import StaleWrite

# Ticks of many endpoints fall into one such moment, and ask the API server once.
FRESH_SECONDS = 0.5


@dataclass
class Namespace:
    """One namespace of one cluster."""

    api: Api
    name: str
    _lists: dict[str, tuple[float, list[Manifest]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self, kind: Kind, endpoint: str) -> list[Manifest]:
        """The endpoint's objects of a kind as of half a second ago at most."""
        with self._lock:
            at, found = self._lists.get(kind.kind, (0.0, []))
            if time.monotonic() - at > FRESH_SECONDS:
                found = self.api.list(kind, self.name, SELECTOR)
                self._lists[kind.kind] = (time.monotonic(), found)
        return [item for item in found if item["metadata"].get("labels", {}).get(ENDPOINT) == endpoint]

    def forget(self, kind: Kind) -> None:
        """After a write of ours the next reader asks anew."""
        with self._lock:
            self._lists.pop(kind.kind, None)


_namespaces: dict[tuple[str, str], Namespace] = {}
_making = threading.Lock()


def namespace_of(target: Target) -> Namespace:
    """The one shared by everything in this process that works in the target's namespace."""
    key = (target.context, target.namespace)
    with _making:
        if key not in _namespaces:
            _namespaces[key] = Namespace(Api(context=target.context), target.namespace)
        return _namespaces[key]


def generation_of(item: Mapping[str, Any]) -> int:
    """The decision that the object obeys; 0 for one that says nothing."""
    text = item["metadata"].get("annotations", {}).get(GENERATION, "0")
    return int(text) if text.isdecimal() else 0


def refuse_stale(items: Iterable[Mapping[str, Any]], generation: int) -> None:
    """Raises StaleWrite when any of the objects obeys a newer decision."""
    newest = max((generation_of(item) for item in items), default=0)
    if newest > generation:
        raise StaleWrite(f"Generation {newest} is in effect.")
