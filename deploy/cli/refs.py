"""What people call things: `3`, `v3`, `latest` or an alias for a version; an endpoint for its rollout."""

from __future__ import annotations

import re
from urllib.parse import quote

from deploy.cli.client import Client, Document
from deploy.cli.errors import CliError
from deploy.cli.exits import Exit

LATEST = "latest"


def model_path(model: str, *rest: str | int) -> str:
    """`models/churn/versions/3`, with every part quoted."""
    return "/".join(quote(str(part), safe="") for part in ("models", model, *rest))


def version_number(client: Client, model: str, ref: str) -> int:
    """The number that a version is called by: a number, `latest`, or an alias."""
    if found := re.fullmatch(r"v?(\d{1,9})", ref):
        return int(found[1])
    if ref == LATEST:
        newest = client.get(model_path(model, "versions"), limit=1)["items"]
        if not newest:
            raise CliError(f"{model} has no version yet.", exit=Exit.NOT_FOUND)
        return int(newest[0]["number"])
    aliases = {item["name"]: item["version"] for item in client.get(model_path(model, "aliases"))["items"]}
    if ref not in aliases:
        known = ", ".join(sorted(aliases)) or "none"
        raise CliError(
            f"{model} has no version or alias {ref!r}.",
            hint=f"A version is a number, `{LATEST}`, or an alias; aliases: {known}.",
            exit=Exit.NOT_FOUND,
        )
    return int(aliases[ref])


def find_version(client: Client, model: str, ref: str) -> Document:
    """The whole document of a version."""
    return client.get(model_path(model, "versions", version_number(client, model, ref)))


def rollout_number(client: Client, ref: str) -> int:
    """The number of a rollout, or of the newest rollout of the endpoint of that name."""
    if ref.isdecimal() and ref.isascii():
        return int(ref)
    endpoint = client.get(f"endpoints/{quote(ref, safe='')}")
    if endpoint["rollout"] is not None:
        return int(endpoint["rollout"])
    newest = client.get("rollouts", endpoint=ref, limit=1)["items"]
    if not newest:
        raise CliError(f"{ref} never had a rollout.", exit=Exit.NOT_FOUND)
    return int(newest[0]["id"])
