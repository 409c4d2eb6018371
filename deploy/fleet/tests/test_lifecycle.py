import pytest

from deploy.fleet.instance import State, load, save
from deploy.fleet.lifecycle import (
    NOTICE_S,
    SILENCE_LIMIT_S,
    START_LIMIT_S,
    Due,
    drain,
    due,
    ended,
    gone,
    launched,
    probed,
    terminated,
)
from deploy.fleet.process import Exit, ProcessId
from deploy.fleet.tests.cast import at, instance


def crash(item, now, code=-9, line=""):
    ended(item, Exit(code), line, "file-1", at(now))


def start(item, now):
    launched(item, ProcessId(7, 1.0), 4007, 0, at(now))


def test_a_crashed_instance_is_restarted_with_backoff():
    item = instance()
    pauses = []
    for now in (10.0, 20.0, 30.0, 40.0):
        start(item, now)
        probed(item, True, "", at(now + 1))
        crash(item, now + 2)
        assert item.state is State.BACKOFF and item.process is None
        pauses.append(item.retry_at - (now + 2))
    assert pauses == [0.0, 0.5, 1.0, 2.0]
    assert item.restarts == 4


def test_health_for_a_minute_ends_the_backoff():
    item = instance(streak=5)
    start(item, 0.0)
    probed(item, True, "", at(1.0))
    crash(item, 62.0)
    assert item.retry_at == 62.0


def test_a_process_that_was_never_healthy_does_not_end_the_backoff():
    item = instance(streak=3)
    start(item, 0.0)
    crash(item, 100.0)
    assert item.retry_at == 102.0


def test_a_crash_is_explained_by_its_signal_or_status_and_the_last_line():
    item = instance()
    crash(item, 1.0, -9)
    assert item.message == "killed by SIGKILL"
    crash(item, 1.0, 1, "ValueError: no")
    assert item.message == "exited with status 1: ValueError: no"
    crash(item, 1.0, None)
    assert item.message == "ended"


def test_the_last_crash_stays_visible_when_the_instance_is_back():
    item = instance()
    crash(item, 1.0)
    start(item, 2.0)
    probed(item, False, "answers 503", at(3.0))
    probed(item, True, "", at(4.0))
    assert (item.state, item.restarts, item.message) == (State.READY, 1, "killed by SIGKILL")


def test_status_3_is_a_failure_that_waits_for_a_new_file():
    item = instance(state=State.STARTING)
    crash(item, 1.0, 3, "digest differs")
    assert (item.state, item.message, item.restarts) == (State.FAILED, "digest differs", 0)
    assert due(item, "file-1", at(1000.0)) is None
    assert due(item, "file-2", at(1000.0)) is Due.LAUNCH


def test_a_backed_off_instance_is_due_when_its_pause_is_over():
    item = instance(state=State.BACKOFF, retry_at=5.0)
    assert due(item, "", at(4.9)) is None
    assert due(item, "", at(5.0)) is Due.LAUNCH


def test_draining_takes_notice_then_term_then_kill():
    item = instance()
    drain(item, at(10.0))
    assert item.state is State.DRAINING
    assert due(item, "", at(10.0 + NOTICE_S - 0.01)) is None
    assert due(item, "", at(10.0 + NOTICE_S)) is Due.TERMINATE
    terminated(item, 12.0, at(10.3))
    assert due(item, "", at(22.2)) is None
    assert due(item, "", at(22.3)) is Due.KILL


def test_a_drained_instance_is_gone_and_not_started_again():
    item = instance()
    drain(item, at(10.0))
    crash(item, 11.0, 0)
    assert (item.state, item.restarts) == (State.DRAINING, 0)
    assert due(item, "other", at(99.0)) is None
    assert list(gone([item, instance(1)])) == [item]


def test_a_probe_makes_it_ready_and_since_says_when():
    item = instance(state=State.STARTING)
    probed(item, True, "", at(3.0))
    assert (item.state, item.since) == (State.READY, at(3.0).wall)
    probed(item, True, "", at(4.0))
    assert item.since == at(3.0).wall


def test_not_ready_takes_it_out_of_rotation_at_once():
    item = instance()
    probed(item, False, "answers 503", at(1.0))
    assert (item.state, item.message) == (State.STARTING, "answers 503")


def test_one_lost_probe_is_forgiven_two_are_not():
    item = instance()
    probed(item, None, "no answer", at(1.0))
    assert item.state is State.READY
    probed(item, True, "", at(2.0))
    probed(item, None, "no answer", at(3.0))
    assert item.state is State.READY
    probed(item, None, "no answer", at(4.0))
    assert item.state is State.STARTING


def test_a_server_that_stays_silent_is_killed_and_restarted():
    item = instance()
    probed(item, None, "no answer", at(1.0))
    probed(item, None, "no answer", at(2.0))
    assert due(item, "", at(SILENCE_LIMIT_S)) is None
    assert due(item, "", at(1.0 + SILENCE_LIMIT_S)) is Due.KILL
    crash(item, 32.0)
    assert item.state is State.BACKOFF and "no answer for 30 s" in item.message


def test_a_server_that_never_gets_ready_is_killed_and_restarted():
    item = instance(state=State.BACKOFF)
    start(item, 0.0)
    assert due(item, "", at(START_LIMIT_S - 1)) is None
    assert due(item, "", at(START_LIMIT_S)) is Due.KILL
    crash(item, START_LIMIT_S)
    assert "not ready within 120 s" in item.message


@pytest.mark.parametrize("state", [State.DRAINING, State.BACKOFF, State.FAILED])
def test_a_late_probe_does_not_revive_an_instance(state):
    item = instance(state=state)
    probed(item, True, "", at(1.0))
    assert item.state is state


@pytest.mark.parametrize("state", list(State))
def test_what_the_next_fleet_needs_survives_the_file(state):
    item = instance(
        2, state, restarts=3, streak=2, message="m", last_crash="c", errors_from=17, failed_under="f"
    )
    again = load(save(item), 50.0)
    assert save(again) == save(item)
    assert (again.name, again.state, again.process) == (item.name, state, item.process)
    assert (again.terminate_at == 50.0) == (state is State.DRAINING)
