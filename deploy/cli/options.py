"""Option types that several commands share."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from deploy.cli.errors import CliError
from deploy.cli.exits import Exit

READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


# Older releases of click have no type arguments here.
class Pair(click.ParamType):  # type: ignore[type-arg]
    """`NAME=VALUE`; with `number` the value is one, with `parsed` it is JSON where it reads as JSON."""

    name = "NAME=VALUE"

    def __init__(self, *, number: bool = False, parsed: bool = False) -> None:
        self.number, self.parsed = number, parsed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not NAME=VALUE.", param, ctx)
        if self.number:
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                self.fail(f"{text!r} in {value!r} is no number.", param, ctx)
            return name, number
        return name, _json_or_text(text) if self.parsed else text


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, written `90`, `90s`, `30m`, `2h` or `1d`."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        digits = value.rstrip("smindh")
        unit = value[len(digits) :]
        try:
            seconds = float(digits) * _UNITS[unit or "s"]
        except (ValueError, KeyError):
            self.fail(f"{value!r} is no length of time; write 90s, 30m, 2h or 1d.", param, ctx)
        if not 0 <= seconds < float("inf"):
            self.fail(f"{value!r} is no length of time.", param, ctx)
        return seconds


def read_document(path: Path) -> dict[str, Any]:
    """The object in a JSON or YAML file."""
    try:
        text = path.read_text()
        if path.suffix == ".json":
            document = json.loads(text)
        else:
            import yaml

            document = yaml.safe_load(text)
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    # yaml.YAMLError is no ValueError, and the module is not imported for JSON.
    except Exception as error:
        raise CliError(f"{path} is not valid: {' '.join(str(error).split())}", exit=Exit.USAGE) from error
    if not isinstance(document, dict):
        raise CliError(f"{path} must hold an object, not {type(document).__name__}.", exit=Exit.USAGE)
    return document


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
