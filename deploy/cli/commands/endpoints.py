"""`endpoints`, `create-endpoint`, `environments`, `freezes`: what serves where, and when."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click

from deploy.cli.client import Document
from deploy.cli.complete import ENDPOINT, MODEL
from deploy.cli.exits import Exit
from deploy.cli.refs import version_number
from deploy.cli.session import Session, command
from deploy.cli.text import pairs, span, stamp, table

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


@command(group, "create-endpoint")
@click.argument("name")
@click.argument("model", shell_complete=MODEL)
@click.argument("version")
@click.option("--environment", required=True, help="Where it lives, such as production.")
@click.option("--replicas", type=click.IntRange(1, 1000), default=1, show_default=True, help="Servers.")
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
@click.option("--key", help="An Idempotency-Key: with the same one again nothing more happens.")
def create_endpoint(session: Session, version: str, key: str | None, **given: Any) -> Exit:
    """Put MODEL into service as NAME, with VERSION serving first.

    VERSION is a number, `latest` or an alias. It takes all traffic as soon as it is ready, without a rollout.
    It needs the permission to promote.

    \b
    Example:
      slipway create-endpoint churn-production churn latest --environment production -m "first release"
    """
    client = session.client
    body = given | {"version": version_number(client, given["model"], version)}
    made = client.post("endpoints", body, key=key or secrets.token_hex(16))
    session.out.show(made, [f"{made['name']} serves {made['model']} v{made['stable']['version']} soon."])
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
    rows = [
        (item["name"], item["alias"], _place(item), policy_text(item.get("policy") or {}))
        for item in answer["items"]
    ]
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


def policy_text(policy: Document) -> str:
    """`2 approvals by release manager before promotion within 1 d; four eyes; first in staging`.

    Four eyes hold for the approvals that a plan asks for by itself, too.
    """
    parts = list(_asked(policy))
    if policy.get("four_eyes", True):
        parts.append("four eyes")
    if policy.get("after"):
        parts.append(f"first in {policy['after']}")
    if policy.get("parity"):
        parts.append("parity")
    if policy.get("without"):
        parts.append(f"without {', '.join(policy['without'])}")
    parts += [
        f"hook {hook.get('name')} on {', '.join(hook.get('on', ()))}" for hook in policy.get("hooks", ())
    ]
    return "; ".join(parts)


def _asked(policy: Document) -> Iterator[str]:
    """The approvals, with the server's defaults for what a policy leaves out."""
    for item in policy.get("approvals", ()):
        count = item.get("count", 1)
        group, within = item.get("group", "release_manager"), item.get("seconds", 86_400)
        yield (
            f"{count} approval{'s' if count > 1 else ''} by {group.replace('_', ' ')} "
            f"before {item['before']} within {span(within)}"
        )


def _place(environment: Document) -> str:
    """`eu: kubernetes with istio`; the bare name when the server's settings do not know it."""
    name = str(environment.get("target", ""))
    cluster, router = environment.get("cluster"), environment.get("router")
    return f"{name}: {cluster} with {router}" if cluster else name


def _path(name: str) -> str:
    return f"endpoints/{quote(name, safe='')}"


def _release(release: dict[str, Any] | None) -> str:
    return f"v{release['version']}" if release else ""
