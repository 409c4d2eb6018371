"""Profiles: which servers somebody signed in to, in one file that only they can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.cli.errors import CliError
from deploy.cli.exits import Exit
from deploy.files import BadFile, parse_object, write_json

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """A server and the token for it. The token is left out of `repr`, so no traceback shows it."""

    url: str
    token: str = field(repr=False)
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a command goes and as whom; `token` None = nobody."""

    url: str
    token: str | None = field(repr=False)
    ca_bundle: str = ""


@dataclass
class Profiles:
    """The content of the file; `current` is used when none is named."""

    path: Path
    current: str = DEFAULT
    known: dict[str, Profile] = field(default_factory=dict)

    def save(self) -> None:
        """Write the file, mode 600, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = {name: asdict(profile) for name, profile in self.known.items()}
        write_json(self.path, {"current": self.current, "profiles": known})


def folder(kind: str, fallback: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The `slipway` folder below an XDG folder: `kind` is CONFIG or CACHE."""
    base = environ.get(f"XDG_{kind}_HOME") or os.path.expanduser(fallback)
    return Path(base) / "slipway"


def read_profiles(environ: Mapping[str, str] = os.environ) -> Profiles:
    """The profiles on this machine; none when nobody signed in yet."""
    path = folder("CONFIG", "~/.config", environ) / "config.json"
    try:
        document = parse_object(path.read_bytes())
        known = {name: Profile(**values) for name, values in document["profiles"].items()}
        return Profiles(path, str(document["current"]), known)
    except FileNotFoundError:
        return Profiles(path)
    except (BadFile, KeyError, TypeError, AttributeError) as error:
        raise CliError(f"{path} cannot be read: {error}", hint="Remove it and sign in again.") from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error


def normal_url(value: str) -> str:
    """The address of a server without a trailing slash; CliError for anything else."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise CliError(f"{value!r} is no address of a server.", hint="Write https://host.", exit=Exit.USAGE)
    if parts.username or parts.password:
        raise CliError("The address must not hold a password.", hint="Use a token.", exit=Exit.USAGE)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/api/v1")


def access(
    profiles: Profiles,
    options: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
) -> Access:
    """Options win over the environment, which wins over the profile.

    A stored token is only ever used for the server it was stored for, so `--url` cannot send it elsewhere.
    """
    name = options.get("profile") or environ.get("SLIPWAY_PROFILE")
    if name and name not in profiles.known:
        known = ", ".join(sorted(profiles.known)) or "none"
        raise CliError(f"There is no profile {name!r}.", hint=f"There is: {known}.", exit=Exit.USAGE)
    profile = profiles.known.get(name or profiles.current)
    wanted = options.get("url") or environ.get("SLIPWAY_URL")
    if wanted:
        url = normal_url(wanted)
        same = [item for item in [profile, *profiles.known.values()] if item and item.url == url]
        profile = same[0] if same else None
    elif profile:
        url = profile.url
    else:
        raise CliError(
            "No server is known.",
            hint="Sign in with `slipway login URL`, or set SLIPWAY_URL and SLIPWAY_TOKEN.",
            exit=Exit.NOT_AUTHENTICATED,
        )
    token = environ.get("SLIPWAY_TOKEN") or (profile.token if profile else None)
    bundle = options.get("ca_bundle") or environ.get("SLIPWAY_CA_BUNDLE") or (profile and profile.ca_bundle)
    return Access(url, token and token.strip(), str(bundle or ""))
