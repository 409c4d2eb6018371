"""From a fresh checkout to running services: prepare the place and become the supervisor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from controlplane.up import place
from controlplane.up.site import Service, Site, services_document, services_of

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extra:
    """What a caller adds: services beside Slipway's own, and lines to print when all are ready."""

    services: tuple[Service, ...] = ()
    banner: tuple[str, ...] = ()


Prepare = Callable[[Site, Say], Extra]


def launch(say: Say, prepare: Prepare | None = None) -> NoReturn:
    """Prepare SLIPWAY_HOME, run `prepare` on the migrated database, and become the service supervisor.

    `say` gets a line per stage. Raises `place.NotPossible` before anything was started; never returns,
    because the supervisor replaces this process.
    """
    home, lock = take_home(say)
    say(migrate())
    site = Site(
        home=home,
        root=Path(settings.BASE_DIR),
        python=sys.executable,
        port=settings.SLIPWAY_PORT,
        gateway_port=place.gateway_port(home, settings.SLIPWAY_PORT),
    )
    extra = prepare(site, say) if prepare else Extra()
    connections.close_all()
    write_services(site, (*services_of(site), *extra.services), extra.banner)
    become_supervisor(site, lock, say)


def take_home(say: Say) -> tuple[Path, IO[str]]:
    """SLIPWAY_HOME, ours alone while the lock is held, its port free. Raises `place.NotPossible`."""
    home = Path(settings.SLIPWAY_HOME)
    place.prepare_home(home)
    lock = place.take(home)
    place.wait_for_leftovers(home, say)
    place.require_port(settings.SLIPWAY_PORT)
    say(f"state in {home}")
    return home, lock


def become_supervisor(site: Site, lock: IO[str], say: Say) -> NoReturn:
    """Run services.json in place of this process, and keep the lock."""
    path = site.home / "services.json"
    say("starting the services")
    os.set_inheritable(lock.fileno(), True)
    supervisor = ("-m", "deploy.fleet.services", "--file", str(path), "--lock-fd", str(lock.fileno()))
    os.chdir(site.root)
    sys.stdout.flush()
    os.execve(site.python, [site.python, *supervisor], {**os.environ, **site.environment})


def migrate() -> str:
    """Bring the database to this release; says what was done."""
    executor = MigrationExecutor(connections["default"])
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        call_command("migrate", interactive=False, verbosity=0)
    return f"database ready ({len(pending)} migrations applied)" if pending else "database ready"


def write_services(site: Site, services: Iterable[Service], lines: Iterable[str]) -> None:
    """Write services.json; `lines` are printed when all are ready."""
    banner = (
        "",
        f"Slipway is ready at {site.url}",
        f"models answer at {site.gateway_url}/<endpoint>/predict, logs are in {site.home / 'logs'}",
        *lines,
        "Ctrl-C stops everything",
    )
    path = site.home / "services.json"
    path.write_text(json.dumps(services_document(site, services, banner), indent=1))
    path.chmod(0o600)
