"""docs/cli.md says what is so: its command lines are parsed by the command itself, its table is the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from deploy.cli.app import cli
from deploy.cli.exits import Exit

DOCS = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
TEXT = DOCS.read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
WORKFLOWS = [yaml.safe_load(body) for kind, body in BLOCKS if kind == "yaml"]


def strings(value: object):
    """Every text in a YAML document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield from value.splitlines()


def joined(text: str) -> list[str]:
    """The lines, those that end in a backslash with the next."""
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def command_lines() -> list[str]:
    lines = [line for kind, body in BLOCKS if kind == "sh" for line in joined(body)]
    lines += [line for workflow in WORKFLOWS for line in strings(workflow)]
    lines += [line for command in every(cli) for line in joined(command.help or "")]
    lines = [re.sub(r'^eval "\$\((.*)\)".*', r"\1", line.strip()) for line in lines]
    return sorted({line for line in lines if line.startswith("slipway ")})


def every(group: click.Group):
    for command in group.commands.values():
        yield from every(command) if isinstance(command, click.Group) else [command]


def parse(group: click.Group, words: list[str], parent: click.Context) -> click.Command:
    """The command that the words name, its options and arguments checked."""
    name, command, rest = group.resolve_command(parent, words)
    if isinstance(command, click.Group):
        return parse(command, rest, click.Context(command, parent=parent, info_name=name))
    command.make_context(name, rest, parent=parent)
    return command


@pytest.mark.parametrize("line", command_lines())
def test_each_command_line_is_one_that_the_command_takes(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "reference.npz", "reference.parquet", "version.yaml", "canary.yaml"):
        Path(name).write_text("")
    Path("export").mkdir()
    words = shlex.split(re.sub(r"\$\(.*?\)", "abc", line), comments=True)
    parse(cli, words[1:], click.Context(cli))


def test_every_command_is_on_the_page():
    names = {command.name for command in every(cli)}
    shown = {
        word
        for line in re.findall(r"^(?:eval \"\$\()?slipway .*", TEXT, re.MULTILINE)
        for word in line.split()
    }
    assert {name for name in names if name} <= shown


def test_the_table_of_statuses_is_the_codes():
    rows = "\n".join(f"| {code.value} | {code.meaning} |" for code in Exit)
    table = f"| status | meaning |\n|---|---|\n{rows}\n"
    assert table in TEXT, f"docs/cli.md should have\n{table}"


def test_the_examples_of_pipelines_are_workflows():
    rollout, github, gitlab = WORKFLOWS
    assert set(rollout) == {"strategy", "parameters"}
    steps = github["jobs"]["release"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    # YAML 1.1 reads the key `on` as true.
    assert github[True] and github["jobs"]["release"]["env"]["SLIPWAY_TOKEN"].startswith("${{ secrets.")
    assert {gitlab["register"]["stage"], gitlab["release"]["stage"]} == set(gitlab["stages"])
