"""Rollouts as lines: the state of one, its steps, its gates, its moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from deploy.cli.client import Document
from deploy.cli.text import line, stamp

BAR = 24
# Who moves a rollout when nobody did.
_ITSELF = "slipway"
_COLOURS = {
    "succeeded": "green", "concluded": "green", "pass": "green", "rolled_back": "red", "fail": "red",
    "failed": "red", "rolling_back": "red", "paused": "yellow", "awaiting_approval": "yellow",
    "inconclusive": "yellow", "no_data": "yellow", "error": "yellow",
}  # fmt: skip


def words(phase: str) -> str:
    """A phase or a verdict as people read it."""
    text, colour = line(phase).replace("_", " "), _COLOURS.get(phase)
    return click.style(text, fg=colour) if colour else text


def state_lines(rollout: Document, look: Document | None) -> Iterator[str]:
    """Where a rollout is: the versions, the phase, the share, the steps and the gates."""
    yield (
        f"rollout {rollout['id']}  {line(rollout['endpoint'])}  {line(rollout['model'])} "
        f"v{rollout['stable']} -> v{rollout['candidate']}  {line(rollout['strategy'])}"
    )
    yield f"phase    {words(rollout['phase'])}{_because(rollout)}"
    yield f"share    {share_bar(rollout['weight'])}"
    yield from step_lines(rollout)
    if look:
        yield f"gates    {words(look['verdict'])}  (look {look['number']}, {stamp(look['at'])})"
        yield from gate_lines(look)


def step_lines(rollout: Document) -> Iterator[str]:
    """The steps: x done, > under way, . to come."""
    done = rollout["phase"] in {"succeeded", "concluded"}
    for index, step in enumerate(rollout["steps"]):
        here = index == rollout["step"] and not done
        mark = ">" if here and rollout["active"] else "x" if done or index < rollout["step"] else "."
        text = f"  {mark} {line(step['description'])}"
        yield click.style(text, bold=True) if mark == ">" else text


def gate_lines(look: Document) -> Iterator[str]:
    """One sentence per gate, as the judge said it."""
    for gate in look["gates"]:
        yield f"  {words(gate['verdict'])} {line(gate['name'])}: {line(gate['reason'])}"


def share_bar(weight: Document) -> str:
    """The candidate's share as a bar, and what the router was seen to do."""
    share = weight["intended"]
    bar = ("#" * round(BAR * share / 100)).ljust(BAR, ".")
    seen = weight["observed"]
    note = "not seen yet" if seen is None else f"{seen:g} % seen" if seen != share else "seen"
    return f"[{bar}] {share:g} %, {note}"


def move_line(move: Document) -> str:
    """A move as a log has it: time, share, phase, reason."""
    who = f" ({line(move['actor'])})" if move["actor"] not in {"", _ITSELF} else ""
    return (
        f"{stamp(move['at'])}  {move['weight']:>3} %  {words(move['to_phase'])}: {line(move['reason'])}{who}"
    )


def look_text(look: Document) -> str:
    """A look as one line of a log."""
    return f"{stamp(look['at'])}  gates  {words(look['verdict'])}: {line(look['reason'])}"


def plan_lines(preview: Document) -> Iterator[str]:
    """What a rollout would do, step by step."""
    for index, step in enumerate(preview["steps"], start=1):
        yield f"{index:>3}. {line(step['description'])}"


def rows(rollouts: Sequence[Document]) -> list[tuple[Any, ...]]:
    """Rollouts as rows of a table."""
    return [
        (
            item["id"], item["endpoint"], f"v{item['stable']} -> v{item['candidate']}", item["strategy"],
            item["phase"].replace("_", " "), f"{item['weight']['intended']} %", item["verdict"],
            stamp(item["created_at"]), item["created_by"],
        )
        for item in rollouts
    ]  # fmt: skip


HEAD = ("ROLLOUT", "ENDPOINT", "VERSIONS", "STRATEGY", "PHASE", "SHARE", "GATES", "STARTED", "BY")


def _because(rollout: Document) -> str:
    return f": {line(rollout['reason'])}" if rollout["reason"] else ""
