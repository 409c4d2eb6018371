"""What can go wrong, each with its exit status; a message says what, where and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

import click

from deploy.cli.exits import Exit
from deploy.cli.text import clean


class CliError(click.ClickException):
    """One error as the terminal shows it; with `--json` it is one JSON object on standard error."""

    def __init__(self, message: str, *, hint: str = "", exit: Exit = Exit.FAILED) -> None:
        super().__init__(clean(message))
        self.hint = clean(hint)
        self.exit = exit
        self.as_json = False

    def document(self) -> dict[str, Any]:
        """The error as JSON."""
        found = {"detail": self.message, "hint": self.hint}
        return {key: value for key, value in found.items() if value}

    def lines(self) -> Iterator[str]:
        """The error for people."""
        yield self.message

    def show(self, file: IO[Any] | None = None) -> None:
        if self.as_json:
            click.echo(json.dumps(self.document() | {"exit": int(self.exit)}), err=True)
            return
        first, *rest = self.lines()
        click.echo(f"{click.style('error:', fg='red', bold=True)} {first}", err=True)
        for line in rest:
            click.echo(f"  {line}", err=True)
        if self.hint:
            click.echo(f"  {self.hint}", err=True)


class Unreachable(CliError):
    """Nobody answered, or the server could not.

    again: the same request may be sent again, at the earliest after `after` seconds.
    """

    def __init__(
        self, message: str, *, hint: str = "", again: bool = False, after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, exit=Exit.UNREACHABLE)
        self.again = again
        self.after = after


class StillBusy(Unreachable):
    """The first request with this idempotency key is still worked on; its answer will come."""


_EXIT = {401: Exit.NOT_AUTHENTICATED, 403: Exit.FORBIDDEN, 404: Exit.NOT_FOUND}
_HINT = {
    401: "Sign in with `slipway login`, or put a valid token into SLIPWAY_TOKEN.",
    403: "`slipway whoami` shows what this token may do.",
}


class Problem(CliError):
    """The server said no: an RFC 9457 problem document."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        detail = str(document.get("detail") or document.get("title") or f"The server answered {status}.")
        hint = str(document.get("hint") or _HINT.get(status, ""))
        super().__init__(detail, hint=hint, exit=_EXIT.get(status, Exit.REFUSED))
        self.status = status
        self.code = str(document.get("code", ""))
        self.field = clean(str(document.get("field") or ""))
        self.problem = dict(document)

    def document(self) -> dict[str, Any]:
        return {"status": self.status} | self.problem | super().document()

    def lines(self) -> Iterator[str]:
        yield f"{self.field}: {self.message}" if self.field else self.message
        for path, sentence in _flat(self.problem.get("errors"), ""):
            yield clean(f"{path}: {sentence}" if path else sentence)


def _flat(errors: Any, path: str) -> Iterator[tuple[str, str]]:
    """DRF's nested errors as (path, sentence)."""
    if isinstance(errors, Mapping):
        for key, value in errors.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(errors, list):
        for index, value in enumerate(errors):
            yield from _flat(value, f"{path}[{index}]" if isinstance(value, (Mapping, list)) else path)
    elif errors:
        yield path, str(errors)
