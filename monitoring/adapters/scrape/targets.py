"""The list of pages to scrape, in Prometheus' file_sd format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Target:
    """`address` is host:port; `labels` are merged into the page's series where those lack them."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        return hashlib.sha256(orjson.dumps([self.address, sorted(self.labels.items())])).hexdigest()

    @property
    def url(self) -> str:
        return f"http://{self.address}{self.labels.get('__metrics_path__', '/metrics')}"


class BadTargets(ValueError):
    """The list of targets cannot be used; the message says why."""


def read_targets(path: Path) -> list[Target]:
    """The targets of a file_sd file, none when there is no file; raises BadTargets."""
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadTargets(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(document, list):
        raise BadTargets(f"{path} must hold a list of target groups.")
    found = [target for index, group in enumerate(document) for target in _group(group, f"{path}[{index}]")]
    return list({target.key: target for target in found}.values())


def _group(group: Any, where: str) -> list[Target]:
    if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
        raise BadTargets(f'{where} must look like {{"targets": ["host:port"], "labels": {{}}}}.')
    labels = group.get("labels") or {}
    if not isinstance(labels, dict):
        raise BadTargets(f"{where}.labels must be an object of texts.")
    return [Target(str(address), {str(k): str(v) for k, v in labels.items()}) for address in group["targets"]]
