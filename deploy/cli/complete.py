"""Names for the shell's completion, from the server, kept for a minute so that a second Tab is instant."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import click

from deploy.cli.client import Client, Document
from deploy.cli.config import access, folder, read_profiles
from deploy.cli.refs import LATEST, model_path
from deploy.files import write_json

_KEPT_SECONDS = 60
# A shell that waits for Tab must not hang on a server that does not answer.
_TIMEOUT = (1.0, 2.0)
Completer = Callable[[click.Context, click.Parameter, str], list[str]]
Read = Callable[[Client, dict[str, Any]], list[str]]


def names(path: Callable[[dict[str, Any]], str], read: Callable[[Document], str], *more: str) -> Completer:
    """A completer of what `read` makes of the items at a path, which may depend on earlier arguments."""

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
        try:
            options = {key: context.params.get(key) for key in ("profile", "url", "ca_bundle")}
            found = access(read_profiles(), options)
            client = Client(found, tries=1, timeout=_TIMEOUT)
            items = [*more, *_kept(client, path(context.params), read)]
        # Whatever is wrong, no completion is better than a traceback at the prompt.
        except Exception:
            return []
        return [name for name in items if name.startswith(typed)]

    return complete


def _kept(client: Client, path: str, read: Callable[[Document], str]) -> list[str]:
    """The names at a path, from the cache while it is fresh. The file's name holds no token."""
    who = f"{client.access.url} {client.access.token} {path}"
    cache = folder("CACHE", "~/.cache") / f"names-{hashlib.sha256(who.encode()).hexdigest()[:24]}.json"
    if cache.exists() and 0 <= time.time() - cache.stat().st_mtime < _KEPT_SECONDS:
        kept: list[str] = json.loads(cache.read_bytes())["names"]
        return kept
    found = [read(item) for item in client.items(path, 200)]
    write_json(cache, {"names": found})
    return found


def _name(item: Document) -> str:
    return str(item["name"])


MODEL = names(lambda given: "models", _name)
ENDPOINT = names(lambda given: "endpoints", _name)
ENVIRONMENT = names(lambda given: "environments", _name)
ALIAS = names(lambda given: model_path(given["model"], "aliases"), _name)
VERSION = names(
    lambda given: model_path(given["model"], "versions"), lambda item: str(item["number"]), LATEST
)
_NUMBER = names(lambda given: "rollouts", lambda item: str(item["id"]))


def ROLLOUT(context: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """An endpoint, which stands for its newest rollout, or a rollout's number."""
    return ENDPOINT(context, param, typed) + _NUMBER(context, param, typed)
