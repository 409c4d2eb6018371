"""`slipway score`: a version over the tables of a folder or a bucket, in the background of the server."""

from __future__ import annotations

import click

from deploy.cli.client import Document
from deploy.cli.complete import MODEL, VERSION
from deploy.cli.exits import Exit
from deploy.cli.refs import model_path, version_number
from deploy.cli.session import Session, command
from deploy.cli.text import line, pairs, table

INTERVAL = 2.0
ENDINGS = {"succeeded": Exit.DONE, "failed": Exit.NEEDS_PERSON, "cancelled": Exit.CANCELLED}
group = click.Group("score", help="Scoring tables with a version, in the background of the server.")
WAIT = click.option("--wait", is_flag=True, help="Wait until it has ended.")
REASON = click.option("-m", "--reason", default="", help="Why; kept in the audit trail.")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    cli.add_command(group)


@command(group, "start")
@click.argument("model", shell_complete=MODEL)
@click.argument("version", shell_complete=VERSION)
@click.argument("source")
@click.argument("target")
@click.option("--chunk-rows", type=click.IntRange(1), help="Rows a chunk; the server's default is 10,000.")
@REASON
@WAIT
def start(
    session: Session,
    model: str,
    version: str,
    source: str,
    target: str,
    chunk_rows: int | None,
    reason: str,
    wait: bool,
) -> Exit:
    """Score the tables in SOURCE into TARGET.

    Both are folders or s3://bucket/prefix that the server allows. VERSION is a number, `latest` or an alias.
    """
    number = version_number(session.client, model, version)
    document: dict[str, object] = {"source": source, "target": target, "reason": reason}
    if chunk_rows:
        document["chunk_rows"] = chunk_rows
    job = session.client.post(model_path(model, "versions", number, "scorings"), document)
    return _end(session, job, wait)


@command(group, "list")
@click.option("--state", type=click.Choice(["queued", "running", *ENDINGS]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def show_all(session: Session, state: str | None, limit: int) -> Exit:
    """The newest jobs of every model you may see."""
    query = {"state": state} if state else {}
    found = list(session.client.items("scorings", limit, "before", **query))
    rows = [
        (item["id"], f"{item['model']} v{item['version']}", item["state"], _done(item), item["source"])
        for item in found
    ]
    session.out.show({"items": found}, table(["JOB", "VERSION", "STATE", "DONE", "SOURCE"], rows))
    return Exit.DONE


@command(group, "show")
@click.argument("job", type=click.IntRange(1))
@WAIT
def show(session: Session, job: int, wait: bool) -> Exit:
    """One job: how far it is, and what came out."""
    found = _wait(session, job) if wait else session.client.get(f"scorings/{job}")
    session.out.show(found, pairs({**found, "share": _done(found), "result": _told(found)}))
    return ENDINGS[found["state"]] if wait else Exit.DONE


@command(group, "cancel")
@click.argument("job", type=click.IntRange(1))
@REASON
def cancel(session: Session, job: int, reason: str) -> Exit:
    """Stop a job after its chunk at hand; its parts stay."""
    return _end(session, session.client.post(f"scorings/{job}/cancel", {"reason": reason}), False)


@command(group, "resume")
@click.argument("job", type=click.IntRange(1))
@REASON
@WAIT
def resume(session: Session, job: int, reason: str, wait: bool) -> Exit:
    """Go on with a failed or cancelled job after its last part."""
    return _end(session, session.client.post(f"scorings/{job}/resume", {"reason": reason}), wait)


def _end(session: Session, job: Document, wait: bool) -> Exit:
    found = _wait(session, job["id"]) if wait else job
    session.out.show(found, [_sentence(found)])
    return ENDINGS[found["state"]] if wait else Exit.DONE


def _wait(session: Session, job: int) -> Document:
    """The job when it has ended; what changes on the way is said."""
    told = ""
    while (found := session.client.get(f"scorings/{job}"))["state"] not in ENDINGS:
        if (text := _sentence(found)) != told:
            session.out.say(text)
            told = text
        session.client.rest(INTERVAL)
    return found


def _sentence(job: Document) -> str:
    said = f"job {job['id']} {job['state']}: {_done(job)}, {job['rows']:,} rows"
    if job["state"] == "succeeded":
        return f"{said} in {line(job['target'])}, {_told(job)}"
    return f"{said}{': ' + line(job['error']) if job['error'] else ''}"


def _told(job: Document) -> str:
    return f"against the baseline: {job['result']['state']}" if job["result"] else "-"


def _done(job: Document) -> str:
    return f"{int(job['share'] * 100)} %"
