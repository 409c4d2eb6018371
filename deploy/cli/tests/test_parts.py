"""The parts below the commands: options, profiles, forms, folders, what is imported."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import click
import pytest
import requests

from deploy.cli.app import cli
from deploy.cli.client import Client
from deploy.cli.config import Access, Profile, Profiles, access, normal_url, read_profiles
from deploy.cli.errors import CliError, Problem
from deploy.cli.folders import manifest_digest, safe_path
from deploy.cli.multipart import Form
from deploy.cli.options import Duration, Pair, read_document

ROOT = Path(__file__).resolve().parents[3]


def test_starting_imports_neither_the_server_nor_what_is_slow():
    code = (
        "import sys; from deploy.cli.app import main; main(['--help']); "
        "slow = {'django', 'numpy', 'requests', 'yaml', 'registry', 'rollouts', 'onnx'}; print(slow & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_installed_package_has_the_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["slipway"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert "deploy*" in project["tool"]["setuptools"]["packages"]["find"]["include"]


def commands(group: click.Group, path: str = "slipway"):
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=lambda value: str(value)[:40])
def test_every_command_has_help_and_json(name, command):
    assert command.help or command.get_short_help_str()
    assert len(command.get_short_help_str(200)) < 66, "it is cut off in the list"
    if not isinstance(command, click.Group):
        names = {option for param in command.params for option in param.opts}
        assert {"--json", "--profile", "--url", "--ca-bundle"} <= names


def test_lengths_of_time():
    kind = Duration()
    assert [kind.convert(text, None, None) for text in ("90", "90s", "30m", "2h", "1d", "1.5h")] == [
        90, 90, 1800, 7200, 86400, 5400,
    ]  # fmt: skip
    for text in ("", "soon", "5x", "-3", "nan", "inf"):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


def test_names_and_values():
    assert Pair().convert("a=b=c", None, None) == ("a", "b=c")
    assert Pair(number=True).convert("auc=0.9", None, None) == ("auc", 0.9)
    assert Pair(parsed=True).convert("steps=[5,50]", None, None) == ("steps", [5, 50])
    assert Pair(parsed=True).convert("name=text", None, None) == ("name", "text")
    for text in ("a", "=b"):
        with pytest.raises(click.BadParameter):
            Pair().convert(text, None, None)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("a.json", "{", "not valid"), ("a.yaml", "a: [", "not valid"), ("a.yaml", "- 1", "must hold an object")],
)
def test_a_wrong_file_is_named(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(CliError, match=words) as caught:
        read_document(tmp_path / name)
    assert name in caught.value.message and caught.value.exit == 2


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://host/", "https://host"), ("http://host:8000/slipway/", "http://host:8000/slipway"),
        ("https://host/api/v1", "https://host"),
    ],
)  # fmt: skip
def test_addresses_are_kept_in_one_form(text, url):
    assert normal_url(text) == url


@pytest.mark.parametrize("text", ["host", "ftp://host", "https://", "https://u:p@host", "https://host?x=1"])
def test_what_is_no_address_is_a_wrong_command_line(text):
    with pytest.raises(CliError) as caught:
        normal_url(text)
    assert caught.value.exit == 2


def test_options_win_over_the_environment_and_that_over_profiles(tmp_path):
    profiles = Profiles(
        tmp_path / "c", "a", {"a": Profile("https://a", "ta"), "b": Profile("https://b", "tb", "ca")}
    )
    none = {"profile": None, "url": None, "ca_bundle": None}
    assert access(profiles, none, {}) == Access("https://a", "ta")
    assert access(profiles, none, {"SLIPWAY_PROFILE": "b"}) == Access("https://b", "tb", "ca")
    assert access(profiles, {**none, "profile": "b"}, {"SLIPWAY_PROFILE": "a"}).url == "https://b"
    assert access(profiles, none, {"SLIPWAY_URL": "https://b"}) == Access("https://b", "tb", "ca")
    assert access(profiles, none, {"SLIPWAY_URL": "https://c"}) == Access("https://c", None)
    assert access(profiles, none, {"SLIPWAY_URL": "https://c", "SLIPWAY_TOKEN": "t\n"}) == Access(
        "https://c", "t"
    )
    assert access(profiles, {**none, "url": "https://a"}, {"SLIPWAY_URL": "https://c"}).token == "ta"


def test_profiles_come_back_and_a_broken_file_is_named(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    profiles = read_profiles(environ)
    profiles.known["x"] = Profile("https://x", "secret")
    profiles.save()
    assert read_profiles(environ).known == profiles.known
    assert "secret" not in repr(profiles) + repr(Access("https://x", "secret"))
    profiles.path.write_text("{")
    with pytest.raises(CliError, match=r"config\.json cannot be read"):
        read_profiles(environ)


def test_the_token_goes_to_its_own_server_only():
    client = Client(Access("https://slipway.example", "secret"))
    for url, sent in (
        ("https://slipway.example/api/v1/me", True),
        ("https://slipway.example.evil.org/api/v1/me", False),
        ("https://bucket.example/x", False),
    ):
        request = client.session.prepare_request(requests.Request("GET", url))
        assert ("Authorization" in request.headers) is sent


def parsed(form: Form) -> list[Message]:
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    body = b""
    while piece := form.read(7):
        body += piece
    assert len(body) == len(form)
    return BytesParser().parsebytes(head + body).get_payload()


def test_a_form_is_what_every_parser_understands(tmp_path):
    path = tmp_path / 'a "quoted"\nname.onnx'
    path.write_bytes(bytes(range(256)) * 10)
    form, sent = Form({"metadata": '{"ä": 1}'}, {"artifact": path}), []
    form.sent = sent.append
    text, file = parsed(form)
    assert text.get_payload(decode=True) == '{"ä": 1}'.encode()
    assert file.get_payload(decode=True) == path.read_bytes()
    assert file.get_filename() == "a %22quoted%22%0Aname.onnx"
    assert sent[-1] == len(form) and sent == sorted(sent)


def test_nested_errors_are_shown_with_their_paths():
    problem = Problem(
        400, {"detail": "Wrong.", "errors": {"steps": [{"weight": ["Too high."]}], "reason": ["Required."]}}
    )
    assert list(problem.lines()) == ["Wrong.", "steps[0].weight: Too high.", "reason: Required."]
    assert problem.exit == 6 and problem.document()["status"] == 400


def test_the_digest_of_a_folder_is_that_of_its_canonical_manifest():
    files = [{"path": "b", "digest": "sha256:2", "size": 2}, {"path": "a", "digest": "sha256:1", "size": 1}]
    text = json.dumps({"files": [files[1], files[0]], "schema": 1}, sort_keys=True, separators=(",", ":"))
    assert manifest_digest(files) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", "", "a\\b", "a\x00"])
def test_a_server_cannot_write_outside_the_folder(path):
    with pytest.raises(CliError, match="outside the folder"):
        safe_path(path)
