"""`manage.py stack`: the production stack on one machine, without containers, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser

from controlplane.up import place
from controlplane.up.accounts import ensure_accounts, write_access
from controlplane.up.command import LaunchCommand
from controlplane.up.launch import Say, become_supervisor, migrate, take_home, write_services
from controlplane.up.servers import find_programs, prepare_servers, running_postgres
from controlplane.up.site import Site
from controlplane.up.stack import EXPORTERS, StackSite, stack_services

ACCESS = "stack.json"


class Command(LaunchCommand):
    """Start PostgreSQL, Redis, Prometheus, web and Celery workers on this machine."""

    help = "Start the production stack on this machine from Debian's packages; Ctrl-C stops it all."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--prepare-database` is what the command calls itself with, once PostgreSQL runs."""
        parser.add_argument("--prepare-database", action="store_true", help="Only migrate and make accounts.")

    def launch(self, *, prepare_database: bool = False, **options: Any) -> None:
        _prepare_database(self.say) if prepare_database else _launch(self.say)


def _launch(say: Say) -> NoReturn:
    programs = find_programs()
    home, lock = take_home(say)
    site = _site(home)
    prepare_servers(site, programs)
    with running_postgres(site, programs):
        say("PostgreSQL answers")
        _call_prepared(site)
    write_services(site, stack_services(site, programs), _banner(site))
    become_supervisor(site, lock, say)


def _site(home: Path) -> StackSite:
    """Ports of the last run where they are free still."""
    port = settings.SLIPWAY_PORT
    gateway = place.gateway_port(home, port)
    before = place.last_run(home).get("ports", {})
    taken = {port, gateway}
    ports = {}
    for name in ("postgres", "redis", "prometheus", *EXPORTERS):
        ports[name] = place.free_port(before.get(name), taken)
        taken.add(ports[name])
    return StackSite(
        home, Path(settings.BASE_DIR), sys.executable, port, gateway,
        ports["postgres"], ports["redis"], ports["prometheus"], {name: ports[name] for name in EXPORTERS},
    )  # fmt: skip


def _call_prepared(site: StackSite) -> None:
    """The rest of the preparation, with the settings that every service will have."""
    command = [site.python, "manage.py", "stack", "--prepare-database"]
    environment = {**os.environ, **site.environment}
    done = subprocess.run(command, cwd=site.root, env=environment, check=False)
    if done.returncode:
        raise place.NotPossible("the database could not be prepared; the lines above say why")


def _prepare_database(say: Say) -> None:
    home = Path(settings.SLIPWAY_HOME)
    say(migrate())
    call_command("collectstatic", interactive=False, verbosity=0)
    accounts = ensure_accounts(home / ACCESS)
    site = Site(home, Path(settings.BASE_DIR), sys.executable, settings.SLIPWAY_PORT, _gateway_port())
    write_access(home / ACCESS, site, accounts)
    (home / "secrets" / "metrics-token").write_text(accounts["viewer"].token)
    say(f"{len(accounts)} users ready, in {home / ACCESS}")


def _gateway_port() -> int:
    return int(settings.SLIPWAY_GATEWAY_URL.rpartition(":")[2])


def _banner(site: StackSite) -> tuple[str, ...]:
    return (
        f"PostgreSQL on port {site.postgres_port}, Redis on {site.redis_port}, "
        f"Prometheus at {site.prometheus_url}",
        f"users, passwords and tokens are in {site.home / ACCESS}",
    )
