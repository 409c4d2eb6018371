"""Kubernetes as the world: model servers as Deployments, traffic through Gateway API or Istio routes.

docs/kubernetes.md says what is made, and what the service account must be allowed to do.
"""

from rollouts.adapters.kubernetes.cluster import KubernetesCluster
from rollouts.adapters.kubernetes.gateway_api import GatewayApiRouter
from rollouts.adapters.kubernetes.istio import IstioRouter

__all__ = ["GatewayApiRouter", "IstioRouter", "KubernetesCluster"]
