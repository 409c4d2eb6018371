"""`slipway api`: any request to the REST API; `slipway completion`: the shell's completion script."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from deploy.cli.errors import CliError
from deploy.cli.exits import Exit
from deploy.cli.session import Session, command
from deploy.cli.text import table

group = click.Group("raw")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    for found in group.commands.values():
        cli.add_command(found)


@command(group)
@click.argument("method", type=click.Choice([*METHODS, "routes"], case_sensitive=False))
@click.argument("path", required=False, default="")
@click.option("-d", "--data", help="The JSON body; @FILE reads it from a file, @- from standard input.")
@click.option("--key", help="An Idempotency-Key: the request acts once however often it is sent.")
def api(session: Session, method: str, path: str, data: str | None, key: str | None) -> Exit:
    """Send any request to the REST API.

    `slipway api routes` lists what the server offers.

    \b
    Examples:
      slipway api routes
      slipway api GET rollouts/7/transitions
      slipway api POST environments -d '{"name": "staging"}'
    """
    if method.lower() == "routes":
        return _routes(session)
    headers = {"Idempotency-Key": key} if key else {}
    body = {} if data is None else {"json": _body(data)}
    document = session.client.json(
        method, path.removeprefix("/").removeprefix("api/v1/"), headers=headers, **body
    )
    click.echo(json.dumps(document, indent=None if session.out.as_json else 2))
    return Exit.DONE


@command(group)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> Exit:
    """Completion for bash, zsh or fish.

    Names of models, versions, endpoints and rollouts come from the server and are kept for a minute.

    \b
      bash: echo 'eval "$(slipway completion bash)"' >> ~/.bashrc
      zsh:  echo 'eval "$(slipway completion zsh)"' >> ~/.zshrc
      fish: slipway completion fish > ~/.config/fish/completions/slipway.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(
        kind(click.get_current_context().find_root().command, {}, "slipway", "_SLIPWAY_COMPLETE").source()
    )
    return Exit.DONE


def _routes(session: Session) -> Exit:
    client = session.client
    paths: dict[str, Any] = client.send("GET", f"{client.access.url}/api/schema/?format=json").json()["paths"]
    rows = [
        (verb.upper(), path, (what.get("description") or what.get("operationId", "")).split("\n")[0])
        for path, verbs in sorted(paths.items())
        for verb, what in verbs.items()
        if verb.upper() in METHODS
    ]
    document = {"items": [{"method": verb, "path": path, "what": what} for verb, path, what in rows]}
    session.out.show(document, table(["METHOD", "PATH", "WHAT"], rows))
    return Exit.DONE


def _body(data: str) -> Any:
    try:
        if data == "@-":
            data = sys.stdin.read()
        elif data.startswith("@"):
            data = Path(data[1:]).read_text()
        return json.loads(data)
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise CliError(f"--data is not valid JSON: {error}.", exit=Exit.USAGE) from error
