"""`slipway rollout`: start, look, follow."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from deploy.cli.client import Document
from deploy.cli.complete import ENDPOINT, MODEL, ROLLOUT
from deploy.cli.exits import Exit
from deploy.cli.follow import INTERVAL, Follower
from deploy.cli.options import READABLE, Duration, Pair, read_document
from deploy.cli.refs import rollout_number, version_number
from deploy.cli.rollouts import HEAD, plan_lines, rows, state_lines
from deploy.cli.session import Function, Session, command
from deploy.cli.text import line, span, table

group = click.Group("rollout", help="Start, follow and steer rollouts.")
STRATEGY = click.option("--strategy", help="canary (the default), blue_green, shadow, ab, ...")
TEMPLATE = click.option("--template", help="A saved plan: its name, or name@3 for one of its versions.")
SETTINGS = click.option(
    "--set", "settings", multiple=True, type=Pair(parsed=True), help="A parameter, such as steps=[5,50]."
)
FILE = click.option(
    "-f", "--file", type=READABLE, help="The request as JSON or YAML: strategy, parameters, ..."
)
KEY = click.option("--key", help="An Idempotency-Key: with the same one again nothing more happens.")
REASON = click.option("-m", "--reason", required=True, help="Why; kept in the timeline.")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    cli.add_command(group)


def waits(function: Function) -> Function:
    """The options of commands that can wait for the end; they arrive together as `waiting`."""

    @functools.wraps(function)
    def run(
        session: Session, *, timeout: float | None, interval: float, through_pauses: bool, **given: Any
    ) -> Any:
        waiting = {"timeout": timeout, "interval": interval, "through_pauses": through_pauses}
        return function(session, waiting=waiting, **given)

    found: Function = run
    for option in (
        click.option("--through-pauses", is_flag=True, help="Wait on while it is paused."),
        click.option("--interval", type=Duration(), default=INTERVAL, help="Between two looks."),
        click.option("--timeout", type=Duration(), help="Give up waiting after 90s, 30m, 2h, ..."),
    ):
        found = option(found)
    return found


def follow(session: Session, number: int, *, interval: float, **waiting: Any) -> Exit:
    """Wait for the end of a rollout, with the options of `waiting`."""
    return Follower(session.client, number, session.out, interval=max(interval, 0.2), **waiting).run()


@command(group)
@click.argument("endpoint", shell_complete=ENDPOINT)
@click.argument("version")
@REASON
@STRATEGY
@TEMPLATE
@SETTINGS
@FILE
@click.option("--supersede", is_flag=True, help="Take the place of a rollout that is under way.")
@click.option("--break-glass", is_flag=True, help="Let neither a freeze nor an approval hold it.")
@KEY
@click.option("--wait", is_flag=True, help="Wait for the end; the exit status tells it.")
@waits
def start(
    session: Session, endpoint: str, version: str, key: str | None, wait: bool, waiting: Any, **given: Any
) -> Exit:
    """Start moving ENDPOINT to VERSION.

    VERSION is a number, `latest` or an alias. Ctrl-C while waiting leaves the rollout running.

    \b
    Examples:
      slipway rollout start churn-production latest -m "weekly retraining" --wait --timeout 2h
      slipway rollout start churn-production 7 -m "better recall" --set steps=[5,50]
      slipway rollout start churn-production candidate -m "new data" -f canary.yaml --key "$CI_JOB_ID"
    """
    client = session.client
    model = client.get(f"endpoints/{quote(endpoint, safe='')}")["model"]
    body = _request(**given) | {"endpoint": endpoint, "version": version_number(client, model, version)}
    rollout = client.post("rollouts", body, key=key or secrets.token_hex(16))
    show_started(session, rollout, wait)
    return follow(session, rollout["id"], **waiting) if wait else Exit.DONE


@command(group)
@click.argument("endpoint", shell_complete=ENDPOINT)
@STRATEGY
@TEMPLATE
@SETTINGS
@FILE
def plan(session: Session, endpoint: str, **given: Any) -> Exit:
    """Preview a rollout without starting it.

    \b
    Example:
      slipway rollout plan churn-production --set steps=[5,50]
    """
    preview = session.client.post("rollouts/preview", _request(**given) | {"endpoint": endpoint})
    least = preview.get("least_seconds")
    end = [f"It takes at least {span(least)}."] if least is not None else []
    session.out.show(preview, [*plan_lines(preview), *end])
    return Exit.DONE


@command(group)
@click.argument("rollout", shell_complete=ROLLOUT)
def status(session: Session, rollout: str) -> Exit:
    """Where a rollout is.

    ROLLOUT is a number, or an endpoint for its newest rollout.
    """
    number = rollout_number(session.client, rollout)
    document = session.client.get(f"rollouts/{number}")
    looks = session.client.find(f"rollouts/{number}/looks", limit=1)
    look = looks["items"][0] if looks and looks["items"] else None
    session.out.show(document | {"look": look}, state_lines(document, look))
    return Exit.DONE


@command(group)
@click.argument("rollout", shell_complete=ROLLOUT)
@waits
def watch(session: Session, rollout: str, waiting: Any) -> Exit:
    """Follow a rollout to its end.

    The exit status tells how it ended.
    """
    return follow(session, rollout_number(session.client, rollout), **waiting)


@command(group, "list")
@click.option("--endpoint", help="Of this endpoint.", shell_complete=ENDPOINT)
@click.option("--model", help="Of this model.", shell_complete=MODEL)
@click.option("--phase", help="In this phase, or `active`.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def show(session: Session, limit: int, **wanted: str | None) -> Exit:
    """Rollouts, newest first."""
    found = list(session.client.items("rollouts", limit, cursor="before", **wanted))
    session.out.show({"items": found}, table(HEAD, rows(found)))
    return Exit.DONE


def _request(file: Path | None, strategy: str | None, settings: Sequence[Any], **more: Any) -> dict[str, Any]:
    """The request's body: the file's fields, and over them what the options say."""
    body = read_document(file) if file else {}
    if strategy is not None:
        body["strategy"] = strategy
    if settings:
        body["parameters"] = {**(body.get("parameters") or {}), **dict(settings)}
    return body | {name: value for name, value in more.items() if value}


def show_started(session: Session, rollout: Document, wait: bool) -> None:
    """What was begun; with `wait` it is the first of several events."""
    head = (
        f"rollout {rollout['id']} of {line(rollout['endpoint'])}: v{rollout['stable']} -> "
        f"v{rollout['candidate']}, {rollout['phase'].replace('_', ' ')}"
    )
    if wait:
        session.out.event({"event": "start", "rollout": rollout}, head)
    else:
        session.out.show(rollout, [head])
