"""Where one machine's Slipway lives, and which processes it consists of. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
WEB_WORKERS = 2
WEB_THREADS = 8


@dataclass(frozen=True)
class Site:
    """The folder, the code and the ports. `python` is the interpreter that runs every service."""

    home: Path
    root: Path
    python: str
    port: int
    gateway_port: int

    @property
    def url(self) -> str:
        """The pages' base URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def gateway_url(self) -> str:
        """The base URL of the models' endpoints."""
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def info(self) -> dict[str, Any]:
        """What the next run and other programs read in run.json."""
        return {"url": self.url, "gateway_url": self.gateway_url, "gateway_port": self.gateway_port}

    @property
    def environment(self) -> dict[str, str]:
        """What every service has to know."""
        return {
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_PORT": str(self.port),
            "SLIPWAY_GATEWAY_URL": self.gateway_url,
            "PYTHONUNBUFFERED": "1",
        }


@dataclass(frozen=True)
class Service:
    """A long-lived process: arguments of the Python interpreter, and how to tell that it is ready.

    With `program` that is run instead of the interpreter; `settings` are its own, beside the site's. It is
    ready when `url` answers 200, else when `port` accepts connections, else when it lives.
    """

    name: str
    arguments: tuple[str, ...]
    port: int | None = None
    url: str | None = None
    stop_seconds: float = 10.0
    program: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def services_of(site: Site) -> tuple[Service, ...]:
    """Slipway's own services in the order of their start; they are stopped in the reverse order."""
    return (
        *serving_of(site),
        Service("scrape", ("manage.py", "scrape")),
        Service("web", _gunicorn(site), site.port, f"{site.url}/healthz"),
        Service("tick", ("manage.py", "tick")),
        Service("intake", ("manage.py", "intake")),
    )


def serving_of(site: Site) -> tuple[Service, ...]:
    """What serves models on one machine."""
    home, gateway = str(site.home), f"{HOST}:{site.gateway_port}"
    return (
        Service(
            "gateway",
            ("-m", "deploy.gateway", "--home", home, "--port", str(site.gateway_port)),
            site.gateway_port,
            f"{site.gateway_url}/-/health",
        ),
        Service("fleet", ("-m", "deploy.fleet", "--home", home, "--gateway", gateway), stop_seconds=20.0),
    )


def _gunicorn(site: Site) -> tuple[str, ...]:
    return (
        "-m", "gunicorn", "-c", "python:controlplane.processes", "controlplane.wsgi:application",
        "--bind", f"{HOST}:{site.port}",
        "--worker-class", "gthread", "--workers", str(WEB_WORKERS), "--threads", str(WEB_THREADS),
        "--timeout", "60", "--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket",
    )  # fmt: skip


def services_document(site: Site, services: Iterable[Service], banner: Iterable[str]) -> dict[str, Any]:
    """`services.json`, as deploy.fleet.services reads it."""
    return {
        "logs": str(site.home / "logs"),
        "run": str(site.home / "run.json"),
        "lock": str(site.home / "lock"),
        "banner": list(banner),
        "info": site.info,
        "services": [_entry(site, service) for service in services],
    }


def _entry(site: Site, service: Service) -> Mapping[str, Any]:
    return {
        "name": service.name,
        "command": [service.program or site.python, *service.arguments],
        "env": {**site.environment, **service.settings},
        "cwd": str(site.root),
        "port": service.port,
        "url": service.url,
        "stop_seconds": service.stop_seconds,
    }
