"""`services.json`: the long-lived services of one machine. Parsing only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.files import BadFile, parse_object


@dataclass(frozen=True)
class ServiceSpec:
    """One service. It is ready when `url` answers 200, else when `port` accepts, else when it lives."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    port: int | None
    url: str | None
    stop_seconds: float


@dataclass(frozen=True)
class ServicesFile:
    """All services, in the order in which they are started.

    `banner` is printed when all are ready; `info` goes to `run` (run.json) as it is; `lock` is the file
    whose lock makes the supervisor the only one.
    """

    services: tuple[ServiceSpec, ...]
    logs: Path
    run: Path
    lock: Path
    banner: tuple[str, ...]
    info: Mapping[str, Any]


def parse_services(data: bytes) -> ServicesFile:
    """The content of a services file. Raises BadFile with the path of the bad field."""
    document = parse_object(data)
    items = document.get("services")
    if not isinstance(items, list) or not items:
        raise BadFile("services: must be a list of at least one service")
    services = tuple(_service(item, f"services[{index}]") for index, item in enumerate(items))
    if len({service.name for service in services}) != len(services):
        raise BadFile("services: names a service twice")
    return ServicesFile(
        services=services,
        logs=_path(document, "logs", "logs"),
        run=_path(document, "run", "run"),
        lock=_path(document, "lock", "lock"),
        banner=_texts(document.get("banner", []), "banner"),
        info=document.get("info", {}),
    )


def _service(item: object, path: str) -> ServiceSpec:
    if not isinstance(item, dict):
        raise BadFile(f"{path}: must be an object")
    command = _texts(item.get("command"), f"{path}.command")
    if not command:
        raise BadFile(f"{path}.command: must not be empty")
    env = item.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise BadFile(f"{path}.env: must be an object of texts")
    return ServiceSpec(
        name=_text(item, "name", f"{path}.name"),
        command=command,
        env=env,
        cwd=_path(item, "cwd", f"{path}.cwd"),
        port=item.get("port"),
        url=item.get("url"),
        stop_seconds=float(item.get("stop_seconds", 10.0)),
    )


def _path(item: Mapping[str, Any], key: str, path: str) -> Path:
    value = _text(item, key, path)
    if not value.startswith("/"):
        raise BadFile(f"{path}: must be an absolute path, not {value!r}")
    return Path(value)


def _text(item: Mapping[str, Any], key: str, path: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise BadFile(f"{path}: must be a text, not {value!r}")
    return value


def _texts(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadFile(f"{path}: must be a list of texts")
    return tuple(value)
