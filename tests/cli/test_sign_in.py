"""Signing in, profiles and completion: where tokens lie, and that nobody sees them."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.app import main
from tests.cli.proxy import network_to

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def alone(cli):
    """Commands without SLIPWAY_URL and SLIPWAY_TOKEN: only what was signed in to."""
    return lambda *arguments, **more: cli(*arguments, SLIPWAY_URL="", SLIPWAY_TOKEN="", **more)


@pytest.fixture
def sign_in(cli, alone, monkeypatch):
    def run(*arguments: str, who: str = "engineer"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{cli.secrets[who]}\n"))
        return alone("login", *arguments, "--token-stdin")

    return run


def test_a_token_is_kept_where_only_its_owner_reads_it(cli, sign_in, alone, tmp_path):
    done = sign_in(cli.url)
    assert (done.status, done.out) == (
        0,
        f"Signed in to {cli.url} as engineer (engineer), profile default.\n",
    )
    path = tmp_path / "config" / "slipway" / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert alone("whoami", "--json").json["user"] == "engineer"
    assert alone("logout").status == 0 and cli.secrets["engineer"] not in path.read_text()
    assert alone("whoami").status == 3


def test_a_wrong_token_is_not_kept(cli, alone, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.StringIO("slw_wrong\n"))
    assert alone("login", cli.url, "--token-stdin").status == 3
    assert not (tmp_path / "config" / "slipway").exists()


def test_several_servers_are_kept_and_one_is_the_default(cli, sign_in, alone):
    sign_in(cli.url, "--profile", "work")
    sign_in(cli.url, "--profile", "boss", who="admin")
    assert alone("whoami", "--json").json["user"] == "admin"
    assert alone("whoami", "--profile", "work", "--json").json["user"] == "engineer"
    assert alone("whoami", "--json", SLIPWAY_PROFILE="work").json["user"] == "engineer"
    assert alone("profiles", "--use", "work").status == 0
    assert alone("whoami", "--json").json["user"] == "engineer"
    listed = alone("profiles", "--json")
    assert [item["profile"] for item in listed.json["items"]] == ["boss", "work"]
    assert alone("whoami", "--profile", "nobody").status == 2


def test_a_stored_token_never_goes_to_another_server(cli, sign_in, alone):
    sign_in(cli.url)
    with network_to(cli.url) as network:
        done = alone("whoami", "--url", network.url)
    assert done.status == 3
    assert "authorization" not in network.requests[0].lower()


def test_a_redirect_does_not_take_the_token_along(cli):
    done = cli("models", SLIPWAY_URL=f"{cli.url}/admin")
    assert done.status == 7 and "points to" in done.err


def test_an_address_with_a_password_is_refused(cli, alone):
    assert alone("login", "http://u:p@localhost").status == 2
    assert alone("login", "ftp://localhost").status == 2
    assert alone("login").status == 2


def test_no_token_is_in_what_python_says_of_a_crash(cli):
    """The whole process, with a traceback forced by a configuration that cannot be read."""
    environ = {
        **os.environ,
        "SLIPWAY_URL": cli.url,
        "SLIPWAY_TOKEN": cli.secrets["engineer"],
        "PYTHONFAULTHANDLER": "1",
    }
    code = "from deploy.cli import client, config; a = config.access(config.read_profiles(), {}); print(repr(a), repr(client.Client(a))); raise ValueError(a)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 1 and "ValueError" in done.stderr
    assert cli.secrets["engineer"] not in done.stdout + done.stderr


def completed(line: str, shell: str = "bash", **environ: str) -> list[str]:
    """What the shell would offer for the last word of a line."""
    words = line.split(" ")
    more = {
        "_SLIPWAY_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **environ,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli"],
        cwd=ROOT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return [row.partition(",")[2] for row in done.stdout.splitlines() if row]


def test_names_are_completed_from_the_server_and_kept(cli, endpoint, tmp_path):
    environ = {"SLIPWAY_URL": cli.url, "SLIPWAY_TOKEN": cli.secrets["engineer"]}
    with network_to(cli.url) as network:
        environ["SLIPWAY_URL"] = network.url
        assert completed("slipway versions ch", **environ) == ["churn"]
        assert completed("slipway versions ch", **environ) == ["churn"]
        assert len(network.requests) == 1, "the second Tab asked nobody"
        assert completed("slipway rollout start churn-", **environ) == ["churn-production"]
        assert completed("slipway show churn la", **environ) == ["latest"]
        network.drops = 10**6
        assert completed("slipway alias list ch", **environ) == ["churn"]
        assert completed("slipway rollout list --endpoint x", **environ) == []
    for kept in (tmp_path / "cache" / "slipway").iterdir():
        assert cli.secrets["engineer"] not in kept.read_text() + kept.name
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(capsys, shell):
    assert main(["completion", shell]) == 0
    assert "_SLIPWAY_COMPLETE" in capsys.readouterr().out


def test_commands_are_completed_without_a_server():
    assert "rollout" in completed("slipway ro")


def test_json_errors_are_one_object(cli):
    done = cli("models", "--json", SLIPWAY_TOKEN="slw_x")
    assert json.loads(done.err)["exit"] == 3 and done.out == ""
