"""Model servers: applied server-side, read from shared lists, removed when not wanted."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Self

from rollouts.adapters.kubernetes.api import KINDS, POD, Kind, Manifest
from rollouts.adapters.kubernetes.companions import companions, optional
from rollouts.adapters.kubernetes.manifests import APPLIED, BESIDE, GENERATION, VERSION, fingerprint, name_of
from rollouts.adapters.kubernetes.preflight import Capacity
from rollouts.adapters.kubernetes.seen import (
    Homes,
    Namespace,
    namespace_of,
    refuse_stale,
)
from rollouts.adapters.kubernetes.target import Target, Targets, configured, targets
from rollouts.adapters.kubernetes.workloads import by_version, kind_of, workload_of
from rollouts.domain.desired import DesiredWorld, ReleaseSpec
from rollouts.domain.room import Room
from rollouts.domain.serves import Serves
from rollouts.domain.snapshot import WorkloadStatus
from rollouts.errors import WorldUnavailable

log = logging.getLogger(__name__)
# What stands beside a Deployment is asserted again after so long, in case somebody changed it by hand.
ASSERT_SECONDS = 60.0


class KubernetesCluster:
    """The port `Cluster` on any number of clusters and namespaces."""

    def __init__(
        self, where: Targets | None = None, find: Callable[[Target], Namespace] = namespace_of
    ) -> None:
        self._targets = where or targets()
        self._find = find
        self._asserted: dict[tuple[str, str], tuple[str, float]] = {}
        self._homes = Homes(kind_of, self._targets, find)
        self._capacities: dict[str, Capacity] = {}
        self._held: dict[str, dict[str, WorkloadStatus]] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """For a target of SLIPWAY_TARGETS_FILE: `options` are the fields of `Target`."""
        return cls(configured(options))

    @staticmethod
    def serves(options: Mapping[str, Any], environment: str) -> Serves:
        """What servers of the environment can run; ImproperlyConfigured when the files are wrong."""
        return (configured(options) if options else targets()).of(environment).serves

    def apply(self, world: DesiredWorld, artifacts: Mapping[str, str]) -> None:
        target = self._targets.of(world.environment)
        namespace = self._homes.settle(world.endpoint, target)
        kind = kind_of(target)
        present = by_version(namespace, kind, world.endpoint)
        refuse_stale(present.values(), world.generation)
        for release in world.releases:
            name = name_of(world.endpoint, release.version)
            item = present.get(release.version) or namespace.present(kind, world.endpoint, name)
            refuse_stale([item] if item else [], world.generation)
            if self._is_refused(target, world, release):
                continue
            if item is None and self._is_held(target, world, release):
                continue
            self._assert(namespace, target, world, release, artifacts[release.digest], item)
        wanted = {release.version for release in world.releases}
        for version, item in present.items():
            if version not in wanted:
                _remove(namespace, kind, item)

    def observe(self, endpoint: str) -> Mapping[str, WorkloadStatus]:
        target = self._homes.target_of(endpoint)
        if target is None:
            return dict(self._held.get(endpoint, {}))
        namespace = self._find(target)
        pods: dict[str, list[Manifest]] = defaultdict(list)
        for pod in namespace.all(POD, endpoint):
            pods[pod["metadata"]["labels"].get(VERSION, "")].append(pod)
        created = workload_of(target).observe(namespace, endpoint, pods)
        return {**self._held.get(endpoint, {}), **created}

    def room(self, environment: str) -> Room | None:
        target = self._targets.of(environment)
        if not target.gpus or target.preflight == "off":
            return None
        api = self._find(target).api
        return self._capacities.setdefault(target.context, Capacity(api)).room(target)

    def _is_refused(self, target: Target, world: DesiredWorld, release: ReleaseSpec) -> bool:
        """Whether the environment was given a runtime since that cannot run what the doors let in."""
        held = self._held.setdefault(world.endpoint, {})
        held.pop(release.version, None)
        if refused := target.serves.refusal(release.format, release.folder, release.signature):
            says = f"nothing is created: the version {refused}."
            held[release.version] = WorkloadStatus(desired=release.replicas, failed=True, message=says)
        return bool(refused)

    def _is_held(self, target: Target, world: DesiredWorld, release: ReleaseSpec) -> bool:
        """Whether servers are not created because they would not fit; `observe` then says so."""
        held = self._held.setdefault(world.endpoint, {})
        try:
            there = self.room(world.environment) if target.preflight == "hold" else None
        except WorldUnavailable as error:
            # Who may not look asks the scheduler instead, who leaves pods waiting and says why.
            log.info("endpoint %s: whether it fits is not known: %s", world.endpoint, error)
            return False
        if there is None or there.fits(release.replicas):
            return False
        held[release.version] = WorkloadStatus(
            desired=release.replicas,
            message=f"nothing is created, it would not fit: {release.replicas} wanted. {there.says} "
            "A canary with `no_surge` takes the place of servers that run already.",
        )
        return True

    def _assert(
        self,
        namespace: Namespace,
        target: Target,
        world: DesiredWorld,
        release: ReleaseSpec,
        artifact: str,
        present: Manifest | None,
    ) -> None:
        """Applies the object when it is not as it should be, and what stands beside it with it."""
        workload = workload_of(target)
        wanted = workload.manifest(world, release, artifact, target)
        mark = fingerprint(wanted, {"histograms": release.histograms})
        key = (world.endpoint, release.version)
        before, at = self._asserted.get(key, ("", 0.0))
        fresh = before == mark and time.monotonic() - at < ASSERT_SECONDS
        beside = {item["kind"] for item in optional(world, release, target)}
        marks = {GENERATION: str(world.generation), APPLIED: mark, BESIDE: ",".join(sorted(beside))}
        if present is not None and fresh and all(_annotation(present, k) == v for k, v in marks.items()):
            return
        if present is not None:
            _drop(namespace, present, {*_annotation(present, BESIDE).split(",")} - beside)
        wanted = workload.marked(wanted, marks, present)
        owner = namespace.write(workload.kind, wanted, present)
        if target.context in self._capacities:
            self._capacities[target.context].forget()
        for companion in companions(world, release, target, owner):
            namespace.api.apply(companion, namespace=namespace.name)
        self._asserted[key] = (mark, time.monotonic())


def _remove(namespace: Namespace, kind: Kind, item: Manifest) -> None:
    """The object goes, and what it owns with it."""
    metadata: Mapping[str, Any] = item["metadata"]
    namespace.api.delete(kind, namespace.name, metadata["name"], uid=metadata["uid"])
    namespace.forget(kind)


def _drop(namespace: Namespace, owner: Manifest, kinds: set[str]) -> None:
    """What the environment asks for no more goes: two autoscalers would fight over the number of servers."""
    for kind in (KINDS[name] for name in sorted(kinds) if name in KINDS):
        item = namespace.api.get(kind, namespace.name, owner["metadata"]["name"])
        owners = item["metadata"].get("ownerReferences", []) if item else []
        if item and owner["metadata"]["uid"] in [one["uid"] for one in owners]:
            _remove(namespace, kind, item)


def _annotation(item: Manifest, name: str) -> str:
    return str(item["metadata"].get("annotations", {}).get(name, ""))
