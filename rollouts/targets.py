"""Where endpoints may live: the target of the settings, and those that SLIPWAY_TARGETS_FILE names.

eu-production:
  cluster: kubernetes
  router: istio
  url: https://models.example.org
  options: {context: eu, namespace: models, gateway: {name: public}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from rollouts import documents
from rollouts.domain.fields import NAME

DEFAULT = "default"
# What comes with Slipway has short names; anything else is the dotted path of a class.
CLUSTERS = {
    "embedded": "rollouts.adapters.local.LocalCluster",
    "kubernetes": "rollouts.adapters.kubernetes.KubernetesCluster",
}
ROUTERS = {
    "gateway": "rollouts.adapters.local.LocalRouter",
    "gateway-api": "rollouts.adapters.kubernetes.GatewayApiRouter",
    "istio": "rollouts.adapters.kubernetes.IstioRouter",
}
# Options that say where something is, for the pages; others may be long or nobody's business.
PLACES = ("context", "namespace", "host")
_FIELDS = frozenset({"cluster", "router", "url", "options"})


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster and a router that environments may use.

    cluster, router: dotted paths of adapters. options: what both are made with, in the adapters' own words.
    url: where applications reach the endpoints.
    """

    name: str
    cluster: str
    router: str
    url: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster_name(self) -> str:
        """`kubernetes`, or the dotted path of a plug-in."""
        return _short(self.cluster, CLUSTERS)

    @property
    def router_name(self) -> str:
        """`istio`, or the dotted path of a plug-in."""
        return _short(self.router, ROUTERS)

    @property
    def place(self) -> str:
        """`context eu, namespace models`; empty when the options do not say."""
        return ", ".join(f"{name} {self.options[name]}" for name in PLACES if self.options.get(name))


def targets() -> Mapping[str, Target]:
    """Every target by name; ImproperlyConfigured names the file and the wrong field."""
    plain = Target(
        DEFAULT, settings.SLIPWAY_CLUSTER, settings.SLIPWAY_ROUTER, url=settings.SLIPWAY_GATEWAY_URL
    )
    path = settings.SLIPWAY_TARGETS_FILE
    return {DEFAULT: plain, **(_read(path) if path else {})}


def find(name: str) -> Target | None:
    """The target of this name; None when the settings know none (any more)."""
    return targets().get(name)


def address(target: str, endpoint: str) -> str:
    """Where applications send requests to the endpoint; empty when the target does not say."""
    found = find(target)
    return f"{found.url.rstrip('/')}/{endpoint}/predict" if found and found.url else ""


@cache
def _read(path: str) -> Mapping[str, Target]:
    try:
        document = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ImproperlyConfigured(f"SLIPWAY_TARGETS_FILE {path}: {error}") from error
    return parse(document)


def parse(document: Any) -> Mapping[str, Target]:
    """Targets from the file's document, checked whole."""
    if not isinstance(document, Mapping):
        raise ImproperlyConfigured("The file of targets is a mapping of names to targets.")
    return {str(name): _target(str(name), values) for name, values in document.items()}


def _target(name: str, values: Any) -> Target:
    if not re.fullmatch(NAME, name):
        raise ImproperlyConfigured(f"{name!r} is no name: up to 53 lower-case letters, digits and dashes.")
    documents.only_known(documents.mapping(values, name), _FIELDS, name)
    options = documents.mapping(values.get("options", {}), f"{name}.options")
    return Target(
        name=name,
        cluster=_path(values, "cluster", name, CLUSTERS),
        router=_path(values, "router", name, ROUTERS),
        url=str(values.get("url", "")),
        options=dict(options),
    )


def _path(values: Mapping[str, Any], key: str, name: str, known: Mapping[str, str]) -> str:
    given = values.get(key)
    if isinstance(given, str) and (given in known or "." in given):
        return known.get(given, given)
    names = ", ".join(known)
    raise ImproperlyConfigured(f"{name}.{key}: write one of {names}, or the dotted path of a class.")


def _short(path: str, known: Mapping[str, str]) -> str:
    return next((name for name, dotted in known.items() if dotted == path), path)
