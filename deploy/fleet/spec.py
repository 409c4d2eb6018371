"""What should run: parsed from `fleet/desired/<endpoint>.json`. Pure functions."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from deploy.files import BadFile, parse_object, text_of

ENDPOINT = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
OPTIONS = ("max_batch", "batch_delay_ms", "queue", "deadline_ms")
MOST_REPLICAS = 256
REMOTE = ("s3://", "http://", "https://")
"""Where an artifact may be beside a path; a server fetches it into the cache of its home."""


@dataclass(frozen=True)
class Workload:
    """One version of one endpoint's model: what its servers are started with, and how many of them."""

    endpoint: str
    model: str
    version: str
    digest: str
    artifact: str
    replicas: int
    threads: int
    warmup: int
    histograms: str | None
    options: tuple[tuple[str, float], ...]

    @property
    def key(self) -> tuple[str, str]:
        """(endpoint, version): what instances belong to."""
        return self.endpoint, self.version

    @property
    def revision(self) -> str:
        """A hash of all that a server is started with. Servers of another revision are replaced."""
        started_with = {**vars(self), "replicas": None}
        return sha256(json.dumps(started_with, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Desired:
    """One endpoint's file. `revision` changes whenever its content does."""

    endpoint: str
    workloads: tuple[Workload, ...]
    revision: str


def parse_desired(data: bytes, endpoint: str) -> Desired:
    """The content of the file of `endpoint`. Raises BadFile with the path of the bad field."""
    document = parse_object(data)
    if not ENDPOINT.fullmatch(endpoint):
        raise BadFile(f"the file's name: {endpoint!r} is no endpoint name (a-z, 0-9 and - only)")
    if document.get("endpoint") != endpoint:
        raise BadFile(f"endpoint: must equal the file's name {endpoint!r}, not {document.get('endpoint')!r}")
    items = document.get("workloads")
    if not isinstance(items, list):
        raise BadFile("workloads: must be a list")
    model = text_of(document, "model", "model")
    workloads = tuple(
        _workload(item, endpoint, model, f"workloads[{index}]") for index, item in enumerate(items)
    )
    if len({workload.version for workload in workloads}) != len(workloads):
        raise BadFile("workloads: names a version twice")
    return Desired(endpoint, workloads, sha256(data).hexdigest()[:12])


def _workload(item: object, endpoint: str, model: str, path: str) -> Workload:
    if not isinstance(item, dict):
        raise BadFile(f"{path}: must be an object")
    return Workload(
        endpoint=endpoint,
        model=model,
        version=_match(item, "version", VERSION, path, 'a version, such as "3"'),
        digest=_match(item, "digest", DIGEST, path, "sha256: and 64 hexadecimal digits"),
        artifact=_artifact(item, path),
        replicas=_count(item, "replicas", path, 1, 0, MOST_REPLICAS),
        threads=_count(item, "threads", path, 1, 1, 1024),
        warmup=_count(item, "warmup", path, 0, 0, 100_000),
        histograms=_histograms(item.get("histograms"), path),
        options=_options(item.get("options"), path),
    )


def _artifact(item: Mapping[str, Any], path: str) -> str:
    artifact = text_of(item, "artifact", f"{path}.artifact")
    if not artifact.startswith(("/", *REMOTE)):
        raise BadFile(f"{path}.artifact: must be an absolute path or a URL, not {artifact!r}")
    return artifact


def _histograms(value: object, path: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadFile(f"{path}.histograms: must be an object")
    return json.dumps(value, sort_keys=True)


def _options(value: object, path: str) -> tuple[tuple[str, float], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise BadFile(f"{path}.options: must be an object")
    for name, number in value.items():
        if name not in OPTIONS:
            raise BadFile(f"{path}.options.{name}: unknown; known are {', '.join(OPTIONS)}")
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            raise BadFile(f"{path}.options.{name}: must be a number of at least 0, not {number!r}")
    return tuple(sorted(value.items()))


def _count(item: Mapping[str, Any], key: str, path: str, default: int, least: int, most: int) -> int:
    value = item.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadFile(f"{path}.{key}: must be a whole number from {least} to {most}, not {value!r}")
    return value


def _match(item: Mapping[str, Any], key: str, pattern: re.Pattern[str], path: str, what: str) -> str:
    value = text_of(item, key, f"{path}.{key}")
    if not pattern.fullmatch(value):
        raise BadFile(f"{path}.{key}: must be {what}, not {value!r}")
    return value
