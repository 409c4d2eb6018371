"""What every command shares: its options for server and output, and the objects made from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from deploy.cli.client import Client
from deploy.cli.config import access, read_profiles
from deploy.cli.errors import CliError
from deploy.cli.output import Out

Function = Callable[..., Any]


@dataclass
class Session:
    """One run of one command."""

    out: Out
    options: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def client(self) -> Client:
        """The server that options, environment and profile name."""
        return Client(access(read_profiles(), self.options))


_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="JSON on standard output; errors as JSON too."),
    click.option("--profile", metavar="NAME", help="Which sign-in to use (SLIPWAY_PROFILE)."),
    click.option("--url", metavar="URL", help="Another server than the profile's (SLIPWAY_URL)."),
    click.option("--ca-bundle", metavar="FILE", help="Authorities for TLS (SLIPWAY_CA_BUNDLE)."),
)


def command(group: click.Group, name: str | None = None) -> Callable[[Function], click.Command]:
    """A command of the group whose first argument is the Session; its docstring is its help."""

    def made(function: Function) -> click.Command:
        @functools.wraps(function)
        def run(
            *, as_json: bool, profile: str | None, url: str | None, ca_bundle: str | None, **values: Any
        ) -> Any:
            options = {"profile": profile, "url": url, "ca_bundle": ca_bundle}
            try:
                return function(Session(Out(as_json), options), **values)
            except CliError as error:
                error.as_json = as_json
                raise

        for option in reversed(_OPTIONS):
            run = option(run)
        return group.command(name)(run)

    return made
