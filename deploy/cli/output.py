"""Where results and progress go: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import click


def is_live(stream: IO[Any]) -> bool:
    """Whether lines on this stream may be redrawn: a terminal, and no CI job that only looks like one."""
    return stream.isatty() and os.environ.get("CI", "") in {"", "0", "false"} and _is_capable()


def _is_capable() -> bool:
    return os.environ.get("TERM", "") not in {"", "dumb"}


@dataclass(frozen=True, slots=True)
class Out:
    """How one command speaks; `as_json` asks for JSON on standard output and nothing else there."""

    as_json: bool = False

    def show(self, document: Any, lines: Iterable[str]) -> None:
        """A result: the document as JSON, or the lines for people."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None))
            return
        for text in lines:
            click.echo(text)

    def event(self, document: Any, text: str) -> None:
        """One of a series of results: a JSON line, or a line of text."""
        click.echo(json.dumps(document) if self.as_json else text)

    def say(self, text: str) -> None:
        """A remark for people; standard error, so that it never mixes with a result."""
        click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """A remark that asks for attention."""
        self.say(f"{click.style('warning:', fg='yellow')} {text}")
