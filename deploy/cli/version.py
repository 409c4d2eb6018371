"""Which Slipway this is."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The version of the installed package, or of the checkout that this file lies in."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if project.exists():
        import tomllib

        return str(tomllib.loads(project.read_text())["project"]["version"])
    from importlib import metadata

    return metadata.version("slipway")
