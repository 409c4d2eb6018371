"""`slipway rollout … --wait`: the exit status tells a pipeline how it ended."""

from __future__ import annotations

import pytest

from deploy.cli import session
from deploy.cli.client import Client
from monitoring.domain.judge import Verdict
from rollouts import services
from rollouts.models import Rollout
from tests.cli.conftest import ENDPOINT, newest
from tests.cli.proxy import network_to

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(plan_file):
    return ("rollout", "start", ENDPOINT, "2", "-m", "better recall", "-f", plan_file)


def test_a_pushed_model_is_released_and_the_pipeline_goes_on(cli, world, onnx_file, plan_file):
    pushed = cli("push", str(onnx_file), "--model", "churn", "--metric", "auc=0.91", "--json")
    assert (pushed.status, pushed.json["number"]) == (0, 4)
    done = cli("rollout", "start", ENDPOINT, "latest", "-m", "weekly", "-f", plan_file, "--wait")
    assert done.status == 0
    assert "  50 %  progressing: " in done.out and "\x1b" not in done.out
    assert done.out.endswith("succeeded: v4 serves all traffic and is the stable version\n")
    assert newest().phase == "succeeded"


def test_a_failed_gate_is_10_with_the_gates_own_sentence(cli, world, start):
    world.driver.verdict = Verdict.FAIL
    done = cli(*start, "--wait")
    assert done.status == 10
    assert "rolled back because" in done.out.splitlines()[-1]


def test_every_line_is_json_when_asked_for(cli, world, start):
    done = cli(*start, "--wait", "--json")
    events = done.events
    assert [events[0]["event"], events[-1]["event"]] == ["start", "end"]
    assert events[-1]["exit"] == 0 and events[-1]["rollout"]["phase"] == "succeeded"
    moves = [event["to_phase"] for event in events if event["event"] == "transition"]
    assert moves[0] == "pending" and moves[-1] == "succeeded"
    looks = [event for event in events if event["event"] == "look"]
    assert looks[0]["verdict"] == "pass" and looks[0]["gates"][0]["reason"]


def test_an_abort_before_any_user_met_it_is_11(cli, world, start):
    world.meanwhile = [lambda: cli("rollout", "abort", ENDPOINT, "-m", "wrong file")]
    assert cli(*start, "--wait").status == 11
    assert newest().phase == "cancelled"


def test_a_refusal_is_11_even_when_users_had_met_it(cli, world, start, author):
    services.set_policy(
        environment=world.driver.endpoint.environment,
        policy={"approvals": [{"before": "promotion", "count": 1, "group": "release_manager", "seconds": 600}]},
        reason="audit", actor=author,
    )  # fmt: skip
    number = cli(*start, "--json").json["id"]
    world.driver.until("awaiting_approval")
    assert cli("rollout", "approve", str(number), who="viewer").status == 5
    refused = cli("rollout", "refuse", str(number), "-m", "not on a Friday", who="release_manager")
    assert (refused.status, refused.out) == (0, f"rollout {number}: refused by release_manager\n")
    done = cli("rollout", "watch", str(number))
    assert newest().phase == "rolled_back"
    assert done.status == 11 and "not on a Friday" in done.out
    assert "not on a Friday" in cli("rollout", "approvals", str(number)).out


def test_an_approval_lets_it_go_on(cli, world, start, author):
    services.set_policy(
        environment=world.driver.endpoint.environment,
        policy={"approvals": [{"before": "start", "count": 1, "group": "release_manager", "seconds": 600}]},
        reason="audit", actor=author,
    )  # fmt: skip
    world.meanwhile = [
        lambda: None,
        lambda: cli("rollout", "approve", ENDPOINT, "-m", "numbers are fine", who="release_manager"),
    ]
    assert cli(*start, "--wait").status == 0


def test_a_newer_candidate_makes_it_12(cli, world, start, plan_file):
    newer = ("rollout", "start", ENDPOINT, "3", "-m", "hotfix", "-f", plan_file, "--supersede")
    world.meanwhile = [lambda: cli(*newer)]
    number = cli(*start, "--json").json["id"]
    assert cli("rollout", "watch", str(number)).status == 12


def test_a_pause_is_13_and_says_what_to_do(cli, world, start):
    def pause() -> None:
        cli("rollout", "pause", ENDPOINT, "-m", "lunch")

    world.meanwhile = [lambda: None, lambda: None, pause]
    done = cli(*start, "--wait")
    assert done.status == 13
    assert "paused: lunch" in done.out and f"slipway rollout resume {newest().pk}" in done.out


def test_a_pause_can_be_waited_out(cli, world, start):
    def pause() -> None:
        cli("rollout", "pause", ENDPOINT, "-m", "lunch")

    def resume() -> None:
        cli("rollout", "resume", ENDPOINT, "-m", "back")

    world.meanwhile = [lambda: None, lambda: None, pause, lambda: None, resume]
    assert cli(*start, "--wait", "--through-pauses").status == 0


