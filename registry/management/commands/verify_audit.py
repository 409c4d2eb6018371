"""`manage.py verify_audit`: walk the audit trail's hash chain."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.audit import read_head, verify_chain
from registry.domain.chain import Place


class Command(BaseCommand):
    help = (
        "Check that no audit entry was changed, removed, inserted or moved; exit 1 and say where if one was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor",
            metavar="NUMBER:DIGEST",
            help="an end of the chain that an earlier run printed and that was kept outside the database",
        )

    def handle(self, *args: Any, anchor: str | None = None, **options: Any) -> None:
        verdict = verify_chain(anchor=_place(anchor) if anchor else None, told=self._told)
        if not verdict.whole:
            raise CommandError(f"The chain is broken after {verdict.checked} good entries: {verdict.fault}.")
        head = read_head().place
        self.stdout.write(f"The chain is whole: {verdict.checked} entries.")
        self.stdout.write(f"Keep this outside, for --anchor: {head.sequence}:{head.digest}")

    def _told(self, done: int, of: int) -> None:
        self.stderr.write(f"{done:,} of {of:,} entries are whole")


def _place(text: str) -> Place:
    found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text)
    if found is None:
        raise CommandError("--anchor is NUMBER:DIGEST, as an earlier run printed it.")
    return Place(int(found[1]), found[2])
