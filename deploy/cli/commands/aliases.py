"""`slipway alias`: movable names for versions."""

from __future__ import annotations

import click

from deploy.cli.complete import ALIAS, MODEL, VERSION
from deploy.cli.exits import Exit
from deploy.cli.refs import model_path, version_number
from deploy.cli.session import Session, command
from deploy.cli.text import stamp, table

group = click.Group("alias", help="Movable names for versions, such as champion.")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    cli.add_command(group)


@command(group, "list")
@click.argument("model", shell_complete=MODEL)
def show(session: Session, model: str) -> Exit:
    """The aliases of a model."""
    answer = session.client.get(model_path(model, "aliases"))
    rows = [(item["name"], f"v{item['version']}", stamp(item["updated_at"])) for item in answer["items"]]
    session.out.show(answer, table(["ALIAS", "VERSION", "MOVED"], rows))
    return Exit.DONE


@command(group, "set")
@click.argument("model", shell_complete=MODEL)
@click.argument("alias", shell_complete=ALIAS)
@click.argument("version", shell_complete=VERSION)
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
def set_alias(session: Session, model: str, alias: str, version: str, reason: str) -> Exit:
    """Make ALIAS point at VERSION.

    VERSION is a number, `latest` or another alias.
    """
    number = version_number(session.client, model, version)
    path = model_path(model, "aliases", alias)
    moved = session.client.json("PUT", path, json={"version": number, "reason": reason})
    session.out.show(moved, [f"{model}@{alias} is v{moved['version']} now."])
    return Exit.DONE


@command(group, "delete")
@click.argument("model", shell_complete=MODEL)
@click.argument("alias", shell_complete=ALIAS)
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
def delete(session: Session, model: str, alias: str, reason: str) -> Exit:
    """Remove an alias; the version stays."""
    session.client.json("DELETE", model_path(model, "aliases", alias), params={"reason": reason})
    session.out.show({"deleted": alias}, [f"{model}@{alias} is gone."])
    return Exit.DONE
