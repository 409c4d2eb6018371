"""Signing in and out: `login`, `logout`, `whoami`, `profiles`."""

from __future__ import annotations

import os
import sys
from urllib.parse import urlsplit

import click

from deploy.cli.client import Client, Document
from deploy.cli.config import Access, Profile, normal_url, read_profiles
from deploy.cli.errors import CliError
from deploy.cli.exits import Exit
from deploy.cli.session import Session, command
from deploy.cli.text import line, pairs, table

_HOME = {"localhost", "127.0.0.1", "::1"}
group = click.Group("profiles")


def add_to(cli: click.Group) -> None:
    """Add these commands to `cli`."""
    for found in group.commands.values():
        cli.add_command(found)


@command(group)
@click.argument("address", metavar="[URL]", required=False)
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
def login(session: Session, address: str | None, token_stdin: bool) -> Exit:
    """Sign in to a server.

    Make a token on the server's tokens page first.

    The token is asked for without showing it, or read from standard input or SLIPWAY_TOKEN; it is kept in
    ~/.config/slipway/config.json, which only you can read. With --profile several servers are kept.

    \b
    Examples:
      slipway login https://slipway.example.org
      slipway login https://staging.example.org --profile staging
      vault read -field=token slipway/ci | slipway login https://slipway.example.org --token-stdin
    """
    profiles = read_profiles()
    options = session.options
    name = options["profile"] or os.environ.get("SLIPWAY_PROFILE") or profiles.current
    known = profiles.known.get(name)
    given = address or options["url"] or os.environ.get("SLIPWAY_URL") or (known and known.url)
    if not given:
        raise CliError("Which server?", hint="slipway login https://host", exit=Exit.USAGE)
    url = normal_url(given)
    _warn_if_clear(session, url)
    bundle = options["ca_bundle"] or os.environ.get("SLIPWAY_CA_BUNDLE") or (known and known.ca_bundle) or ""
    bundle = os.path.abspath(bundle) if bundle else ""
    token = _ask_token(token_stdin)
    me = Client(Access(url, token, bundle)).get("me")
    profiles.known[name] = Profile(url, token, bundle)
    profiles.current = name
    profiles.save()
    session.out.show(
        {"profile": name, "url": url, "user": me["user"], "role": me["role"]},
        [f"Signed in to {url} as {line(me['user'])} ({line(me['role'])}), profile {name}."],
    )
    return Exit.DONE


@command(group)
@click.option("--all", "everything", is_flag=True, help="Forget every server.")
def logout(session: Session, everything: bool) -> Exit:
    """Forget the token of a profile.

    The token itself stays valid until it is revoked on the tokens page.
    """
    profiles = read_profiles()
    name = session.options["profile"] or os.environ.get("SLIPWAY_PROFILE") or profiles.current
    gone = sorted(profiles.known) if everything else [name] if name in profiles.known else []
    for item in gone:
        del profiles.known[item]
    if gone:
        profiles.current = next(iter(sorted(profiles.known)), "default")
        profiles.save()
    session.out.show({"forgotten": gone}, [f"Forgot {', '.join(gone)}." if gone else "Nobody is signed in."])
    return Exit.DONE


@command(group)
def whoami(session: Session) -> Exit:
    """Whose token it is and what it may do."""
    me = session.client.get("me")
    document: Document = {"url": session.client.access.url, **me}
    session.out.show(document, pairs(document))
    return Exit.DONE


@command(group, "profiles")
@click.option("--use", metavar="NAME", help="Make this one the default.")
def show_profiles(session: Session, use: str | None) -> Exit:
    """The servers you signed in to.

    * marks the one used by default.
    """
    profiles = read_profiles()
    if use is not None:
        if use not in profiles.known:
            known = ", ".join(sorted(profiles.known)) or "none"
            raise CliError(f"There is no profile {use!r}.", hint=f"There is: {known}.", exit=Exit.USAGE)
        profiles.current = use
        profiles.save()
    rows = [(name, profiles.known[name].url, name == profiles.current) for name in sorted(profiles.known)]
    session.out.show(
        {"items": [{"profile": name, "url": url, "current": current} for name, url, current in rows]},
        table(["", "PROFILE", "URL"], [("*" if current else " ", name, url) for name, url, current in rows])
        if rows
        else ["Nobody is signed in."],
    )
    return Exit.DONE


def _warn_if_clear(session: Session, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _HOME:
        session.out.warn(f"{url} is not encrypted: everybody on the way can read the token.")


def _ask_token(from_stdin: bool) -> str:
    """The token; never from an argument, which other users of the machine could read."""
    if from_stdin:
        token = sys.stdin.readline()
    elif "SLIPWAY_TOKEN" in os.environ:
        token = os.environ["SLIPWAY_TOKEN"]
    elif sys.stdin.isatty():
        token = click.prompt("Token", hide_input=True, err=True)
    else:
        raise CliError("Nobody can be asked for the token.", hint="Use --token-stdin.", exit=Exit.USAGE)
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CliError("That is no token.", hint="Make one on the tokens page.", exit=Exit.NOT_AUTHENTICATED)
    return token
