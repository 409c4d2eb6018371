"""The version that the server says it has."""

from __future__ import annotations

from importlib import metadata


def package_version() -> str:
    """That of the installed distribution; 0 for a source tree."""
    try:
        return metadata.version("slipway")
    except metadata.PackageNotFoundError:
        return "0"
