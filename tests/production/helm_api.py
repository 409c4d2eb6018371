"""As much of a Kubernetes API server as `helm install` speaks to: it keeps what is created."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

# The kinds of each group, with their plurals.
KINDS = {
    "v1": {
        "ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Namespace": "namespaces",
        "ServiceAccount": "serviceaccounts", "PersistentVolumeClaim": "persistentvolumeclaims",
    },
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
    "batch/v1": {"Job": "jobs", "CronJob": "cronjobs"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"},
    "rbac.authorization.k8s.io/v1": {
        "Role": "roles", "RoleBinding": "rolebindings",
        "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
    },
    "monitoring.coreos.com/v1": {
        "ServiceMonitor": "servicemonitors", "PodMonitor": "podmonitors",
        "PrometheusRule": "prometheusrules",
    },
}  # fmt: skip
RECORD = "helm.sh/release.v1"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class ApiServer:
    """`created` is every object that was sent, in the order of its coming, Helm's own record left out."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.stored: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*server.get(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                self._answer(*server.keep(self.path.partition("?")[0], self._body(), new=True))

            def do_PUT(self) -> None:
                self._answer(*server.keep(self.path.partition("?")[0], self._body(), new=False))

            do_PATCH = do_PUT

            def _body(self) -> dict[str, Any]:
                """Helm's own record of the release comes as protobuf; everything of the chart as JSON."""
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if "protobuf" in self.headers.get("Content-Type", ""):
                    return {
                        "apiVersion": "v1",
                        "kind": "Secret",
                        "metadata": {"name": "record"},
                        "type": RECORD,
                    }
                body: dict[str, Any] = json.loads(content)
                return body

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads here."""
        path = folder / "kubeconfig"
        cluster = {"name": "stub", "cluster": {"server": f"http://127.0.0.1:{self._http.server_port}"}}
        context = {"name": "stub", "context": {"cluster": "stub", "user": "stub"}}
        users = [{"name": "stub", "user": {}}]
        document = {"apiVersion": "v1", "kind": "Config", "current-context": "stub"}
        path.write_text(
            json.dumps({**document, "clusters": [cluster], "contexts": [context], "users": users})
        )
        return path

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Discovery; of objects only what was stored."""
        if path == "/version":
            return 200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = sorted({group.partition("/")[0] for group in KINDS if "/" in group})
            return 200, {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(one) for one in groups],
            }
        group = path.removeprefix("/apis/").removeprefix("/api/")
        if group in KINDS:
            return 200, {
                "kind": "APIResourceList", "groupVersion": group,
                "resources": [
                    {"name": plural, "kind": kind, "namespaced": not kind.startswith("Cluster"), "verbs": VERBS}
                    for kind, plural in KINDS[group].items()
                ],
            }  # fmt: skip
        if path in self.stored:
            return 200, self.stored[path]
        if path.rpartition("/")[2] in {plural for kinds in KINDS.values() for plural in kinds.values()}:
            return 200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}
        return 404, {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": "NotFound",
            "code": 404,
        }

    def keep(self, path: str, document: dict[str, Any], *, new: bool) -> tuple[int, dict[str, Any]]:
        """What is created is stored as it came, under a name made up where only its beginning is given."""
        metadata = document["metadata"]
        metadata.setdefault("name", f"{metadata.get('generateName')}{len(self.stored):05d}")
        place = f"{path}/{document['metadata']['name']}" if new else path
        self.stored[place] = document
        if new and document.get("type") != RECORD:
            if "/namespaces/" in path:
                document["metadata"].setdefault("namespace", path.split("/namespaces/")[1].split("/")[0])
            self.created.append(document)
        return (201 if new else 200), document


def _group(name: str) -> dict[str, Any]:
    versions = [
        {"groupVersion": known, "version": known.partition("/")[2]}
        for known in KINDS
        if known.startswith(f"{name}/")
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}
