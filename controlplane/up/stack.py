"""The production stack on one machine: which processes, which settings, which files. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.up.site import HOST, Service, Site, serving_of

DATABASE = ROLE = "slipway"
WORKERS = 2
EXPORTERS = (*(f"worker-{number}" for number in range(1, WORKERS + 1)), "tick")
# Messages that each worker works on at once.
CONCURRENCY = 2


@dataclass(frozen=True)
class Programs:
    """Paths of the packaged servers, and what to put before a command so that it does not run as root."""

    postgres: str
    redis: str
    prometheus: str
    as_user: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackSite(Site):
    """A site with its own PostgreSQL, Redis and Prometheus."""

    postgres_port: int = 0
    redis_port: int = 0
    prometheus_port: int = 0
    # Where workers and `tick` answer /metrics, by service.
    exporters: Mapping[str, int] = field(default_factory=dict)

    @property
    def info(self) -> dict[str, object]:
        """The ports as well, which the next start keeps."""
        ports = {
            "postgres": self.postgres_port,
            "redis": self.redis_port,
            "prometheus": self.prometheus_port,
            **self.exporters,
        }
        return {**super().info, "ports": ports, "prometheus_url": self.prometheus_url}

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus answers."""
        return f"http://{HOST}:{self.prometheus_port}"

    @property
    def secrets(self) -> Path:
        """The folder of files that `*_FILE` settings name."""
        return self.home / "secrets"

    @property
    def environment(self) -> dict[str, str]:
        """Slipway's settings as in production; secrets are files."""
        return {
            **super().environment,
            "SLIPWAY_SECRET_KEY_FILE": str(self.home / "secret_key"),
            "SLIPWAY_DATABASE_URL_FILE": str(self.secrets / "database-url"),
            "SLIPWAY_REDIS_URL_FILE": str(self.secrets / "redis-url"),
            "SLIPWAY_METRICS_SOURCE": "monitoring.adapters.prometheus.PrometheusSource",
            "SLIPWAY_PROMETHEUS_URL": self.prometheus_url,
            "SLIPWAY_NOTICES_QUEUE": "notices",
            "SLIPWAY_STATIC_ROOT": str(self.home / "static"),
            "SLIPWAY_LOG_FORMAT": "json",
            "SLIPWAY_BIND": f"{HOST}:{self.port}",
        }

    def database_url(self, password: str) -> str:
        """The value of SLIPWAY_DATABASE_URL."""
        return f"postgresql://{ROLE}:{password}@{HOST}:{self.postgres_port}/{DATABASE}"

    def redis_url(self, password: str) -> str:
        """The value of SLIPWAY_REDIS_URL."""
        return f"redis://:{password}@{HOST}:{self.redis_port}/0"


def stack_services(site: StackSite, programs: Programs) -> tuple[Service, ...]:
    """In the order of their start; they are stopped in the reverse order, the servers of data last."""
    return (
        postgres(site, programs),
        Service("redis", (str(site.home / "redis" / "redis.conf"),), site.redis_port, program=programs.redis),
        prometheus(site, programs),
        *serving_of(site),
        Service(
            "web",
            ("-m", "gunicorn", "-c", "python:controlplane.server", "controlplane.wsgi:application"),
            site.port,
            f"{site.url}/healthz",
            stop_seconds=25.0,
        ),
        *(_worker(site, name) for name in EXPORTERS[:-1]),
        Service("tick", ("manage.py", "tick"), settings=_exporting(site, "tick")),
        Service("intake", ("manage.py", "intake")),
    )


def postgres(site: StackSite, programs: Programs) -> Service:
    """PostgreSQL as its package has it, but for the place, the port and who may connect."""
    folder = site.home / "postgres"
    options = {
        "listen_addresses": HOST,
        "port": str(site.postgres_port),
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    flags = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
    command = (*programs.as_user, programs.postgres, "-D", str(folder / "data"), *flags)
    return Service("postgres", command[1:], site.postgres_port, stop_seconds=30.0, program=command[0])


def prometheus(site: StackSite, programs: Programs) -> Service:
    """Prometheus with the files of `prometheus_files`."""
    folder = site.home / "prometheus"
    arguments = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{site.prometheus_port}",
        "--log.level=warn",
    )
    return Service(
        "prometheus", arguments, site.prometheus_port, f"{site.prometheus_url}/-/ready",
        program=programs.prometheus,
    )  # fmt: skip


def _exporting(site: StackSite, name: str) -> dict[str, str]:
    return {"SLIPWAY_METRICS_PORT": str(site.exporters[name])} if name in site.exporters else {}


def _worker(site: StackSite, name: str) -> Service:
    arguments = (
        "-m", "celery", "-A", "controlplane", "worker", "--hostname", f"{name}@%h",
        "--concurrency", str(CONCURRENCY), "-Q", "celery,notices",
        "--without-gossip", "--without-mingle", "--loglevel", "WARNING",
    )  # fmt: skip
    return Service(name, arguments, stop_seconds=20.0, settings=_exporting(site, name))


def prometheus_file(site: StackSite) -> str:
    """prometheus.yml: the fleet's servers as the fleet lists them, and Slipway itself."""
    rules = site.root / "deploy" / "prometheus"
    exporters = ", ".join(f'"{HOST}:{port}"' for port in site.exporters.values())
    return f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 5s}}
rule_files: [{rules}/*.yml]
scrape_configs:
  - job_name: servers
    honor_labels: true
    file_sd_configs: [{{files: [{site.home}/fleet/targets.json], refresh_interval: 1s}}]
  - job_name: slipway
    scrape_interval: 15s
    scrape_timeout: 10s
    authorization: {{credentials_file: {site.secrets}/metrics-token}}
    static_configs: [{{targets: ["{HOST}:{site.port}"]}}]
  - job_name: slipway-processes
    scrape_interval: 15s
    static_configs: [{{targets: [{exporters}]}}]
"""


def redis_file(site: StackSite, password: str) -> str:
    """redis.conf: nothing on disk, since the database is the truth."""
    return f"""\
bind {HOST}
port {site.redis_port}
dir {site.home}/redis
requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
"""
