"""Settings that are missing or contradict each other, found before anything starts, each with its mend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning
from django.http.request import validate_host

from controlplane import env

Findings = Iterator[CheckMessage]
KUBERNETES = "rollouts.adapters.kubernetes."


def register() -> None:
    """Makes Django run them: contradictions always, what production needs with `check --deploy`."""
    for check in (two_sources, addresses, prometheus, unused, kubernetes, pool, fallback_keys, scoring):
        checks.register(_listed(check), checks.Tags.compatibility)
    for check in (secret_key, hosts, engines, static_files, typing_errors):
        checks.register(_listed(check), checks.Tags.security, deploy=True)


def _listed(check: Callable[[], Findings]) -> Callable[..., list[CheckMessage]]:
    def run(**_: Any) -> list[CheckMessage]:
        return list(check())

    run.__name__ = run.__qualname__ = check.__name__
    return run


def two_sources() -> Findings:
    """E001: a setting is given as a value and as a file, and nobody knows which was meant."""
    for name in sorted(env.names):
        if os.environ.get(name) and os.environ.get(f"{name}_FILE"):
            yield Error(
                f"{name} and {name}_FILE are both set.", hint="Keep one of them.", id="controlplane.E001"
            )


def addresses() -> Findings:
    """E002: TLS is on and links are not https. E003: links lead to a host that is refused."""
    address = urlsplit(settings.SLIPWAY_PUBLIC_URL)
    if settings.SLIPWAY_TLS and address.scheme != "https":
        yield Error(
            f"SLIPWAY_TLS is on, but SLIPWAY_PUBLIC_URL is {settings.SLIPWAY_PUBLIC_URL}.",
            hint="Set SLIPWAY_PUBLIC_URL to the https:// address that people open.",
            id="controlplane.E002",
        )
    if address.hostname and not validate_host(address.hostname, settings.ALLOWED_HOSTS or ["localhost"]):
        yield Error(
            f"SLIPWAY_PUBLIC_URL leads to {address.hostname}, which SLIPWAY_ALLOWED_HOSTS refuses.",
            hint=f"Add {address.hostname} to SLIPWAY_ALLOWED_HOSTS.",
            id="controlplane.E003",
        )


def prometheus() -> Findings:
    """E004: two ways to sign in. E005: half of a client certificate. E006: a file that is not there."""
    if settings.SLIPWAY_PROMETHEUS_AUTH and settings.SLIPWAY_PROMETHEUS_TOKEN:
        yield Error(
            "SLIPWAY_PROMETHEUS_AUTH and SLIPWAY_PROMETHEUS_TOKEN are both set.",
            hint="Keep the one that the server asks for.",
            id="controlplane.E004",
        )
    if settings.SLIPWAY_PROMETHEUS_KEY and not settings.SLIPWAY_PROMETHEUS_CERTIFICATE:
        yield Error(
            "SLIPWAY_PROMETHEUS_KEY is set without SLIPWAY_PROMETHEUS_CERTIFICATE.",
            hint="Name the certificate that belongs to the key.",
            id="controlplane.E005",
        )
    for name in ("SLIPWAY_PROMETHEUS_CA", "SLIPWAY_PROMETHEUS_CERTIFICATE", "SLIPWAY_PROMETHEUS_KEY"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            hint = "Mount the file, or leave the setting empty."
            yield Error(f"{name} is {path}, which cannot be read.", hint=hint, id="controlplane.E006")


def unused() -> Findings:
    """W001: a setting that nothing reads, because another one chose otherwise."""
    for given, name, chooser, wanted in (
        (settings.SLIPWAY_S3_BUCKET, "SLIPWAY_S3_BUCKET", "SLIPWAY_ARTIFACT_STORE", ".s3."),
        (settings.SLIPWAY_PROMETHEUS_URL, "SLIPWAY_PROMETHEUS_URL", "SLIPWAY_METRICS_SOURCE", ".prometheus."),
        (settings.SLIPWAY_KUBERNETES_FILE, "SLIPWAY_KUBERNETES_FILE", "SLIPWAY_CLUSTER", ".kubernetes."),
        (settings.SLIPWAY_NOTICES_QUEUE, "SLIPWAY_NOTICES_QUEUE", "CELERY_BROKER_URL", "://"),
    ):
        chosen = getattr(settings, chooser)
        ours = not chosen or chosen.startswith(("registry.", "monitoring.", "rollouts."))
        if given and ours and wanted not in chosen:
            other = "SLIPWAY_REDIS_URL" if chooser == "CELERY_BROKER_URL" else chooser
            yield Warning(
                f"{name} is set, but {other} is {chosen or 'empty'}, so nothing reads it.",
                hint=f"Set {other} accordingly, or drop {name}.",
                id="controlplane.W001",
            )


def kubernetes() -> Findings:
    """E007: one of cluster and router is Kubernetes', the other is not. E008: its file is missing."""
    chosen = [settings.SLIPWAY_CLUSTER, settings.SLIPWAY_ROUTER]
    there = [path.startswith(KUBERNETES) for path in chosen]
    if any(there) and any(path.startswith("rollouts.adapters.local.") for path in chosen):
        yield Error(
            f"SLIPWAY_CLUSTER is {chosen[0]}, but SLIPWAY_ROUTER is {chosen[1]}.",
            hint="Servers in Kubernetes need a router there: GatewayApiRouter or IstioRouter, "
            f"both in {KUBERNETES[:-1]}.",
            id="controlplane.E007",
        )
    path = settings.SLIPWAY_KUBERNETES_FILE
    if any(there) and not os.access(path, os.R_OK):
        yield Error(
            f"SLIPWAY_KUBERNETES_FILE is {path or 'empty'}: there is no file that can be read.",
            hint="Name a YAML file that says where servers run; docs/kubernetes.md has one.",
            id="controlplane.E008",
        )


