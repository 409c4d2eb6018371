"""`slipway score` against a live server; what the server's workers do happens while the command rests."""

from __future__ import annotations

import functools

import pytest

from deploy.cli import session
from deploy.cli.client import Client
from rollouts import scorer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tables(cli, people, onnx_file, tmp_path, settings, monkeypatch):
    """Version 1 of `fresh`, 30 rows to score, and workers that take a turn whenever the command rests."""
    settings.SLIPWAY_TABLES = [str(tmp_path / "tables")]
    (tmp_path / "tables" / "in").mkdir(parents=True)
    (tmp_path / "tables" / "in" / "rows.csv").write_text("X_0,X_1,X_2\n" + "1,2,3\n" * 30)
    assert cli("push", str(onnx_file), "--model", "fresh", "--create").status == 0
    monkeypatch.setattr(session, "Client", functools.partial(Client, rest=lambda seconds: scorer.once()))
    return tmp_path / "tables"


def test_tables_are_scored_and_waited_for(cli, tables):
    done = cli(
        "score", "start", "fresh", "latest", "in", "out", "--chunk-rows", "10", "-m", "monthly", "--wait"
    )
    assert done.status == 0 and "30 rows in" in done.out and "against the baseline" in done.out
    assert "queued: 0 %" in done.err and len(list((tables / "out").glob("part-*"))) == 3
    listed = cli("score", "list", "--state", "succeeded", "--json").json["items"]
    shown = cli("score", "show", str(listed[0]["id"])).out
    assert "sha256:" in shown and "100 %" in shown


def test_a_job_is_cancelled_and_resumed_and_a_failed_one_has_its_own_status(cli, tables):
    job = str(cli("score", "start", "fresh", "1", "in", "out", "--json").json["id"])
    assert "cancelled" in cli("score", "cancel", job, "-m", "wrong month").out
    assert cli("score", "show", job, "--wait").status == 11
    (tables / "in" / "rows.csv").write_text("X_0\n1\n")
    failed = cli("score", "resume", job, "--wait")
    assert failed.status == 13 and "lacks the columns" in failed.out
    assert cli("score", "start", "fresh", "1", "/etc", "out").status == 6
    assert cli("score", "cancel", job, who="viewer").status == 5
