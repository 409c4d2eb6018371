"""A namespace of a real cluster, made for one run of the tests, and Slipway's own way into it.

Slipway gets a service account with the shipped role and nothing else; what the tests do to the cluster
beside it (making the namespace, draining a node) they do as whoever KUBECONFIG names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes
import yaml

from deploy.serving.tests import models
from rollouts.adapters.kubernetes.api import Api
from rollouts.adapters.kubernetes.seen import Namespace
from rollouts.adapters.kubernetes.target import Target

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "deploy" / "kubernetes" / "role.yaml"
PREFLIGHT = ROLE.with_name("preflight.yaml")
RBAC = "rbac.authorization.k8s.io"
IMAGE = os.environ.get("SLIPWAY_E2E_IMAGE", "localhost/slipway-serving:e2e")
# Whoever routes for real; without one the tests accept routes as a controller would (controller.py).
GATEWAY = os.environ.get("SLIPWAY_E2E_GATEWAY", "")
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
# The good one answers every request; the bad one fails for some values that it was never tried with.
ARTIFACTS = {"1": models.linear(1), "2": models.linear(1, metadata={"note": "new"}), "3": models.fragile()}


def digest_of(version: str) -> str:
    """The digest of the version's artifact."""
    return f"sha256:{hashlib.sha256(ARTIFACTS[version]).hexdigest()}"


@dataclass
class Place:
    """The namespace, the administrator's client, and what lets Slipway in."""

    admin: Any
    name: str = field(default_factory=lambda: f"slipway-e2e-{uuid.uuid4().hex[:6]}")
    token: str = ""

    def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> Any:
        """As administrator; `path` may begin after `/api/v1/namespaces/<this one>`."""
        whole = path if path.startswith("/ap") else f"/api/v1/namespaces/{self.name}{path}"
        where = self.admin.configuration.host + whole + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": kind}
        response = self.admin.rest_client.pool_manager.request(
            method, where, headers=headers, body=json.dumps(body) if body is not None else None, timeout=20
        )
        if response.status >= 400:
            raise Refused(response.status, response.data.decode(errors="replace"))
        try:
            return json.loads(response.data or b"{}")
        except ValueError:
            return response.data.decode()

    def apply(self, manifest: Mapping[str, Any], plural: str) -> Any:
        """Server-side apply of one object in the namespace."""
        api = manifest["apiVersion"]
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        path = f"{root}/namespaces/{self.name}/{plural}/{manifest['metadata']['name']}"
        return self.call("PATCH", path, manifest, APPLY, fieldManager="e2e", force="true")

    def prepare(self) -> None:
        """The namespace, the role as shipped, its account and token, and a store of artifacts."""
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": self.name}})
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "slipway"}}, "serviceaccounts")  # fmt: skip
        self.allow(yaml.safe_load(ROLE.read_text())["rules"])
        self.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "slipway"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "slipway"},
                "subjects": [{"kind": "ServiceAccount", "name": "slipway", "namespace": self.name}],
            },
            "rolebindings",
        )  # fmt: skip
        self.allow_preflight()
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 7200},
        }
        self.token = self.call("POST", "/serviceaccounts/slipway/token", asked)["status"]["token"]

    def allow_preflight(self, rules: list[dict[str, Any]] | None = None) -> None:
        """The cluster-wide role of the check for free GPUs, under a name of this run's own."""
        given = rules if rules is not None else yaml.safe_load(PREFLIGHT.read_text())["rules"]
        api = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": self.name}}
        subject = {"kind": "ServiceAccount", "name": "slipway", "namespace": self.name}
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": self.name}
        for plural, manifest in (
            ("clusterroles", {**api, "kind": "ClusterRole", "rules": given}),
            ("clusterrolebindings", {**api, "kind": "ClusterRoleBinding", "roleRef": ref, "subjects": [subject]}),
        ):  # fmt: skip
            path = f"/apis/{RBAC}/v1/{plural}/{self.name}"
            self.call("PATCH", path, manifest, APPLY, fieldManager="e2e", force="true")

    def allow(self, rules: list[dict[str, Any]]) -> None:
        """The rules of the role that Slipway's account has."""
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "slipway"}}
        self.apply({**role, "rules": rules}, "roles")

    def serve_artifacts(self) -> None:
        """An S3 service in the namespace: one pod with the models, and the Secret that says where it is."""
        files = {f"{digest_of(v)[7:]}.onnx": base64.b64encode(data).decode() for v, data in ARTIFACTS.items()}
        self.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "store"}, "binaryData": files},
            "configmaps",
        )
        self.apply(
            {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "store"},
                "spec": {
                    "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1,
                    "tolerations": [{"operator": "Exists"}],
                    "volumes": [{"name": "models", "configMap": {"name": "store"}}],
                    "containers": [{
                        "name": "store", "image": IMAGE,
                        "command": ["python", "-m", "http.server", "9000", "-d", "/srv"],
                        "volumeMounts": [{"name": "models", "mountPath": "/srv/models"}],
                    }],
                },
            },
            "pods",
        )  # fmt: skip
        address = until(lambda: self.call("GET", "/pods/store")["status"].get("podIP"))
        secret = {
            "AWS_ENDPOINT_URL": f"http://{address}:9000",
            "AWS_ACCESS_KEY_ID": "e2e",
            "AWS_SECRET_ACCESS_KEY": "e2e",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-store"}, "stringData": secret},
            "secrets",
        )
        until(lambda: "models" in str(self.call("GET", "/pods/store:9000/proxy/")))

    def namespace(self) -> Namespace:
        """The namespace as Slipway's account sees it; every call gives a fresh one, as after a restart."""
        there = self.admin.configuration
        mine = kubernetes.client.Configuration(host=there.host)
        mine.ssl_ca_cert, mine.verify_ssl, mine.retries = there.ssl_ca_cert, there.verify_ssl, 0
        mine.api_key = {"BearerToken": f"Bearer {self.token}"}
        return Namespace(Api(kubernetes.client.ApiClient(mine)), self.name)

    def target(self, **changes: Any) -> Target:
        """How servers run here: small ones."""
        given = {
            "namespace": self.name, "image": IMAGE, "env_from": "model-store", "cpu": "10m", "memory": "400Mi",
            "start_seconds": 120, "gateway": gateway_at(GATEWAY or "public"),
        }  # fmt: skip
        return Target(**{**given, **changes})

    def pods(self, endpoint: str, version: str = "") -> list[dict[str, Any]]:
        """The endpoint's pods that are not ending."""
        selector = f"slipway.dev/endpoint={endpoint}" + (f",slipway.dev/version={version}" if version else "")
        found = self.call("GET", "/pods", labelSelector=selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def remove(self) -> None:
        """The namespace and all that is in it."""
        self.call("DELETE", f"/api/v1/namespaces/{self.name}")
        for plural in ("clusterrolebindings", "clusterroles"):
            self.call("DELETE", f"/apis/{RBAC}/v1/{plural}/{self.name}")


class Refused(Exception):
    """The API server's answer to the administrator."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status} {said[:500]}")
        self.status = status


def gateway_at(path: str) -> dict[str, str]:
    """`<namespace>/<name>`, or a name in the namespace of the routes, as a target has it."""
    namespace, _, name = path.rpartition("/")
    return {"name": name, **({"namespace": namespace} if namespace else {})}


def until(true: Callable[[], Any], seconds: float = 90, pause: float = 0.3) -> Any:
    """The first answer that is true; refusals on the way count as not yet."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            if answer := true():
                return answer
        except (Refused, OSError) as error:
            last = error
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s: {last}")


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether the kubelet calls it ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