def pool() -> Findings:
    """E009: a pool that could hold no connection."""
    options: Any = _database().get("OPTIONS", {})
    size = options["pool"]["max_size"] if "pool" in options else 1
    if size < 1:
        yield Error(
            f"SLIPWAY_DATABASE_POOL is {size}.",
            hint="Use at least 1; the default is 10.",
            id="controlplane.E009",
        )


def _database() -> dict[str, Any]:
    return dict(settings.DATABASES["default"])


def fallback_keys() -> Findings:
    """W002: the key in force is named again among the earlier ones."""
    if settings.SECRET_KEY in settings.SECRET_KEY_FALLBACKS:
        yield Warning(
            "SLIPWAY_SECRET_KEY_FALLBACKS holds the key that is in force.",
            hint="Name only earlier keys there.",
            id="controlplane.W002",
        )


def scoring() -> Findings:
    """E010: a place of tables that is none. E011: the Job of scoring jobs is missing."""
    for place in settings.SLIPWAY_TABLES:
        if not place.startswith(("/", "s3://")):
            yield Error(
                f"SLIPWAY_TABLES names {place.partition('?')[0]}.",
                hint="Write folders from the root and s3://bucket/prefix, separated by commas.",
                id="controlplane.E010",
            )
    path = settings.SLIPWAY_SCORING_JOB_FILE
    if path and not os.access(path, os.R_OK):
        yield Error(
            f"SLIPWAY_SCORING_JOB_FILE is {path}, which cannot be read.",
            hint="Name the manifest of a Kubernetes Job, or leave it empty: then workers score.",
            id="controlplane.E011",
        )


def secret_key() -> Findings:
    """E101: the key was made up by this machine, and no other one would know it."""
    if not (os.environ.get("SLIPWAY_SECRET_KEY") or os.environ.get("SLIPWAY_SECRET_KEY_FILE")):
        yield Error(
            "SLIPWAY_SECRET_KEY is not set, so each machine makes up its own.",
            hint='Set it, or SLIPWAY_SECRET_KEY_FILE, to one secret for all: python -c "import secrets; '
            'print(secrets.token_urlsafe(50))"',
            id="controlplane.E101",
        )


def hosts() -> Findings:
    """E102: only this machine may ask. W101: any name may."""
    allowed = set(settings.ALLOWED_HOSTS)
    if allowed <= {"localhost", "127.0.0.1", "[::1]", "testserver"}:
        hint = "Name the hosts under which people reach it, separated by commas."
        yield Error("SLIPWAY_ALLOWED_HOSTS names this machine only.", hint=hint, id="controlplane.E102")
    if "*" in allowed:
        hint = "Name the hosts; with * anybody's name leads here, and links in mails follow it."
        yield Warning("SLIPWAY_ALLOWED_HOSTS allows every host.", hint=hint, id="controlplane.W101")


def engines() -> Findings:
    """W102: SQLite. W103: no queue. W104: metrics from the scraper of one machine."""
    if "sqlite3" in _database()["ENGINE"]:
        hint = "Set SLIPWAY_DATABASE_URL to a PostgreSQL: SQLite serves the processes of one machine."
        yield Warning("SLIPWAY_DATABASE_URL is not set.", hint=hint, id="controlplane.W102")
    if not settings.CELERY_BROKER_URL:
        hint = "Set SLIPWAY_REDIS_URL, so that workers share the ticks and processes share rate limits."
        yield Warning("SLIPWAY_REDIS_URL is not set.", hint=hint, id="controlplane.W103")
    if settings.SLIPWAY_METRICS_SOURCE.startswith("monitoring.adapters.scrape."):
        hint = "Set SLIPWAY_METRICS_SOURCE=monitoring.adapters.prometheus.PrometheusSource and its address."
        yield Warning("Metrics come from the scraper of one machine.", hint=hint, id="controlplane.W104")


def static_files() -> Findings:
    """W105: styles and scripts are looked for in packages. E103: they are not where they should be."""
    if settings.STATIC_ROOT is None:
        hint = "Set SLIPWAY_STATIC_ROOT to a folder and run `manage.py collectstatic`."
        yield Warning("SLIPWAY_STATIC_ROOT is not set.", hint=hint, id="controlplane.W105")
    elif not (Path(settings.STATIC_ROOT) / "controlplane").is_dir():
        hint = "Run `manage.py collectstatic --noinput` where the image is made."
        yield Error(f"{settings.STATIC_ROOT} holds no styles.", hint=hint, id="controlplane.E103")


def typing_errors() -> Findings:
    """W106: a variable that looks like a setting, and is none."""
    for name in sorted(os.environ):
        known = name in env.names or name.removesuffix("_FILE") in env.names
        if not name.startswith("SLIPWAY_") or known:
            continue
        close = get_close_matches(name, env.names, n=1, cutoff=0.9)
        if close:
            yield Warning(f"Nothing reads {name}.", hint=f"Is {close[0]} meant?", id="controlplane.W106")
