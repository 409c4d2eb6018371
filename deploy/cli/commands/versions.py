"""Models and versions: `models`, `versions`, `show`, `compare`, `metrics`, `note`, `pull`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from deploy.cli.complete import MODEL, VERSION
from deploy.cli.errors import CliError
from deploy.cli.exits import Exit
from deploy.cli.files import digest_of, download
from deploy.cli.folders import download_folder
from deploy.cli.options import READABLE, Pair
from deploy.cli.push import send_reference
from deploy.cli.refs import LATEST, find_version, model_path, version_number
from deploy.cli.session import Session, command
from deploy.cli.text import pairs, short, stamp, table
from deploy.cli.versions import HEAD, comparison, lineage_lines, row, version_lines

group = click.Group("versions")
FILTER = click.option("--filter", "where", help="Such as 'metrics.auc > 0.9'.")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    for found in group.commands.values():
        cli.add_command(found)


@command(group)
@click.option("--search", help="Part of the name, team or description.")
@FILTER
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def models(session: Session, search: str | None, where: str | None, limit: int) -> Exit:
    """The models, by name."""
    found = list(session.client.items("models", limit, search=search, filter=where))
    rows = [
        (item["name"], item["owner_team"], item["versions"], item["aliases"], stamp(item["updated_at"]))
        for item in found
    ]
    session.out.show({"items": found}, table(["MODEL", "TEAM", "VERSIONS", "ALIASES", "CHANGED"], rows))
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@FILTER
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def versions(session: Session, model: str, where: str | None, limit: int) -> Exit:
    """The versions of a model, newest first."""
    found = list(session.client.items(model_path(model, "versions"), limit, filter=where))
    session.out.show({"items": found}, table(HEAD, [row(item) for item in found]))
    return Exit.DONE


@command(group)
@click.argument("where", metavar="FILTER")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def search(session: Session, where: str, limit: int) -> Exit:
    """Versions of all models by a filter.

    \b
    Example:
      slipway search 'metrics.auc > 0.9 and tags.team = "growth"'
    """
    found = list(session.client.items("versions", limit, filter=where))
    rows = [(item["model"], *row(item)) for item in found]
    session.out.show({"items": found}, table(["MODEL", *HEAD], rows))
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", default=LATEST, shell_complete=VERSION)
def lineage(session: Session, model: str, version: str) -> Exit:
    """Where a version comes from, and what came of it."""
    path = model_path(model, "versions", version_number(session.client, model, version), "lineage")
    found = session.client.get(path)
    session.out.show(found, lineage_lines(found))
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", default=LATEST, shell_complete=VERSION)
def show(session: Session, model: str, version: str) -> Exit:
    """One version: a number, `latest` (the default) or an alias."""
    document = find_version(session.client, model, version)
    session.out.show(document, version_lines(document))
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("refs", metavar="VERSION VERSION [...]", nargs=-1, required=True, shell_complete=VERSION)
@click.option("--all", "everything", is_flag=True, help="What is the same, too.")
def compare(session: Session, model: str, refs: Sequence[str], everything: bool) -> Exit:
    """Versions side by side.

    Shows the metrics, hyper-parameters, data and code that differ.

    \b
    Example:
      slipway compare churn champion latest
    """
    if len(refs) < 2:
        raise click.UsageError("Name at least two versions.")
    documents = [find_version(session.client, model, ref) for ref in refs]
    rows = comparison(documents, everything=everything)
    head = ["", *(f"v{document['number']}" for document in documents)]
    cells = [(name, *map(short, values)) for name, values in rows]
    session.out.show(
        {
            "versions": [document["number"] for document in documents],
            "rows": [{"name": name, "values": values} for name, values in rows],
        },
        table(head, cells) if rows else ["They are the same."],
    )
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", default=LATEST, shell_complete=VERSION)
@click.option("--name", help="The whole history of this metric.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--add", multiple=True, type=Pair(number=True), help="Add a point instead of reading.")
@click.option("--step", type=click.IntRange(0), default=0, help="The step of what is added.")
def metrics(
    session: Session, model: str, version: str, name: str | None, limit: int, add: Sequence[Any], step: int
) -> Exit:
    """The metrics of a version.

    The last value of each, or with --name every point of one.

    \b
    Examples:
      slipway metrics churn champion
      slipway metrics churn 3 --name loss
      slipway metrics churn latest --add auc=0.91 --add logloss=0.31
    """
    client = session.client
    path = model_path(model, "versions", version_number(client, model, version))
    if add:
        points = [{"name": key, "value": value, "step": step} for key, value in add]
        client.post(f"{path}/metrics", {"points": points})
    if name and not add:
        found = list(client.items(f"{path}/metrics", limit, name=name))
        session.out.show({"items": found}, table(["STEP", "VALUE", "AT"], [_point(item) for item in found]))
    else:
        last = client.get(path)["metrics"]
        session.out.show({"metrics": last}, pairs(last) if last else ["No metrics."])
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", shell_complete=VERSION)
@click.argument("text", required=False)
@click.option("--tag", "tags", multiple=True, type=Pair(), help="Set a tag.")
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
def note(
    session: Session, model: str, version: str, text: str | None, tags: Sequence[Any], reason: str
) -> Exit:
    """Write notes and tags of a version.

    Everything else of a version never changes.
    """
    if text is None and not tags:
        raise click.UsageError("Say what to write: a TEXT, or --tag NAME=VALUE.")
    document = find_version(session.client, model, version)
    body: dict[str, Any] = {"reason": reason} if text is None else {"reason": reason, "notes": text}
    if tags:
        body["tags"] = document["tags"] | dict(tags)
    path = model_path(model, "versions", document["number"])
    changed = session.client.json("PATCH", path, json=body)
    session.out.show(changed, [f"{model} v{changed['number']}: noted."])
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", shell_complete=VERSION)
@click.argument("reference", type=READABLE)
@click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")
def baseline(session: Session, model: str, version: str, reference: Path, reason: str) -> Exit:
    """Compute the baseline profile of a version.

    For one that was registered without: REFERENCE is a .npz with X, or CSV or Parquet with the feature names
    as columns. A profile never changes once it is there.

    \b
    Example:
      slipway baseline churn 3 reference.parquet
    """
    path = model_path(model, "versions", version_number(session.client, model, version))
    made = send_reference(session.client, path, reference, reason)
    rows = made["profile"]["rows"]
    session.out.show(made, [f"{model} v{made['number']}: profile of {rows:,} rows from {reference.name}"])
    return Exit.DONE


@command(group)
@click.argument("model", shell_complete=MODEL)
@click.argument("version", default=LATEST, shell_complete=VERSION)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file, or a folder to put it into.")
@click.option("-f", "--force", is_flag=True, help="Replace a file that is there.")
def pull(session: Session, model: str, version: str, output: Path | None, force: bool) -> Exit:
    """Fetch the artifact of a version.

    A download that was cut off goes on where it stopped. The digest is verified before the file appears
    under its name.
    """
    document = find_version(session.client, model, version)
    is_folder = document.get("file_count", 0) > 0
    name = f"{model}-{document['number']}" + ("" if is_folder else f".{document['format'] or 'bin'}")
    target = output / name if output and output.is_dir() else output or Path(name)
    there = target.is_file() and digest_of(target) == document["digest"]
    if target.exists() and not there and (is_folder or not force or target.is_dir()):
        hint = "Name another place with -o." if target.is_dir() else "--force replaces it."
        raise CliError(f"{target} is there already, with other content.", hint=hint)
    if document.get("state", "ready") != "ready":
        raise CliError(f"{model} v{document['number']} is {document['state']}.", exit=Exit.REFUSED)
    path = model_path(model, "versions", document["number"])
    if is_folder:
        download_folder(session.client, path, target, document["digest"])
    elif not there:
        download(session.client, f"{path}/artifact", target, size=document["size"], digest=document["digest"])
    session.out.show(
        {"path": str(target), "digest": document["digest"], "size": document["size"], "was_there": there},
        [f"{target}  {document['digest']}"],
    )
    return Exit.DONE


def _point(item: dict[str, Any]) -> tuple[Any, ...]:
    return item["step"], item["value"], stamp(item["at"])
