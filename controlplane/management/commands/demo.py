"""`manage.py demo`: Slipway with real models, real traffic and releases that go well and badly."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from controlplane.up.accounts import DEMO_ACCESS, ensure_accounts, write_access
from controlplane.up.command import LaunchCommand
from controlplane.up.launch import Extra, Say, launch
from controlplane.up.place import NotPossible
from controlplane.up.site import Service, Site


class Command(LaunchCommand):
    """Start Slipway with the demo's users, models, traffic and releases."""

    help = "Start Slipway with trained models, traffic and a run of releases; Ctrl-C stops it all."

    def launch(self, **options: Any) -> None:
        launch(self.say, prepare)


def prepare(site: Site, say: Say) -> Extra:
    """Users, models and `demo.json`; the two processes that make the demo move."""
    models = site.home / "demo-models"
    say(train(site, models))
    accounts = ensure_accounts(site.home / DEMO_ACCESS)
    write_access(site.home / DEMO_ACCESS, site, accounts)
    say(f"{len(accounts)} users ready")
    home = ("--home", str(site.home), "--models", str(models))
    return Extra(
        services=(
            Service("traffic", ("-m", "deploy.demo.traffic", *home, "--gateway", site.gateway_url)),
            Service("director", ("-m", "deploy.demo.director", *home)),
        ),
        banner=(
            "",
            *(f"  {account.user:<16} password {account.password}" for account in accounts.values()),
            "",
            f"what the releases do, or how they ended: tail -f {site.home / 'logs' / 'director.log'}",
        ),
    )


def train(site: Site, folder: Path) -> str:
    """Train the models unless they are there; in a process of its own, since deploy is not imported here."""
    command = (site.python, "-m", "deploy.demo.models", "--if-missing", str(folder))
    done = subprocess.run(command, cwd=site.root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotPossible(f"the demo's models could not be trained: {why}")
    return done.stdout.strip().splitlines()[-1]