def test_time_that_runs_out_is_14_and_the_rollout_goes_on(cli, world, start):
    done = cli(*start, "--wait", "--timeout", "0s")
    assert done.status == 14
    assert "the rollout goes on" in done.err and newest().finished_at is None
    assert cli("rollout", "watch", ENDPOINT, "--timeout", "0", "--json").events[-1]["event"] == "timeout"


def test_ctrl_c_leaves_the_rollout_running_and_says_so(cli, world, start):
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.meanwhile = [lambda: None, interrupt]
    done = cli(*start, "--wait")
    assert done.status == 130
    assert f"slipway rollout watch {newest().pk}" in done.err and newest().finished_at is None


def test_a_server_that_is_away_for_a_while_is_waited_for(cli, world, start, monkeypatch):
    with network_to(cli.url) as network:

        def go_away() -> None:
            network.drops = 9

        world.meanwhile = [go_away]
        done = cli(*start, "--wait", SLIPWAY_URL=network.url)
    assert done.status == 0
    assert "Still trying." in done.err and "The server answers again." in done.err


def test_a_start_whose_answer_was_lost_starts_once(cli, world, start):
    with network_to(cli.url) as network:
        number = len(network.requests)
        network.cut_after = [10**6, 0]
        done = cli(*start, SLIPWAY_URL=network.url)
        posts = [text for text in network.requests[number:] if text.startswith("POST")]
    assert done.status == 0 and Rollout.objects.count() == 1
    assert len(posts) >= 2, "it was sent again under the same key"


def test_the_same_key_starts_once(cli, world, start):
    first, second = (cli(*start, "--key", "pipeline-17", "--json") for _ in range(2))
    assert first.json["id"] == second.json["id"] and Rollout.objects.count() == 1


def test_a_rollback_that_arrived_is_0(cli, world, start):
    assert cli(*start, "--wait").status == 0
    done = cli("rollout", "rollback", ENDPOINT, "-m", "complaints", "--wait")
    assert done.status == 0
    world.driver.endpoint.refresh_from_db()
    assert world.driver.endpoint.stable.version.number == 1
    history = cli("history", ENDPOINT, "--json").json["items"]
    assert [item["version"] for item in history] == [1, 2, 1]


def test_a_rollback_in_the_middle_aborts_and_is_0(cli, world, start):
    cli(*start)
    assert cli("rollout", "rollback", ENDPOINT, "-m", "complaints", "--wait").status == 0
    assert newest().phase in {"rolled_back", "cancelled"}


def test_status_shows_steps_share_and_gates(cli, world, start):
    cli(*start)
    world.driver.until("progressing")
    world.driver.tick(8, seconds=3)
    done = cli("rollout", "status", ENDPOINT)
    assert done.status == 0
    for words in ("v1 -> v2", "share    [", "  > ", "  x start 1 server", "gates    pass"):
        assert words in done.out
    assert cli("rollout", "list", "--phase", "active", "--json").json["items"][0]["endpoint"] == ENDPOINT
    assert ENDPOINT in cli("rollout", "list").out


def test_promotion_and_retry_from_the_command_line(cli, world, start):
    number = cli(*start, "--json").json["id"]
    world.driver.until("progressing")
    assert cli("rollout", "promote", str(number), "-m", "now").status == 5
    done = cli("rollout", "promote", str(number), "-m", "now", "--wait", who="release_manager")
    assert done.status == 0
    assert cli("rollout", "retry", str(number), "-m", "again").status == 6


def test_a_plan_is_previewed_and_nothing_starts(cli, world, plan_file):
    done = cli("rollout", "plan", ENDPOINT, "-f", plan_file, "--set", "steps=[5]")
    assert done.status == 0
    assert "  1. start 1 server" in done.out and "It takes at least 30 s." in done.out
    assert not Rollout.objects.exists()


def test_a_terminal_is_redrawn_in_place(cli, world, start, monkeypatch):
    monkeypatch.setattr("deploy.cli.follow.is_live", lambda stream: True)
    done = cli(*start, "--wait")
    assert done.status == 0
    assert "F\x1b[J" in done.out and "x send all traffic to the candidate" in done.out


def test_a_server_that_stays_away_is_7(cli, world, start, monkeypatch):
    number = cli(*start, "--json").json["id"]
    monkeypatch.setattr(session, "Client", lambda access: Client(access, tries=1, rest=lambda seconds: None))
    monkeypatch.setattr("deploy.cli.follow.PATIENCE", -1)
    with network_to(cli.url) as network:
        network.drops = 10**6
        assert cli("rollout", "watch", str(number), SLIPWAY_URL=network.url).status == 7
