"""What the documentation tells people to type is there, and what can run here is run."""

from __future__ import annotations

import re
import shlex
from io import StringIO
from pathlib import Path

import click
import pytest
from django.core.management import call_command, get_commands

from deploy.cli.app import cli
from tests.servers.waiting import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
ALL = "\n".join(TEXT.values())
MANAGE = sorted(
    {
        found.strip()
        for found in re.findall(r"manage\.py ((?!\S*\.py)[a-z_]+(?: --?[a-z][\w-]*(?: [A-Z0-9]+)?)*)", ALL)
    }
)
# What these need is started by other tests: tests/survival, tests/production, tests/servers, the registry's.
ELSEWHERE = {
    "up": "tests/survival", "stack": "tests/production", "demo": "tests/browser", "tick": "tests/survival",
    "intake": "tests/survival", "scrape": "tests/survival", "import_mlflow": "registry/tests/mlflow",
    "link_identity": "registry/tests", "score": "monitoring/tests/scoring",
}  # fmt: skip
# Django's own, which asks at a terminal.
ASKING = {"changepassword"}


@pytest.mark.django_db
@pytest.mark.parametrize("command", MANAGE)
def test_every_management_command_of_the_docs_runs(command: str, tmp_path: Path, settings) -> None:
    name, *arguments = shlex.split(command)
    assert name in get_commands(), f"there is no manage.py {name}"
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    settings.STATIC_ROOT = str(tmp_path / "static")
    if name in ASKING:
        return
    if name in ELSEWHERE and "--once" not in arguments:
        assert (ROOT / ELSEWHERE[name]).exists()
        return
    arguments += {"observability": ["--out", str(tmp_path)], "collectstatic": ["--noinput"]}.get(name, [])
    if name == "check":
        # Of a test's settings `--deploy` finds much; that it runs is what is asked here.
        arguments = [argument for argument in arguments if argument not in {"--fail-level", "WARNING"}]
    if name == "check" and "--deploy" in arguments:
        arguments += ["--fail-level", "CRITICAL"]
    call_command(name, *arguments, stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"`make ([a-z][a-z0-9-]+)`|^make ([a-z][a-z0-9-]+)", ALL, re.M)))
)
def test_every_make_target_of_the_docs_is_there(target: tuple[str, str]) -> None:
    name = "".join(target)
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.M), name


def _cli() -> list[str]:
    """Every `slipway …` of the command line's page."""
    blocks = re.findall(r"```\w*\n(.*?)```", TEXT["docs/cli.md"].replace("\\\n", " "), re.S)
    lines = [line.split("   ")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if re.match(r"slipway [a-z]", line)})


@pytest.mark.parametrize("line", _cli())
def test_every_command_of_the_command_line_s_page_is_there_with_its_options(line: str) -> None:
    command: click.Command = cli
    words = line.split()[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"there is no {words[0]} in slipway {command.name}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert not given - known, f"{command.name} knows no {given - known}"


# Who runs what stands in the shell blocks of a page.
SHELL = {
    "docs/batch.md": "tests/production/test_docs_rest.py",
    "docs/cli.md": "tests/cli/test_docs.py",
    "docs/mlflow.md": "registry/tests/mlflow",
    "docs/production.md": "tests/production/test_runbook.py",
    "docs/registry.md": "tests/production/test_docs_rest.py",
}


def test_every_page_with_shell_commands_has_a_test_that_runs_them() -> None:
    assert {page for page, text in TEXT.items() if "```sh\n" in text} == SHELL.keys()
    assert all((ROOT / path).exists() for path in SHELL.values())


def test_every_setting_is_explained() -> None:
    sources = "".join(path.read_text() for path in sorted((ROOT / "controlplane").glob("*.py")))
    names = set(re.findall(r"env\.\w+\(\s*\"(SLIPWAY_\w+)\"", sources))
    assert len(names) > 60 and sorted(name for name in names if name not in ALL) == []


@pytest.mark.parametrize("page", TEXT)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXT[page]):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), target
