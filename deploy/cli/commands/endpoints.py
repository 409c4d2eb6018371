"""`endpoints`, `endpoint`, `environments`, `freezes`: what serves where, and when nothing may change."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from deploy.cli.client import Document
from deploy.cli.complete import ENDPOINT
from deploy.cli.exits import Exit
from deploy.cli.session import Session, command
from deploy.cli.text import pairs, stamp, table

group = click.Group("endpoints")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    for found in group.commands.values():
        cli.add_command(found)


@command(group)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def endpoints(session: Session, limit: int) -> Exit:
    """Endpoints, their versions and rollouts."""
    found = list(session.client.items("endpoints", limit))
    rows = [
        (item["name"], item["environment"], item["model"], _release(item["stable"]),
         _release(item["previous"]), item["rollout"])
        for item in found
    ]  # fmt: skip
    head = ["ENDPOINT", "ENVIRONMENT", "MODEL", "SERVES", "PREVIOUS", "ROLLOUT"]
    session.out.show({"items": found}, table(head, rows))
    return Exit.DONE


@command(group)
@click.argument("name", shell_complete=ENDPOINT)
def endpoint(session: Session, name: str) -> Exit:
    """One endpoint, with the observed shares."""
    found = session.client.get(_path(name))
    said = found | {"stable": _release(found["stable"]), "previous": _release(found["previous"])}
    said |= {name: stamp(found[name]) for name in ("created_at", "observed_at", "previous_until")}
    said["observed"] = (found["observed"] or {}).get("weights")
    session.out.show(found, pairs(said))
    return Exit.DONE


@command(group)
@click.argument("name", shell_complete=ENDPOINT)
@click.option("--at", help="What served at this moment, such as 2026-03-01T12:00:00Z.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def history(session: Session, name: str, at: str | None, limit: int) -> Exit:
    """Which version served when, newest first."""
    path = f"{_path(name)}/history"
    if at is not None:
        found = session.client.get(path, at=at)["items"]
    else:
        found = list(session.client.items(path, limit, cursor="before"))
    rows = [
        (f"v{item['version']}", stamp(item["start"]), stamp(item["end"]), item["rollout"], item["digest"])
        for item in found
    ]
    session.out.show({"items": found}, table(["VERSION", "FROM", "TO", "ROLLOUT", "DIGEST"], rows))
    return Exit.DONE


@command(group)
def environments(session: Session) -> Exit:
    """Environments, where they are, and their policies."""
    answer = session.client.get("environments")
    rows = [(item["name"], item["alias"], _place(item), item.get("policy")) for item in answer["items"]]
    session.out.show(answer, table(["ENVIRONMENT", "ALIAS", "TARGET", "POLICY"], rows))
    return Exit.DONE


@command(group)
@click.option("--ended", is_flag=True, help="Those that were ended, too.")
def freezes(session: Session, ended: bool) -> Exit:
    """Freeze windows.

    Stretches of time in which no share grows.
    """
    answer = session.client.get("freezes", ended="true" if ended else None)
    rows = [
        (item["id"], item["environment"] or "all", stamp(item["starts_at"]), stamp(item["ends_at"]),
         item["rule"], item["timezone"], item["reason"])
        for item in answer["items"]
    ]  # fmt: skip
    head = ["FREEZE", "ENVIRONMENT", "FROM", "TO", "RULE", "ZONE", "REASON"]
    session.out.show(answer, table(head, rows))
    return Exit.DONE


@command(group)
@click.option("--endpoint", help="Those that fit this endpoint.", shell_complete=ENDPOINT)
def templates(session: Session, endpoint: str | None) -> Exit:
    """Saved plans for rollouts."""
    answer = session.client.get("templates", endpoint=endpoint)
    rows = [
        (item["name"], item["model"] or "any", item["environment"] or "any", len(item["versions"]))
        for item in answer["items"]
    ]
    session.out.show(answer, table(["TEMPLATE", "MODEL", "ENVIRONMENT", "VERSIONS"], rows))
    return Exit.DONE


def _place(environment: Document) -> str:
    """`eu: kubernetes with istio`; the bare name when the server's settings do not know it."""
    name = str(environment.get("target", ""))
    cluster, router = environment.get("cluster"), environment.get("router")
    return f"{name}: {cluster} with {router}" if cluster else name


def _path(name: str) -> str:
    return f"endpoints/{quote(name, safe='')}"


def _release(release: dict[str, Any] | None) -> str:
    return f"v{release['version']}" if release else ""
