"""Scoring jobs as Jobs of Kubernetes, each a pod of the control plane's own image."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import kubernetes
import yaml
from urllib3.exceptions import HTTPError

from registry.errors import Unavailable

TIMEOUT_SECONDS = 5.0
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubernetesJobs:
    """`manifest` is the path of a Job whose first container runs the control plane."""

    def __init__(self, manifest: str, client: Any = None) -> None:
        try:
            document: dict[str, Any] = yaml.safe_load(Path(manifest).read_text())
            document["spec"]["template"]["spec"]["containers"][0]  # noqa: B018
        except (OSError, yaml.YAMLError, KeyError, TypeError, IndexError) as error:
            raise Unavailable(f"SLIPWAY_SCORING_JOB_FILE {manifest} holds no Job: {error!r}") from error
        self._document, self._client = document, client

    def start(self, job: int, claim: str) -> None:
        """Creates the Job; a pod that dies is not replaced by Kubernetes but by the next hand-out."""
        document = copy.deepcopy(self._document)
        metadata = document["metadata"]
        metadata["generateName"] = f"{metadata.pop('name')}-{job}-"
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["args"] = ["score", "--job", str(job), "--claim", claim]
        try:
            api: Any = kubernetes.client.BatchV1Api(self._client or _client())
            api.create_namespaced_job(
                metadata.get("namespace") or _namespace(), document, _request_timeout=TIMEOUT_SECONDS
            )
        except kubernetes.client.ApiException as error:
            raise Unavailable(f"Kubernetes refused the Job: {error.status} {error.reason}") from error
        except (HTTPError, OSError, kubernetes.config.ConfigException) as error:
            raise Unavailable(f"Kubernetes did not answer: {error}") from error


def _client() -> Any:
    """That of the pod we run in, or of KUBECONFIG."""
    configuration, load = kubernetes.client.Configuration(), cast(Any, kubernetes.config)
    if _NAMESPACE.exists():
        load.load_incluster_config(configuration)
    else:
        load.load_kube_config(client_configuration=configuration)
    return kubernetes.client.ApiClient(configuration)


def _namespace() -> str:
    return _NAMESPACE.read_text().strip() if _NAMESPACE.exists() else "default"
