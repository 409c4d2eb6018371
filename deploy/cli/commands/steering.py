"""`slipway rollout`: answer, steer, go back."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

import click

from deploy.cli.client import Document
from deploy.cli.commands.rollouts import KEY, REASON, follow, show_started, waits
from deploy.cli.complete import ENDPOINT, ROLLOUT
from deploy.cli.exits import Exit
from deploy.cli.refs import rollout_number, version_number
from deploy.cli.session import Session, command
from deploy.cli.text import line, table

group = click.Group("steering")


def add_to(cli: click.Group) -> None:
    """Add these commands to `slipway rollout`."""
    rollout = cli.commands["rollout"]
    assert isinstance(rollout, click.Group)
    for found in group.commands.values():
        rollout.add_command(found)


@command(group)
@click.argument("rollout", shell_complete=ROLLOUT)
@click.option("-m", "--comment", default="", help="What the others should know.")
@KEY
def approve(session: Session, rollout: str, comment: str, key: str | None) -> Exit:
    """Say yes where approvals are awaited."""
    return _vote(session, rollout, "approve", comment, key)


@command(group)
@click.argument("rollout", shell_complete=ROLLOUT)
@click.option("-m", "--comment", required=True, help="Why not.")
@KEY
def refuse(session: Session, rollout: str, comment: str, key: str | None) -> Exit:
    """Say no; that ends the rollout."""
    return _vote(session, rollout, "refuse", comment, key)


@command(group)
@click.argument("rollout", shell_complete=ROLLOUT)
def approvals(session: Session, rollout: str) -> Exit:
    """Who answered what, oldest first."""
    number = rollout_number(session.client, rollout)
    answer = session.client.get(f"rollouts/{number}/approvals")
    found = [
        (item["at"], item["voter"], item["role"], "yes" if item["approve"] else "no", item["comment"])
        for item in answer["items"]
    ]
    session.out.show(answer, table(["AT", "WHO", "ROLE", "ANSWER", "COMMENT"], found))
    return Exit.DONE


@command(group)
@click.argument("endpoint", shell_complete=ENDPOINT)
@REASON
@click.option("--to", "version", help="A version that served here before; else the previous one.")
@KEY
@click.option("--wait", is_flag=True, help="Wait until the traffic is back.")
@waits
def rollback(
    session: Session,
    endpoint: str,
    version: str | None,
    reason: str,
    key: str | None,
    wait: bool,
    waiting: Any,
) -> Exit:
    """Send all traffic back at once.

    With --wait, the status 0 means that it is back.

    A rollout under way is aborted; otherwise the previous version, which is kept warm, takes over.
    """
    client = session.client
    path = f"endpoints/{quote(endpoint, safe='')}"
    body: Document = {"reason": reason}
    if version is not None:
        body["version"] = version_number(client, client.get(path)["model"], version)
    rollout = client.post(f"{path}/rollback", body, key=key or secrets.token_hex(16))
    show_started(session, rollout, wait)
    if not wait:
        return Exit.DONE
    ended = follow(session, rollout["id"], **waiting)
    # An aborted rollout is what was asked for.
    return Exit.DONE if ended in {Exit.ROLLED_BACK, Exit.CANCELLED} else ended


def _verb(name: str, does: str) -> None:
    @command(group, name)
    @click.argument("rollout", shell_complete=ROLLOUT)
    @REASON
    @KEY
    @click.option("--wait", is_flag=True, help="Then wait for the end.")
    @waits
    def run(session: Session, rollout: str, reason: str, key: str | None, wait: bool, waiting: Any) -> Exit:
        number = rollout_number(session.client, rollout)
        body = {"reason": reason}
        document = session.client.post(f"rollouts/{number}/{name}", body, key=key or secrets.token_hex(16))
        show_started(session, document, wait)
        return follow(session, document["id"], **waiting) if wait else Exit.DONE

    run.help = does


_verb("pause", "Stay at the present share.\n\nA failed gate still rolls back.")
_verb("resume", "Go on with the step that was paused.")
_verb("promote", "Go straight to the promotion.\n\nNo approval is skipped.")
_verb("abort", "Give the traffic back now, in any phase.")
_verb("retry", "The same rollout once more, after one that did not succeed.")
_verb("break-glass", "Pass freezes and approvals.\n\nThe timeline says who decided so.")


def _vote(session: Session, rollout: str, answer: str, comment: str, key: str | None) -> Exit:
    number = rollout_number(session.client, rollout)
    path = f"rollouts/{number}/{answer}"
    vote = session.client.post(path, {"comment": comment}, key=key or secrets.token_hex(16))
    said = "approved" if vote["approve"] else "refused"
    session.out.show(vote, [f"rollout {number}: {said} by {line(vote['voter'])}"])
    return Exit.DONE
