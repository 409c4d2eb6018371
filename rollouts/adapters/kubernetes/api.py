"""One cluster's API: plain JSON in and out, server-side apply, every trouble in our own words."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import kubernetes
from urllib3.exceptions import HTTPError

from rollouts.errors import WorldUnavailable

log = logging.getLogger(__name__)
Manifest = dict[str, Any]
MANAGER = "slipway"
TIMEOUT_SECONDS = 5.0
# A server that asks for patience is asked again so often, as long as it does not ask for more than this.
ATTEMPTS = 3
MOST_PATIENCE_SECONDS = 2.0
CONFLICT, GONE, NOT_FOUND, THROTTLED, TIMEOUT, UNAUTHORIZED = 409, 410, 404, 429, 504, 401


@dataclass(frozen=True, slots=True)
class Kind:
    """What objects are called in a path: `/apis/apps/v1/namespaces/<ns>/deployments`."""

    api: str
    kind: str
    plural: str

    @property
    def root(self) -> str:
        """The path of its API."""
        return f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"

    def path(self, namespace: str, name: str = "") -> str:
        """The path of all of them in a namespace, or of one."""
        return f"{self.root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
POD = Kind("v1", "Pod", "pods")
NODE = Kind("v1", "Node", "nodes")
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
SERVICE = Kind("v1", "Service", "services")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
HPA = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
PDB = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
VIRTUAL_SERVICE = Kind("networking.istio.io/v1", "VirtualService", "virtualservices")
DESTINATION_RULE = Kind("networking.istio.io/v1", "DestinationRule", "destinationrules")
POD_MONITOR = Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
INFERENCE_SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices")
KINDS = {
    kind.kind: kind
    for kind in (
        DEPLOYMENT, POD, SERVICE, CONFIG_MAP, HPA, PDB, HTTP_ROUTE, VIRTUAL_SERVICE, DESTINATION_RULE,
        POD_MONITOR, SERVICE_MONITOR, SCALED_OBJECT, INFERENCE_SERVICE,
    )
}  # fmt: skip


class Conflicted(Exception):
    """Somebody changed the object between our reading it and our writing it."""


class TooNew(WorldUnavailable):
    """The API server does not know a version that it told us of."""


class Api:
    """Calls to one API server; raises WorldUnavailable when it does not answer or refuses."""

    def __init__(self, client: Any = None, *, context: str = "") -> None:
        self._given, self._context = client, context
        self._client = client or _client(context)

    def list_all(self, kind: Kind) -> list[Manifest]:
        """All objects of a kind in the cluster, from the API server's cache."""
        path = f"{kind.root}/{kind.plural}"
        found: list[Manifest] = self._call("GET", path, {"resourceVersion": "0"})["items"]
        return found

    def list(self, kind: Kind, namespace: str, selector: str, *, since: str = "0") -> list[Manifest]:
        """Objects with these labels, from the API server's own cache as of version `since` or later.

        Raises TooNew when the API server knows nothing so new, as after its store was restored.
        """
        query = {
            "labelSelector": selector,
            "resourceVersion": since,
            "resourceVersionMatch": "NotOlderThan",
        }
        try:
            found: list[Manifest] = self._call("GET", kind.path(namespace), query)["items"]
        except _Refused as error:
            raise (TooNew(error.message) if error.answered in {TIMEOUT, GONE} else error) from error
        return found

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """One object as it is now; None when there is none."""
        try:
            return self._call("GET", kind.path(namespace, name))
        except _Refused as error:
            if error.answered == NOT_FOUND:
                return None
            raise

    def apply(self, manifest: Mapping[str, Any], *, namespace: str) -> Manifest:
        """Server-side apply; with a resourceVersion in it, only if the object is still that version.

        Raises Conflicted when it is not.
        """
        kind = KINDS[manifest["kind"]]
        path = kind.path(namespace, manifest["metadata"]["name"])
        query = {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return self._fenced("PATCH", path, query, headers, json.dumps(manifest))

    def create(self, manifest: Mapping[str, Any], *, namespace: str) -> Manifest:
        """The same for an object that must not be there yet: of two who create at once, one does.

        Raises Conflicted when it is there. An apply cannot say that, and would change what it found.
        """
        kind = KINDS[manifest["kind"]]
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        headers = {"Content-Type": "application/json"}
        return self._fenced("POST", kind.path(namespace), query, headers, dict(manifest))

    def adopt(self, kind: Kind, namespace: str, item: Manifest) -> Manifest:
        """What we created becomes what we applied, so that a later apply may drop fields of it.

        It is what client-go's csaupgrade does. Raises Conflicted when somebody changed the object meanwhile.
        """
        entries = item["metadata"].get("managedFields", [])
        if not any(map(_created, entries)):
            return item
        held = [{**entry, "operation": "Apply"} if _created(entry) else entry for entry in entries]
        change = [
            {"op": "replace", "path": "/metadata/managedFields", "value": held},
            # Refused when it is another by now.
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": item["metadata"]["resourceVersion"],
            },
        ]
        headers = {"Content-Type": "application/json-patch+json"}
        return self._fenced("PATCH", kind.path(namespace, item["metadata"]["name"]), {}, headers, change)

    def _fenced(self, *call: Any) -> Manifest:
        try:
            return self._call(*call)
        except _Refused as error:
            if error.answered == CONFLICT:
                raise Conflicted(error.message) from error
            raise

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Deletes this very object and what it owns; gone already is fine."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            self._call("DELETE", kind.path(namespace, name), {}, {"Content-Type": "application/json"}, body)
        except _Refused as error:
            if error.answered not in {NOT_FOUND, CONFLICT, GONE}:
                raise

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Manifest:
        for attempt in range(1, ATTEMPTS + 1):
            status, reason, content, patience = self._ask(method, path, query or {}, headers or {}, body)
            if status not in {THROTTLED, UNAUTHORIZED} or attempt == ATTEMPTS:
                break
            if status == UNAUTHORIZED:
                # A token that has expired: read the credentials anew.
                self._client = self._given or _client(self._context)
                continue
            time.sleep(min(patience, MOST_PATIENCE_SECONDS))
        if 200 <= status < 300:
            found: Manifest = json.loads(content)
            return found
        raise _Refused(status, f"{method} {path}: {_message(content) or reason}")

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any
    ) -> tuple[int, str, bytes, float]:
        call = self._client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", **headers},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*call, _request_timeout=TIMEOUT_SECONDS)
            content = response.read() or response.data
        except (HTTPError, OSError, kubernetes.client.ApiException) as error:
            raise WorldUnavailable(f"The Kubernetes API did not answer: {error}") from error
        return response.status, response.reason, content, _seconds(response.getheader("Retry-After"))


def _created(entry: Mapping[str, Any]) -> bool:
    """Whether these fields are held by our having created the object, and not by an apply."""
    return entry.get("manager") == MANAGER and entry.get("operation") == "Update"


class _Refused(WorldUnavailable):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"The Kubernetes API refused: {status} {message}")
        self.answered = status


def _client(context: str) -> Any:
    """In-cluster credentials when we run in one, else the kubeconfig; `context` names one of its contexts."""
    configuration = kubernetes.client.Configuration()
    try:
        if context:
            raise kubernetes.config.ConfigException("a context was named")
        kubernetes.config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException:
        try:
            kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
                context=context or None, client_configuration=configuration
            )
        except kubernetes.config.ConfigException as error:
            raise WorldUnavailable(f"No way to reach Kubernetes: {error}") from error
    configuration.retries = 0
    return kubernetes.client.ApiClient(configuration)


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _seconds(header: str | None) -> float:
    try:
        return float(header or 1)
    except ValueError:
        return 1.0
