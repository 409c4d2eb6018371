"""`slipway push`: a file becomes a version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from deploy.cli import push as pushing
from deploy.cli.complete import MODEL
from deploy.cli.errors import Problem
from deploy.cli.exits import Exit
from deploy.cli.options import READABLE, Pair, read_document
from deploy.cli.refs import model_path
from deploy.cli.session import Session, command
from deploy.cli.text import line, size

group = click.Group("push")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    for found in group.commands.values():
        cli.add_command(found)


@command(group)
@click.argument("artifact", type=click.Path(exists=True, readable=True, path_type=Path))
@click.option("--model", required=True, help="The model it is a version of.", shell_complete=MODEL)
@click.option("--create", is_flag=True, help="Make the model if it is not there yet.")
@click.option("--team", default="", help="The owner team, when the model is made.")
@click.option("--reference", type=READABLE, help="A .npz with X and optionally y, for baseline and checks.")
@click.option("--label", help="A semantic version, such as 1.4.0.")
@click.option("--metric", "metrics", multiple=True, type=Pair(number=True), help="A hold-out metric.")
@click.option("--param", "params", multiple=True, type=Pair(parsed=True), help="A hyper-parameter.")
@click.option("--tag", "tags", multiple=True, type=Pair(), help="A tag.")
@click.option("--git-sha", help="The commit it was trained from.")
@click.option("--training-run", help="The run it came from: an id or an address.")
@click.option("--dataset", "dataset_ref", help="The data set it was trained on.")
@click.option("--dataset-digest", help="The digest of that data set.")
@click.option("--framework", help="What trained it, such as scikit-learn 1.7.")
@click.option("--parent", type=int, help="The version it was trained from.")
@click.option("--notes", help="What a reader should know.")
@click.option("--requirements", type=READABLE, help="A requirements file: the dependencies, one a line.")
@click.option("--metadata", type=READABLE, help="More fields of the version, as JSON or YAML.")
@click.option("--alias", help="Point this alias at the new version.")
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
@click.option("--no-wait", is_flag=True, help="Do not wait until a large file is verified and inspected.")
@click.option("--key", help="An Idempotency-Key of your own instead of the content's digest.")
def push(session: Session, artifact: Path, model: str, create: bool, team: str, **given: Any) -> Exit:
    """Register ARTIFACT as a new version of a model.

    ARTIFACT is a file or a folder. Its SHA-256 is computed here and compared with the server's. The same
    content sent again answers with the version that is already there, so a job may be repeated. From 64 MiB
    on, and for folders, it goes in parts: the same command goes on after any break.

    \b
    Examples:
      slipway push model.onnx --model churn --metric auc=0.91 --git-sha "$(git rev-parse HEAD)"
      slipway push model.onnx --model churn --create --team growth --reference reference.npz \\
          --param depth=6 --tag owner=ada --label 1.4.0 --alias candidate
    """
    client = session.client
    made = create and pushing.ensure_model(client, model, team)
    if made:
        session.out.say(f"model {model} made")
    reference, reason = given.pop("reference"), given.pop("reason")
    key, alias, wait = given.pop("key"), given.pop("alias"), not given.pop("no_wait")
    what = pushing.Push(model, artifact, _metadata(**given), reference, reason)
    try:
        version, again = pushing.push(client, what, key=key, wait=wait)
    except Problem as problem:
        if problem.status == 404 and not create:
            problem.hint = "--create makes the model."
        raise
    if alias:
        body = {"version": version["number"], "reason": reason}
        client.json("PUT", model_path(model, "aliases", alias), json=body)
        version["aliases"] = sorted({*version["aliases"], alias})
    session.out.show(version | {"replayed": again}, _pushed(version, again))
    return Exit.DONE


def _metadata(
    metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any],
    requirements: Path | None, metadata: Path | None, **plain: Any,
) -> dict[str, Any]:  # fmt: skip
    """The API's metadata: the file's fields, and over them what the options say."""
    said = dict(read_document(metadata)) if metadata else {}
    said |= {name: value for name, value in plain.items() if value is not None}
    for name, given in (("metrics", metrics), ("hyperparameters", params), ("tags", tags)):
        if given:
            said[name] = {**said.get(name, {}), **dict(given)}
    if requirements:
        lines = (text.strip() for text in requirements.read_text().splitlines())
        said["dependencies"] = [text for text in lines if text and not text.startswith(("#", "-"))]
    return said


def _pushed(version: dict[str, Any], again: bool) -> list[str]:
    said = "was registered already" if again else "registered"
    head = f"{version['model']} v{version['number']} {said}: {version['digest']}, {size(version['size'])}"
    return [head, *(f"  finding: {line(item.get('message', item))}" for item in version["findings"])]
