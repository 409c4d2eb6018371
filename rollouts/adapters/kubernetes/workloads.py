"""How a version's servers stand in a cluster: as a Deployment of ours, or as KServe's InferenceService."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rollouts.adapters.kubernetes import kserve, manifests
from rollouts.adapters.kubernetes.api import DEPLOYMENT, INFERENCE_SERVICE, Kind, Manifest
from rollouts.adapters.kubernetes.manifests import VERSION, name_of
from rollouts.adapters.kubernetes.pods import status_of
from rollouts.adapters.kubernetes.seen import Namespace, alone_in_charge_of_replicas
from rollouts.adapters.kubernetes.target import Target
from rollouts.domain.desired import DesiredWorld, ReleaseSpec
from rollouts.domain.snapshot import WorkloadStatus

Pods = Mapping[str, Sequence[Manifest]]


class Workload(Protocol):
    """One object per version, which owns everything that stands beside it."""

    kind: Kind

    def manifest(self, world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
        """What is to be applied."""

    def marked(self, wanted: Manifest, marks: Mapping[str, str], present: Manifest | None) -> Manifest:
        """The same with our annotations, and with what must not be lost of what is there."""

    def observe(self, namespace: Namespace, endpoint: str, pods: Pods) -> dict[str, WorkloadStatus]:
        """Statuses by version."""


def by_version(namespace: Namespace, kind: Kind, endpoint: str) -> dict[str, Manifest]:
    """The endpoint's objects by version, as of half a second ago at most; none of another name."""
    return {
        version: item
        for item in namespace.all(kind, endpoint)
        if (version := item["metadata"]["labels"].get(VERSION))
        and item["metadata"]["name"] == name_of(endpoint, version)
    }


class Deployments:
    """Servers under a Deployment."""

    kind = DEPLOYMENT

    def manifest(self, world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
        return manifests.deployment(world, release, artifact, target)

    def marked(self, wanted: Manifest, marks: Mapping[str, str], present: Manifest | None) -> Manifest:
        wanted["metadata"]["annotations"] = dict(marks)
        if present and "replicas" not in wanted["spec"] and alone_in_charge_of_replicas(present):
            # What nobody else has taken over would fall back to 1 if we let go of it.
            wanted["spec"]["replicas"] = present["spec"]["replicas"]
        return wanted

    def observe(self, namespace: Namespace, endpoint: str, pods: Pods) -> dict[str, WorkloadStatus]:
        found = by_version(namespace, self.kind, endpoint)
        return {version: status_of(item, pods.get(version, ())) for version, item in found.items()}


class InferenceServices:
    """Servers under the Deployment that KServe makes of an InferenceService."""

    kind = INFERENCE_SERVICE

    def manifest(self, world: DesiredWorld, release: ReleaseSpec, artifact: str, target: Target) -> Manifest:
        return kserve.inference_service(world, release, artifact, target)

    def marked(self, wanted: Manifest, marks: Mapping[str, str], present: Manifest | None) -> Manifest:
        return kserve.marked(wanted, marks)

    def observe(self, namespace: Namespace, endpoint: str, pods: Pods) -> dict[str, WorkloadStatus]:
        children = {
            item["metadata"]["labels"].get(VERSION): item for item in namespace.all(DEPLOYMENT, endpoint)
        }
        found = by_version(namespace, self.kind, endpoint)
        return {
            version: kserve.status_of(item, children.get(version), pods.get(version, ()))
            for version, item in found.items()
        }


_WORKLOADS: dict[str, Workload] = {"deployment": Deployments(), "inferenceservice": InferenceServices()}


def workload_of(target: Target) -> Workload:
    """What the environment's servers are."""
    return _WORKLOADS[target.workload]


def kind_of(target: Target) -> Kind:
    """The kind of object that a version of the environment is."""
    return workload_of(target).kind
