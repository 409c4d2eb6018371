"""What a namespace holds of ours: one list per kind, shared by all endpoints for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.adapters.kubernetes.api import MANAGER, Api, Conflicted, Kind, Manifest, TooNew
from rollouts.adapters.kubernetes.manifests import APPLIED, ENDPOINT, GENERATION, OWNED, SELECTOR
from rollouts.adapters.kubernetes.target import Target, Targets
from rollouts.errors import StaleWrite, WorldUnavailable

# Ticks of many endpoints fall into one such moment, and ask the API server once.
FRESH_SECONDS = 0.5


@dataclass
class Namespace:
    """One namespace of one cluster."""

    api: Api
    name: str
    _lists: dict[str, tuple[float, list[Manifest]]] = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self, kind: Kind, endpoint: str) -> list[Manifest]:
        """The endpoint's objects of a kind as of half a second ago at most."""
        with self._lock:
            at, found = self._lists.get(kind.kind, (0.0, []))
            if time.monotonic() - at > FRESH_SECONDS:
                found = self._list(kind)
                self._lists[kind.kind] = (time.monotonic(), found)
        return [item for item in found if item["metadata"].get("labels", {}).get(ENDPOINT) == endpoint]

    def write(self, kind: Kind, manifest: Manifest, present: Manifest | None) -> Manifest:
        """Applies it over what was read, or creates it; the next reader sees this or something newer.

        Raises WorldUnavailable when somebody else changed or created it meanwhile: the next tick looks again.
        """
        name = manifest["metadata"]["name"]
        try:
            written = self._over(kind, manifest, present) if present else self._new(kind, manifest)
            self._written[kind.kind] = written["metadata"]["resourceVersion"]
            return written
        except Conflicted as error:
            raise WorldUnavailable(
                f"{kind.kind} {name} was changed meanwhile; the next tick looks again."
            ) from error
        finally:
            self.forget(kind)

    def _over(self, kind: Kind, manifest: Manifest, present: Manifest) -> Manifest:
        try:
            return self._fenced(kind, manifest, present)
        except Conflicted as conflict:
            return self._fenced(kind, manifest, self._as_read(kind, present, conflict))

    def _as_read(self, kind: Kind, present: Manifest, conflict: Conflicted) -> Manifest:
        """The object as it is now when only its controller has written its status; else the conflict."""
        try:
            now = self.api.get(kind, self.name, present["metadata"]["name"])
        except WorldUnavailable:
            raise conflict from None
        if now is None or _said(now) != _said(present):
            raise conflict
        return now

    def _fenced(self, kind: Kind, manifest: Manifest, present: Manifest) -> Manifest:
        present = self.api.adopt(kind, self.name, present)
        version = {"resourceVersion": present["metadata"]["resourceVersion"]}
        fenced = {**manifest, "metadata": {**manifest["metadata"], **version}}
        return self.api.apply(fenced, namespace=self.name)

    def _new(self, kind: Kind, manifest: Manifest) -> Manifest:
        made = self.api.create(manifest, namespace=self.name)
        try:
            return self.api.adopt(kind, self.name, made)
        except Conflicted:
            # Its controller was faster; the next write of ours does it.
            return made

    def present(self, kind: Kind, endpoint: str, name: str) -> Manifest | None:
        """One object as listed, or as asked for by name when the list, a moment old perhaps, has none."""
        listed = (item for item in self.all(kind, endpoint) if item["metadata"]["name"] == name)
        if (found := next(listed, None) or self.api.get(kind, self.name, name)) is None:
            return None
        if not OWNED.items() <= found["metadata"].get("labels", {}).items():
            raise WorldUnavailable(
                f"{kind.kind} {self.name}/{name} is somebody else's: rename it, or label it as Slipway's."
            )
        return found

    def forget(self, kind: Kind) -> None:
        """After a write of ours the next reader asks anew."""
        with self._lock:
            self._lists.pop(kind.kind, None)

    def _list(self, kind: Kind) -> list[Manifest]:
        try:
            return self.api.list(kind, self.name, SELECTOR, since=self._written.get(kind.kind, "0"))
        except TooNew:
            self._written.pop(kind.kind, None)
            raise


def _said(item: Manifest) -> tuple[Any, ...]:
    """What changes when somebody changes the object, and not when its controller writes the status."""
    metadata = item["metadata"]
    ours = {name: metadata.get("annotations", {}).get(name) for name in (GENERATION, APPLIED)}
    return (*(metadata.get(name) for name in ("uid", "generation", "labels")), ours)


class Homes:
    """In which target each endpoint's objects of a kind live; after a restart found by looking everywhere."""

    def __init__(
        self, kind_of: Callable[[Target], Kind], where: Targets, find: Callable[[Target], Namespace]
    ) -> None:
        self._kind_of, self._where, self._find = kind_of, where, find
        self._known: dict[str, Target] = {}

    def settle(self, endpoint: str, target: Target) -> Namespace:
        """From now on they live there."""
        self._known[endpoint] = target
        return self._find(target)

    def of(self, endpoint: str) -> Namespace | None:
        """Where they are; None when there are none. Raises WorldUnavailable when that cannot be told."""
        target = self.target_of(endpoint)
        return self._find(target) if target else None

    def target_of(self, endpoint: str) -> Target | None:
        """The same as the target that has them."""
        if endpoint in self._known:
            return self._known[endpoint]
        trouble: WorldUnavailable | None = None
        for target in self._where.places:
            try:
                found = self._find(target).all(self._kind_of(target), endpoint)
                # What a controller made of another object of ours has its labels too.
                if any(not item["metadata"].get("ownerReferences") for item in found):
                    self.settle(endpoint, target)
                    return target
            except WorldUnavailable as error:
                trouble = error
        if trouble is not None:
            # Not found where we could look is not the same as not there.
            raise trouble
        return None


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


def alone_in_charge_of_replicas(item: Mapping[str, Any]) -> bool:
    """Whether the number of replicas is ours alone, so that it would be lost if we no longer applied it."""
    owners = [
        entry.get("manager")
        for entry in item["metadata"].get("managedFields", [])
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    ]
    return owners == [MANAGER]


def editor_of(item: Mapping[str, Any], field_name: str) -> str:
    """Who but us wrote that field of the spec last; empty when it is ours, or nobody keeps a record."""
    others = [
        entry
        for entry in item["metadata"].get("managedFields", [])
        if entry.get("manager") != MANAGER
        and f"f:{field_name}" in entry.get("fieldsV1", {}).get("f:spec", {})
    ]
    newest: Mapping[str, Any] = max(others, key=lambda entry: str(entry.get("time", "")), default={})
    return str(newest.get("manager", ""))
