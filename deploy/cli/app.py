"""The command itself: its groups, and how errors become an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from deploy.cli import exits
from deploy.cli.commands import (
    aliases,
    endpoints,
    profiles,
    push,
    raw,
    rollouts,
    scoring,
    steering,
    versions,
)  # fmt: skip
from deploy.cli.errors import CliError
from deploy.cli.exits import Exit
from deploy.cli.version import version

EPILOG = f"""\b
Examples:
  slipway login https://slipway.example.org
  slipway push model.onnx --model churn --metric auc=0.91 --git-sha "$(git rev-parse HEAD)"
  slipway rollout start churn-production latest -m "weekly retraining" --wait --timeout 2h

\b
Exit status:
{exits.table()}

\b
Environment:
  SLIPWAY_URL, SLIPWAY_TOKEN   server and token, instead of a profile
  SLIPWAY_PROFILE              which profile to use
  SLIPWAY_CA_BUNDLE            certificate authorities for TLS
  CI                           when set: plain lines instead of redrawn ones
  NO_COLOR                     when set: no colours
"""


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"slipway {version()}")
        context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EPILOG
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print it."
)
def cli() -> None:
    """Release ML models with Slipway, from a terminal or a pipeline."""


for module in (profiles, push, versions, aliases, scoring, rollouts, steering, endpoints, raw):
    module.add_to(cli)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    try:
        colour = False if os.environ.get("NO_COLOR") else None
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="slipway",
            standalone_mode=False,
            color=colour,
        )
        return int(result) if isinstance(result, int) else Exit.DONE
    except CliError as error:
        error.show()
        return error.exit
    except click.ClickException as error:
        _show_usage(error, sys.argv[1:] if arguments is None else arguments)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED


def _show_usage(error: click.ClickException, arguments: Sequence[str]) -> None:
    """What click found wrong with the command line, before any command knew that JSON is wanted."""
    if "--json" in arguments:
        told = CliError(
            error.format_message(), exit=Exit.USAGE if error.exit_code == Exit.USAGE else Exit.FAILED
        )
        told.as_json = True
        told.show()
    else:
        error.show()


def run() -> None:
    """The entry point of the installed script."""
    sys.exit(main())
